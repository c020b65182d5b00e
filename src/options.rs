//! The user's options: `HKLM\SYSTEM\CurrentControlSet\Services\Scream\Options`, read whenever a stream is made.
//!
//! A wrong value never fails anything: the default holds, and an event says why. What is wrong is for
//! [`protocol::options`] to say.

use protocol::Options;
use protocol::options::{Description, MAX_VALUE, Registry, Stored};

use crate::events;
use crate::kernel::Status;
use crate::kernel::object_name::utf16;
use crate::kernel::registry::{Key, QueryError, Room};

/// The longest name of an option.
const MAX_NAME: usize = 32;

/// The key of the options, and room for one value.
struct OptionsKey {
    key: Key,
    room: Room<MAX_VALUE>,
}

/// Reads the options below the driver's registry key, whose path is in UTF-16. PASSIVE_LEVEL.
pub fn read(service_key: &[u16]) -> Options {
    match Key::open(service_key).and_then(|key| key.open_subkey(&utf16::<7>(b"Options"))) {
        Ok(key) => {
            let mut key = OptionsKey { key, room: Room::empty() };
            Options::read(&mut key, &mut |refusal| events::option_ignored(&refusal))
        }
        // The user never set an option.
        Err(Status::OBJECT_NAME_NOT_FOUND) => Options::default(),
        Err(status) => {
            events::options_unreadable(status);
            Options::default()
        }
    }
}

impl Registry for OptionsKey {
    fn read(&mut self, option: &'static Description) -> Stored<'_> {
        let name = option.name.to_bytes();
        let mut units = [0; MAX_NAME];
        for (unit, byte) in units.iter_mut().zip(name) {
            *unit = u16::from(*byte);
        }
        match self.key.query(units.get(..name.len()).unwrap_or_default(), &mut self.room) {
            Ok((kind, data)) => Stored::Value { kind, data },
            Err(QueryError::Missing) => Stored::Missing,
            Err(QueryError::TooLong) => Stored::TooLong,
            Err(QueryError::Unreadable) => Stored::Unreadable,
        }
    }
}
