//! Opening a device of ALSA: its format, rate, channels and buffer.

#![expect(unsafe_code, reason = "the crate has no safe way to open a device without conversions")]

use std::ffi::CString;
use std::io;
use std::time::Duration;

use alsa::pcm::{Access, Format, Frames, HwParams, PCM};
use alsa::{Direction, ValueOr};
use protocol::StreamFormat;

use super::super::OutputError;
use super::super::pace::{Pace, frames};
use super::order;
use crate::player::supply::{Device, SampleType, Supply};
use crate::speakers;

/// `SND_PCM_NO_AUTO_RESAMPLE | SND_PCM_NO_AUTO_CHANNELS | SND_PCM_NO_AUTO_FORMAT` of alsa-lib's `pcm.h`.
const NO_CONVERSIONS: i32 = 0x1_0000 | 0x2_0000 | 0x4_0000;

/// ALSA's names of the sample types.
const FORMATS: [(SampleType, Format); 5] = [
    (SampleType::F32, Format::FloatLE),
    (SampleType::I32, Format::S32LE),
    (SampleType::I24, Format::S243LE),
    (SampleType::I24In32, Format::S24LE),
    (SampleType::I16, Format::S16LE),
];

/// What is to be set up.
pub struct Wanted {
    name: String,
    target: Duration,
    format: StreamFormat,
    bit_exact: bool,
}

impl Wanted {
    /// A device for a supply.
    pub fn new(name: &str, target: Duration, supply: &dyn Supply) -> Self {
        Self { name: name.to_owned(), target, format: supply.format(), bit_exact: supply.is_bit_exact() }
    }
}

/// A device that is set up.
pub struct Ready {
    /// The device.
    pub pcm: PCM,
    /// How it takes sound.
    pub device: Device,
    /// How many frames it holds.
    pub buffer: Frames,
    /// How many frames it likes to take at once.
    pub period: Frames,
}

/// Opens a device, with nothing set up. If bit-exact, `plug` and `default` pass on what the sound card takes, and
/// convert nothing.
///
/// # Errors
/// There is no such device, or another program has it.
pub fn open(name: &str, bit_exact: bool) -> Result<PCM, OutputError> {
    let text = CString::new(name).map_err(|_| OutputError::Impossible("a name of ALSA has no NUL".into()))?;
    let flags = if bit_exact { NO_CONVERSIONS } else { 0 };
    // Opened without blocking, so that no call waits for a device that hangs.
    // SAFETY: The flags are those that alsa-lib documents for this call; they change what a device offers, nothing else.
    let opened = unsafe { PCM::open_with_flags(&text, Direction::Playback, true, flags) };
    opened.map_err(|why| {
        OutputError::Gone(match why.errno() {
            libc::EBUSY => format!(
                "ALSA's device `{name}` is in use by another program: end that, or choose a device with -d"
            ),
            libc::EACCES | libc::EPERM => {
                format!("no permission to use ALSA's device `{name}`: the user has to be in the group audio")
            }
            _ => format!(
                "ALSA has no device `{name}` ({}): `aplay -L` lists those that there are",
                reason(why)
            ),
        })
    })
}

/// Opens a device and sets it up for the supply's format, or what comes nearest to it.
///
/// # Errors
/// It cannot be opened, or not set up.
pub fn set_up(wanted: &Wanted) -> Result<Ready, OutputError> {
    let name = &wanted.name;
    let pcm = open(name, wanted.bit_exact)?;
    let (samples, rate, channels, buffer, period) = set_parameters(&pcm, wanted)?;
    set_thresholds(&pcm, buffer, period).map_err(|why| refused(name, "this", why))?;
    let speakers = order::speakers(&pcm, channels as usize, &speakers::of(wanted.format));
    let most_frames =
        usize::try_from(period).unwrap_or(1).min(frames(Pace::of(wanted.target).period, rate) * 2);
    Ok(Ready { pcm, device: Device { rate, samples, speakers, most_frames }, buffer, period })
}

