//! [`Wasapi`]: plays on a device of Windows, shared with other programs.
//!
//! Not by cpal, the usual bridge: it opens devices with `KSAUDIO_SPEAKER_DIRECTOUT` ("CPAL does not care about speaker
//! positions", `host/wasapi/device.rs` of 0.18.2), so that Windows would send channels to loudspeakers by number, and a
//! stream with six would lose four of them on two.

mod playback;

use playback::Playback;
use wasapi::{DeviceEnumerator, Direction, WasapiError};

use super::{Output, OutputChoice, OutputError};
use crate::player::supply::Supply;

/// Plays on a device of Windows.
pub struct Wasapi {
    choice: OutputChoice,
}

impl Wasapi {
    /// The device is Windows' default unless one is chosen by the name that Windows shows.
    pub fn new(choice: &OutputChoice) -> Self {
        Self { choice: choice.clone() }
    }

    fn device(&self) -> Result<wasapi::Device, OutputError> {
        let enumerator =
            DeviceEnumerator::new().map_err(|why| gone("Windows' audio service does not answer", &why))?;
        let Some(wanted) = &self.choice.device else {
            let default = enumerator.get_default_device(&Direction::Render);
            return default.map_err(|_| {
                OutputError::Gone("Windows has no device to play on: connect or enable a sound card".into())
            });
        };
        let none = |why: WasapiError| gone("Windows does not list its devices", &why);
        let devices = enumerator.get_device_collection(&Direction::Render).map_err(none)?;
        devices.get_device_with_name(wanted).map_err(|_| {
            let names: Vec<_> =
                devices.into_iter().flatten().filter_map(|device| device.get_friendlyname().ok()).collect();
            OutputError::Gone(match names.as_slice() {
                [] => format!("Windows has no device `{wanted}`, nor any other"),
                names => format!("Windows has no device `{wanted}`; it has {}", names.join(", ")),
            })
        })
    }
}

impl Output for Wasapi {
    fn probe(&mut self) -> Result<String, OutputError> {
        let _com = Com::enter();
        let name = self.device()?.get_friendlyname().map_err(|why| gone("the device has gone", &why))?;
        Ok(format!("Windows, device \"{name}\""))
    }

    fn play(&mut self, mut supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>) {
        let _com = Com::enter();
        let result = self
            .device()
            .and_then(|device| Playback::open(&device, self.choice.target, &mut *supply))
            .and_then(|playback| playback.run(&mut *supply));
        (supply, result)
    }
}

/// COM is ready for use in this thread. What is made with it has to go first.
struct Com {
    entered: bool,
}

impl Com {
    fn enter() -> Self {
        // If the thread has it in another way already, that does as well, and is not ours to leave.
        Self { entered: wasapi::initialize_mta().is_ok() }
    }
}

impl Drop for Com {
    fn drop(&mut self) {
        if self.entered {
            wasapi::deinitialize();
        }
    }
}

/// The first sentence of Windows' reason is enough.
fn gone(what: &str, why: &WasapiError) -> OutputError {
    let why = why.to_string();
    OutputError::Gone(format!("{what} ({})", why.lines().next().unwrap_or_default()))
}
