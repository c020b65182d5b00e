//! [`OutputChoice`]: which output the user wants, and how it should play.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A kind of output, by the name that the command line has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// `pulse`: a PulseAudio server, or PipeWire's stand-in for one.
    Pulse,
    /// `pipewire`: a PipeWire server.
    Pipewire,
    /// `alsa`: a device of ALSA.
    Alsa,
    /// `jack`: a JACK server.
    Jack,
    /// `sndio`: an sndio server or device.
    Sndio,
    /// `wasapi`: a device of Windows.
    Wasapi,
    /// `raw`: samples on standard output.
    Raw,
    /// `wav:FILE`: a WAV file.
    Wav(PathBuf),
}

/// The outputs that have nothing but a name.
const NAMED: [(&str, OutputKind); 7] = [
    ("pulse", OutputKind::Pulse),
    ("pipewire", OutputKind::Pipewire),
    ("alsa", OutputKind::Alsa),
    ("jack", OutputKind::Jack),
    ("sndio", OutputKind::Sndio),
    ("wasapi", OutputKind::Wasapi),
    ("raw", OutputKind::Raw),
];

/// What comes before the path of a WAV file.
const WAV: &str = "wav:";

impl FromStr for OutputKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, kind)) = NAMED.into_iter().find(|(name, _)| *name == text) {
            return Ok(kind);
        }
        match text.strip_prefix(WAV) {
            Some("") => Err("`wav:` needs the file that is to be written: wav:FILE".into()),
            Some(path) => Ok(Self::Wav(path.into())),
            None => Err(format!(
                "there is no output `{text}`; there are {}, wav:FILE",
                NAMED.map(|(name, _)| name).join(", ")
            )),
        }
    }
}

impl fmt::Display for OutputKind {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wav(path) => write!(to, "{WAV}{}", path.display()),
            kind => to.write_str(NAMED.iter().find(|(_, named)| named == kind).map_or("", |(name, _)| name)),
        }
    }
}

/// What the user wants to play on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputChoice {
    /// The kind of output.
    pub kind: OutputKind,
    /// The device of ALSA, sndio and Windows (`-d`); the default one if there is none.
    pub device: Option<String>,
    /// The sink of PulseAudio and PipeWire (`-s`); the default one if there is none.
    pub sink: Option<String>,
    /// What mixers call the stream, and JACK the client (`-n`).
    pub name: Option<String>,
    /// False if JACK's client is not to be connected to the loudspeakers (`-c`).
    pub connect: bool,
    /// From the arrival of a packet to the loudspeaker: the output takes about half of it for its own buffer.
    pub target: Duration,
    /// Samples should reach the device as they were sent.
    pub bit_exact: bool,
}

impl OutputChoice {
    /// The kind with everything else as it is when the user says nothing.
    pub fn new(kind: OutputKind) -> Self {
        Self {
            kind,
            device: None,
            sink: None,
            name: None,
            connect: true,
            target: Duration::from_millis(50),
            bit_exact: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_named_as_it_is_parsed() {
        for text in ["pulse", "pipewire", "alsa", "jack", "sndio", "wasapi", "raw", "wav:/tmp/a b.wav"] {
            assert_eq!(text.parse::<OutputKind>().map(|kind| kind.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn an_unknown_kind_is_refused_with_those_that_there_are() {
        let refusal = "Pulse".parse::<OutputKind>().unwrap_err();
        assert_eq!(
            refusal,
            "there is no output `Pulse`; there are pulse, pipewire, alsa, jack, sndio, wasapi, raw, wav:FILE"
        );
        assert_eq!(
            "wav:".parse::<OutputKind>(),
            Err("`wav:` needs the file that is to be written: wav:FILE".to_owned())
        );
    }
}