fn refused(name: &str, what: &str, why: alsa::Error) -> OutputError {
    let why = reason(why);
    OutputError::Impossible(format!(
        "ALSA's device `{name}` does not play {what} ({why}): try `plughw` with -d"
    ))
}

/// Sets sample type, rate, channels, and the frames of the buffer and of a period.
fn set_parameters(pcm: &PCM, wanted: &Wanted) -> Result<(SampleType, u32, u32, Frames, Frames), OutputError> {
    let (name, pace) = (&wanted.name, Pace::of(wanted.target));
    let refused = |what, why| refused(name, what, why);
    let params = HwParams::any(pcm).map_err(|why| refused("at all", why))?;
    // The supply resamples better than `plug`; devices that cannot be asked for this are sound cards.
    let _ = params.set_rate_resample(false);
    params.set_access(Access::RWInterleaved).map_err(|why| refused("interleaved frames", why))?;
    let samples = set_format(wanted, &params)?;
    let channels = wanted.format.channels().into();
    let channels = params.set_channels_near(channels).map_err(|why| refused("so many channels", why))?;
    let rate = wanted.format.rate().get();
    let rate = params.set_rate_near(rate, ValueOr::Nearest).map_err(|why| refused("any such rate", why))?;
    let length = |time| Frames::try_from(frames(time, rate)).unwrap_or(Frames::MAX);
    // What the device makes of these two is read back below.
    let _ = params.set_buffer_size_near(length(pace.buffer));
    let _ = params.set_period_size_near(length(pace.period), ValueOr::Nearest);
    pcm.hw_params(&params).map_err(|why| refused("this", why))?;
    let sizes = params.get_buffer_size().and_then(|buffer| Ok((buffer, params.get_period_size()?)));
    let (buffer, period) = sizes.map_err(|why| refused("this", why))?;
    Ok((samples, rate, channels, buffer.max(1), period.clamp(1, buffer.max(1))))
}

/// The first of the sample types that the device has.
fn set_format(wanted: &Wanted, params: &HwParams) -> Result<SampleType, OutputError> {
    let (name, bits) = (&wanted.name, wanted.format.bits());
    let order = preference(wanted.bit_exact, bits);
    let format =
        |samples: SampleType| FORMATS.iter().find(|(named, _)| *named == samples).map(|(_, format)| *format);
    let set =
        |samples: &&SampleType| format(**samples).is_some_and(|format| params.set_format(format).is_ok());
    order.iter().find(set).copied().ok_or_else(|| {
        OutputError::Impossible(match wanted.bit_exact {
            true => {
                format!("ALSA's device `{name}` does not take {bits} bits as they are: leave out --bit-exact")
            }
            false => {
                format!("ALSA's device `{name}` takes no samples that can be made: try `plughw` with -d")
            }
        })
    })
}

fn preference(bit_exact: bool, bits: u16) -> &'static [SampleType] {
    use SampleType::{F32, I16, I24, I24In32, I32};
    match (bit_exact, bits) {
        (false, _) => &[F32, I32, I24, I24In32, I16],
        (true, 16) => &[I16, I32, I24, I24In32, F32],
        (true, 24) => &[I24, I24In32, I32, F32],
        (true, _) => &[I32],
    }
}

/// Playing begins when the buffer is as full as whole periods make it, and wakes the program for each period.
fn set_thresholds(pcm: &PCM, buffer: Frames, period: Frames) -> alsa::Result<()> {
    let params = pcm.sw_params_current()?;
    params.set_start_threshold(buffer / period * period)?;
    params.set_avail_min(period)?;
    pcm.sw_params(&params)
}

/// What the system calls an error.
pub fn reason(why: alsa::Error) -> String {
    io::Error::from_raw_os_error(why.errno().abs()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_exact_samples_are_never_narrower_than_the_stream() {
        for bits in [16, 24, 32] {
            assert!(preference(true, bits).iter().all(|samples| samples.exact_bits() >= bits));
        }
    }
}
