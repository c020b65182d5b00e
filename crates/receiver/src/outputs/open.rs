//! [`open`]: from what the user wants to the output that does it.

use super::{Output, OutputChoice, OutputError, OutputKind};

/// The outputs of this program that need a server or a device, in the order in which they are to be tried.
pub fn built_in() -> &'static [&'static str] {
    &[
        #[cfg(all(feature = "pulse", target_os = "linux"))]
        "pulse",
        #[cfg(all(feature = "pipewire", target_os = "linux"))]
        "pipewire",
        #[cfg(all(feature = "alsa", target_os = "linux"))]
        "alsa",
        #[cfg(all(feature = "jack", target_os = "linux"))]
        "jack",
        #[cfg(all(feature = "sndio", target_os = "linux"))]
        "sndio",
        #[cfg(windows)]
        "wasapi",
    ]
}

/// Makes the output. It is neither looked for nor opened yet.
///
/// # Errors
/// This program has no such output; or it is standard output or a file, which need no server and are made elsewhere.
pub fn open(choice: &OutputChoice) -> Result<Box<dyn Output>, OutputError> {
    match choice.kind {
        OutputKind::Raw | OutputKind::Wav(_) => {
            Err(OutputError::Impossible(format!("`{}` is not a server or a device", choice.kind)))
        }
        #[cfg(all(feature = "pulse", target_os = "linux"))]
        OutputKind::Pulse => Ok(Box::new(super::pulse::Pulse::new(choice))),
        #[cfg(all(feature = "pipewire", target_os = "linux"))]
        OutputKind::Pipewire => Ok(Box::new(super::pipewire::Pipewire::new(choice))),
        #[cfg(all(feature = "alsa", target_os = "linux"))]
        OutputKind::Alsa => Ok(Box::new(super::alsa::Alsa::new(choice))),
        #[cfg(all(feature = "jack", target_os = "linux"))]
        OutputKind::Jack => Ok(Box::new(super::jack::Jack::new(choice))),
        #[cfg(all(feature = "sndio", target_os = "linux"))]
        OutputKind::Sndio => Ok(Box::new(super::sndio::Sndio::new(choice))),
        #[cfg(windows)]
        OutputKind::Wasapi => Ok(Box::new(super::wasapi::Wasapi::new(choice))),
        _ => Err(missing(&choice.kind)),
    }
}

fn missing(kind: &OutputKind) -> OutputError {
    let there = match built_in() {
        [] => "none but raw and wav:FILE".to_owned(),
        names => format!("{}, raw, wav:FILE", names.join(", ")),
    };
    OutputError::Impossible(format!("this build has no output `{kind}`; it has {there}"))
}
