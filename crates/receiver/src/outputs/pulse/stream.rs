//! [`Playback`]: a stream of a server, from its opening to the last frame heard.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use libpulse_binding as pulse;
use pulse::channelmap::{Map, Position};
use pulse::def::BufferAttr;
use pulse::error::{Code, PAErr};
use pulse::proplist::{Proplist, properties};
use pulse::sample::{Format, Spec};
use pulse::stream::{FlagSet, Latency, SeekMode, State, Stream};

use super::super::pace::{PATIENCE, Pace, frames};
use super::super::{OutputChoice, OutputError};
use super::connection::{Connection, reason};
use crate::Moment;
use crate::player::supply::{Device, Next, SampleType, Supply};
use crate::speakers::{self, Speaker};

/// How long a sink may take until it plays what was written first. While nobody plays, a null sink is 2 s ahead of the
/// time.
const PATIENCE_AT_FIRST: Duration = Duration::from_secs(3);

/// A stream that plays.
pub struct Playback {
    // The order matters: the stream is let go before the connection that it lives in.
    stream: Stream,
    connection: Connection,
    device: Device,
    pace: Pace,
}

impl Playback {
    /// Opens a stream for the supply's format.
    ///
    /// # Errors
    /// The server cannot play the format bit-exactly, or has gone.
    pub fn open(
        mut connection: Connection,
        choice: &OutputChoice,
        sink: Option<&str>,
        supply: &mut dyn Supply,
    ) -> Result<Self, OutputError> {
        let pace = Pace::of(choice.target);
        let device = device(supply, pace)?;
        supply.attach(&device).map_err(OutputError::Impossible)?;
        let mut stream = new_stream(&mut connection, choice, &device)?;
        let flags = FlagSet::EARLY_REQUESTS | FlagSet::INTERPOLATE_TIMING | FlagSet::AUTO_TIMING_UPDATE;
        let connected = stream.connect_playback(sink, Some(&buffer(&device, pace)), flags, None, None);
        connected.map_err(|why| refused(sink, why))?;
        connection.wait(|connection| match stream.get_state() {
            State::Ready => Ok(Some(())),
            State::Failed | State::Terminated => Err(refused(sink, connection.context.errno())),
            _ => Ok(None),
        })?;
        Ok(Self { stream, connection, device, pace })
    }

    /// Plays until the supply is over.
    ///
    /// # Errors
    /// The server, the sink or the stream has gone, or it does not take any sound.
    pub fn run(mut self, supply: &mut dyn Supply) -> Result<(), OutputError> {
        let frame = self.device.frame_bytes();
        let mut block = vec![0; self.device.most_frames * frame];
        let (mut taken, mut patience) = (Instant::now(), PATIENCE_AT_FIRST);
        let full = frames(self.pace.buffer, self.device.rate);
        let mut written = 0;
        loop {
            self.check()?;
            let room = self.stream.writable_size().unwrap_or(0) / frame;
            let frames = room.min(self.device.most_frames);
            if frames > 0
                && let Some(delay) = self.delay()?
            {
                let frames = &mut block[..frames * frame];
                let next = supply.render(frames, Moment::now(), delay);
                self.stream.write_copy(frames, 0, SeekMode::Relative).map_err(|why| self.lost(why))?;
                taken = Instant::now();
                written += frames.len() / frame;
                if written > full {
                    patience = PATIENCE;
                }
                if next == Next::Over {
                    return self.drain();
                }
            }
            let left = patience.checked_sub(taken.elapsed()).ok_or_else(|| self.stalled())?;
            // Only while it is being filled there is more room than can be written at once.
            self.connection.turn(if room > self.device.most_frames { Duration::ZERO } else { left })?;
        }
    }

