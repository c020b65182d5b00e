//! The user's options: `HKLM\SYSTEM\CurrentControlSet\Services\Scream\Options`, read whenever a stream is made.
//!
//! A wrong value never fails anything: the default holds, and an event says why.

use core::ffi::CStr;
use core::net::Ipv4Addr;

use crate::events;
use crate::kernel::Status;
use crate::kernel::registry::{Key, Text, ValueError, utf16};

/// Where packets go unless the options say otherwise.
const DEFAULT_ADDRESS: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 77);
/// The port that goes with it.
const DEFAULT_PORT: u16 = 4010;

/// An option as the events speak of it.
struct Description {
    name: &'static CStr,
    accepted: &'static CStr,
    default: &'static CStr,
}

const ADDRESS: Description = Description {
    name: c"UnicastIPv4",
    accepted: c"REG_SZ, an IPv4 address such as 192.168.1.20",
    default: c"239.255.77.77",
};
const PORT: Description =
    Description { name: c"UnicastPort", accepted: c"REG_DWORD, from 1 to 65535", default: c"4010" };

/// What the user can choose.
#[derive(Clone, Copy)]
pub struct Options {
    /// `UnicastIPv4`: the destination, unicast or multicast.
    pub address: Ipv4Addr,
    /// `UnicastPort`: the destination's UDP port.
    pub port: u16,
}

impl Options {
    /// Reads the options below the driver's registry key, whose path is in UTF-16. PASSIVE_LEVEL.
    pub fn read(service_key: &[u16]) -> Self {
        let mut options = Self { address: DEFAULT_ADDRESS, port: DEFAULT_PORT };
        let key = Key::open(service_key).and_then(|key| key.open_subkey(&utf16::<7>(b"Options")));
        let key = match key {
            Ok(key) => key,
            // The user never set an option.
            Err(Status::OBJECT_NAME_NOT_FOUND) => return options,
            Err(status) => {
                events::options_unreadable(status);
                return options;
            }
        };
        if let Some(text) = ADDRESS.usable(key.text(&utf16::<11>(b"UnicastIPv4"))) {
            match destination(&text) {
                Some(address) => options.address = address,
                None => ADDRESS.ignored(c"no address that can be sent to"),
            }
        }
        if let Some(port) = PORT.usable(key.dword(&utf16::<11>(b"UnicastPort"))) {
            match u16::try_from(port) {
                Ok(port @ 1..) => options.port = port,
                _ => PORT.ignored(c"out of range"),
            }
        }
        options
    }
}

impl Description {
    /// The value, if it is there and of the right type; tells what is wrong otherwise.
    fn usable<T>(&self, value: Result<T, ValueError>) -> Option<T> {
        let reason = match value {
            Ok(value) => return Some(value),
            Err(ValueError::Missing) => return None,
            Err(ValueError::WrongType) => c"of another type",
            Err(ValueError::TooLong) => c"too long",
            Err(ValueError::Unreadable) => c"cannot be read",
        };
        self.ignored(reason);
        None
    }

    fn ignored(&self, reason: &CStr) {
        events::option_ignored(self.name, reason, self.accepted, self.default);
    }
}

/// An address that a packet can be sent to.
fn destination(text: &Text) -> Option<Ipv4Addr> {
    let mut ascii = [0_u8; 15];
    let units = text.units();
    let ascii = ascii.get_mut(..units.len())?;
    for (byte, unit) in ascii.iter_mut().zip(units) {
        *byte = u8::try_from(*unit).ok()?;
    }
    let address: Ipv4Addr = core::str::from_utf8(ascii).ok()?.parse().ok()?;
    (!address.is_unspecified() && !address.is_broadcast()).then_some(address)
}
