//! The user's options: `HKLM\SYSTEM\CurrentControlSet\Services\Scream\Options`, read whenever a stream is made.
//!
//! A wrong value never fails anything: it is logged, and the default holds.

use core::ffi::CStr;
use core::net::Ipv4Addr;

use crate::kernel::Status;
use crate::kernel::log;
use crate::kernel::registry::{Key, Text, ValueError, utf16};

/// Where packets go unless the options say otherwise.
const DEFAULT_ADDRESS: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 77);
/// The port that goes with it.
const DEFAULT_PORT: u16 = 4010;

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
                log::status(c"the options cannot be read; the defaults hold", status.code());
                return options;
            }
        };
        if let Some(text) =
            usable(c"UnicastIPv4", c"no text (REG_SZ)", key.text(&utf16::<11>(b"UnicastIPv4")))
        {
            match destination(&text) {
                Some(address) => options.address = address,
                None => log::option(c"UnicastIPv4", c"no IPv4 address such as 192.168.1.20"),
            }
        }
        if let Some(port) =
            usable(c"UnicastPort", c"no number (REG_DWORD)", key.dword(&utf16::<11>(b"UnicastPort")))
        {
            match u16::try_from(port) {
                Ok(port @ 1..) => options.port = port,
                _ => log::option(c"UnicastPort", c"not from 1 to 65535"),
            }
        }
        options
    }
}

/// The value, if it is there and of the right type; says what is wrong otherwise.
fn usable<T>(name: &CStr, wrong_type: &CStr, value: Result<T, ValueError>) -> Option<T> {
    let reason = match value {
        Ok(value) => return Some(value),
        Err(ValueError::Missing) => return None,
        Err(ValueError::WrongType) => wrong_type,
        Err(ValueError::TooLong) => c"too long",
        Err(ValueError::Unreadable) => c"cannot be read",
    };
    log::option(name, reason);
    None
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