    /// The time until a frame that is written now is heard. `None` until the server has told about its clock.
    fn delay(&self) -> Result<Option<Duration>, OutputError> {
        match self.stream.get_latency() {
            Ok(Latency::None) => Ok(None),
            Ok(Latency::Positive(time)) => Ok(Some(Duration::from_micros(time.0))),
            // What is written now should have been heard already, as far as the server's estimate goes.
            Ok(Latency::Negative(_)) => Ok(Some(Duration::ZERO)),
            Err(why) => Err(self.lost(why)),
        }
    }

    /// Lets the server play what it has.
    fn drain(mut self) -> Result<(), OutputError> {
        let drained = Rc::new(Cell::new(false));
        let done = Rc::clone(&drained);
        let asked = self.stream.drain(Some(Box::new(move |_| done.set(true))));
        let end = Instant::now() + self.pace.buffer + PATIENCE;
        while !drained.get() && Instant::now() < end {
            self.check()?;
            self.connection.turn(end.saturating_duration_since(Instant::now()))?;
        }
        drop(asked);
        Ok(())
    }

    fn check(&self) -> Result<(), OutputError> {
        match self.stream.get_state() {
            State::Failed | State::Terminated => Err(self.lost(self.connection.context.errno())),
            _ => Ok(()),
        }
    }

    fn lost(&self, why: PAErr) -> OutputError {
        // The library has its codes with either sign.
        OutputError::Gone(match why.0.abs() {
            code if code == Code::Killed as i32 => "PulseAudio's sink has been taken away".into(),
            _ => format!("PulseAudio has ended the stream ({})", reason(why)),
        })
    }

    fn stalled(&self) -> OutputError {
        let sink = self.stream.get_device_name().unwrap_or_default();
        OutputError::Gone(match self.stream.is_suspended() {
            Ok(true) => {
                format!("PulseAudio's sink `{sink}` is suspended: `pactl suspend-sink {sink} 0` wakes it")
            }
            _ => format!("PulseAudio's sink `{sink}` takes no sound"),
        })
    }
}

/// How the server is to take the supply's stream. It converts what the sink has otherwise, but the rate only within its
/// limits.
fn device(supply: &dyn Supply, pace: Pace) -> Result<Device, OutputError> {
    let format = supply.format();
    let mut rate = format.rate().get();
    while rate > Spec::RATE_MAX {
        if supply.is_bit_exact() {
            let most = Spec::RATE_MAX;
            return Err(OutputError::Impossible(format!(
                "PulseAudio plays {most} Hz at most, not {rate} Hz"
            )));
        }
        rate = rate.div_ceil(2);
    }
    let samples = match (supply.is_bit_exact(), format.bits()) {
        (false, _) => SampleType::F32,
        (true, 16) => SampleType::I16,
        (true, 24) => SampleType::I24,
        (true, _) => SampleType::I32,
    };
    Ok(Device { rate, samples, speakers: speakers::of(format), most_frames: 2 * frames(pace.period, rate) })
}

fn new_stream(
    connection: &mut Connection,
    choice: &OutputChoice,
    device: &Device,
) -> Result<Stream, OutputError> {
    let no_memory = || OutputError::Gone("PulseAudio: no memory".into());
    let format = match device.samples {
        SampleType::I16 => Format::S16le,
        SampleType::I24 => Format::S24le,
        SampleType::I24In32 => Format::S24_32le,
        SampleType::I32 => Format::S32le,
        SampleType::F32 => Format::F32le,
    };
    let spec = Spec { format, channels: device.speakers.len() as u8, rate: device.rate };
    let mut about = Proplist::new().ok_or_else(no_memory)?;
    let told = about.set_str(properties::MEDIA_ROLE, "music");
    told.and_then(|()| about.set_str(properties::APPLICATION_NAME, "scream")).map_err(|()| no_memory())?;
    let name = choice.name.as_deref().unwrap_or("Scream");
    let map = channel_map(&device.speakers);
    Stream::new_with_proplist(&mut connection.context, name, &spec, Some(&map), &mut about).ok_or_else(|| {
        let why = reason(connection.context.errno());
        OutputError::Impossible(format!("PulseAudio does not play {} Hz like this ({why})", device.rate))
    })
}

/// The stream's buffer has a period more than the sink's, whose parts are as long as a period ([`FlagSet::EARLY_REQUESTS`]): the
/// server then takes what was written at once, and asks for as much. Playing begins, and goes on after an underrun, when all of
/// it is full.
fn buffer(device: &Device, pace: Pace) -> BufferAttr {
    let bytes = |time| u32::try_from(frames(time, device.rate) * device.frame_bytes()).unwrap_or(u32::MAX);
    BufferAttr {
        maxlength: u32::MAX,
        tlength: bytes(pace.buffer),
        prebuf: u32::MAX,
        minreq: bytes(pace.period),
        fragsize: u32::MAX,
    }
}

fn channel_map(speakers: &[Speaker]) -> Map {
    let mut map = Map::default();
    map.set_len(speakers.len() as u8);
    for (position, speaker) in map.get_mut().iter_mut().zip(speakers) {
        *position = position_of(*speaker);
    }
    // One channel is heard from all loudspeakers; as a center, a server would play it at half the amplitude where there
    // is no center.
    if speakers == [Speaker::FrontCenter] {
        map.init_mono();
    }
    map
}

fn position_of(speaker: Speaker) -> Position {
    const AUX: [Position; 8] = [
        Position::Aux0,
        Position::Aux1,
        Position::Aux2,
        Position::Aux3,
        Position::Aux4,
        Position::Aux5,
        Position::Aux6,
        Position::Aux7,
    ];
    match speaker {
        Speaker::FrontLeft => Position::FrontLeft,
        Speaker::FrontRight => Position::FrontRight,
        Speaker::FrontCenter => Position::FrontCenter,
        Speaker::Subwoofer => Position::Lfe,
        Speaker::BackLeft => Position::RearLeft,
        Speaker::BackRight => Position::RearRight,
        Speaker::FrontLeftOfCenter => Position::FrontLeftOfCenter,
        Speaker::FrontRightOfCenter => Position::FrontRightOfCenter,
        Speaker::BackCenter => Position::RearCenter,
        Speaker::SideLeft => Position::SideLeft,
        Speaker::SideRight => Position::SideRight,
        Speaker::TopCenter => Position::TopCenter,
        Speaker::TopFrontLeft => Position::TopFrontLeft,
        Speaker::TopFrontCenter => Position::TopFrontCenter,
        Speaker::TopFrontRight => Position::TopFrontRight,
        Speaker::TopBackLeft => Position::TopRearLeft,
        Speaker::Unplaced(channel) => AUX.get(usize::from(channel)).copied().unwrap_or(Position::Aux8),
    }
}

fn refused(sink: Option<&str>, why: PAErr) -> OutputError {
    let on = sink.map_or_else(|| "the default sink".to_owned(), |sink| format!("sink `{sink}`"));
    OutputError::Gone(format!("PulseAudio does not play on {on} ({})", reason(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_go_to_the_speakers_of_the_mask() {
        let format = protocol::StreamFormat::new(48_000, 16, 6, 0x60F).expect("a format");
        let map = channel_map(&speakers::of(format));
        assert_eq!(
            map.get(),
            [
                Position::FrontLeft,
                Position::FrontRight,
                Position::FrontCenter,
                Position::Lfe,
                Position::SideLeft,
                Position::SideRight
            ]
        );
    }

    #[test]
    fn a_single_center_is_mono_and_a_single_left_is_left() {
        assert_eq!(channel_map(&[Speaker::FrontCenter]).get(), [Position::Mono]);
        assert_eq!(channel_map(&[Speaker::FrontLeft]).get(), [Position::FrontLeft]);
        assert_eq!(channel_map(&[Speaker::FrontLeft, Speaker::Unplaced(1)]).get()[1], Position::Aux1);
    }
}
