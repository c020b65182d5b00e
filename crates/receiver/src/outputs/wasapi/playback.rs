//! [`Playback`]: a device that plays, from its opening to the last frame heard.

use std::time::{Duration, Instant};

use wasapi::{
    AudioClient, AudioClock, AudioRenderClient, Direction, Handle, StreamMode, WasapiError, WaveFormat,
};

use super::super::OutputError;
use super::super::pace::{PATIENCE, Pace, frames, time};
use super::gone;
use crate::Moment;
use crate::player::supply::{Device, Next, SampleType, Supply};
use crate::speakers;

/// `AUDCLNT_E_UNSUPPORTED_FORMAT` of `audioclient.h`.
const UNSUPPORTED_FORMAT: i32 = 0x8889_0008_u32 as i32;

/// A device that plays.
pub struct Playback {
    client: AudioClient,
    render: AudioRenderClient,
    event: Handle,
    position: Position,
    device: Device,
    /// Frames that the device has taken.
    written: u64,
    /// When it took the last.
    taken: Instant,
}

impl Playback {
    /// Opens a device for the supply's format. The supply resamples to the rate that Windows mixes at, and Windows brings
    /// the channels to the loudspeakers that there are.
    ///
    /// # Errors
    /// The device cannot be opened, or cannot play the stream.
    pub fn open(
        device: &wasapi::Device,
        target: Duration,
        supply: &mut dyn Supply,
    ) -> Result<Self, OutputError> {
        let failed = |why: WasapiError| gone("Windows does not open the device", &why);
        let pace = Pace::of(target);
        let mut client = device.get_iaudioclient().map_err(failed)?;
        let rate = client.get_mixformat().map_err(failed)?.get_samplespersec().max(1);
        let speakers = speakers::of(supply.format());
        let mask = speakers::mask(&speakers).into();
        let format =
            WaveFormat::new(32, 32, &wasapi::SampleType::Float, rate as usize, speakers.len(), Some(mask));
        let device =
            Device { rate, samples: SampleType::F32, speakers, most_frames: frames(pace.period, rate) };
        supply.attach(&device).map_err(OutputError::Impossible)?;
        let buffer_duration_hns = i64::try_from(pace.buffer.as_nanos() / 100).unwrap_or(i64::MAX);
        let mode = StreamMode::EventsShared { autoconvert: true, buffer_duration_hns };
        client.initialize_client(&format, &Direction::Render, &mode).map_err(|why| match why {
            WasapiError::Windows(why) if why.code().0 == UNSUPPORTED_FORMAT => {
                let channels = device.speakers.len();
                OutputError::Impossible(format!(
                    "Windows does not play {channels} channels with this mask on the device"
                ))
            }
            why => failed(why),
        })?;
        let event = client.set_get_eventhandle().map_err(failed)?;
        let render = client.get_audiorenderclient().map_err(failed)?;
        let position = Position::new(client.get_audioclock().map_err(failed)?).map_err(failed)?;
        Ok(Self { client, render, event, position, device, written: 0, taken: Instant::now() })
    }

    /// Plays until the supply is over.
    ///
    /// # Errors
    /// The device has gone, or it takes nothing.
    pub fn run(mut self, supply: &mut dyn Supply) -> Result<(), OutputError> {
        let mut block = vec![0; self.device.most_frames * self.device.frame_bytes()];
        let mut started = false;
        loop {
            let room = self.client.get_available_space_in_frames().map_err(lost)? as usize;
            if room == 0 {
                // It begins with a full buffer.
                if !started {
                    self.client.start_stream().map_err(lost)?;
                    started = true;
                }
                self.wait()?;
                continue;
            }
            let frames = &mut block[..room.min(self.device.most_frames) * self.device.frame_bytes()];
            let delay = self.delay()?;
            let next = supply.render(frames, Moment::now(), delay);
            self.write(frames)?;
            if next == Next::Over {
                if !started {
                    self.client.start_stream().map_err(lost)?;
                }
                return self.drain(&mut block);
            }
        }
    }

    /// The time until a frame that is written now is heard: what has been written and not been played.
    fn delay(&mut self) -> Result<Duration, OutputError> {
        let written = time(i64::try_from(self.written).unwrap_or(i64::MAX), self.device.rate);
        Ok(written.saturating_sub(self.position.played().map_err(lost)?))
    }

    fn write(&mut self, frames: &[u8]) -> Result<(), OutputError> {
        let count = frames.len() / self.device.frame_bytes();
        self.render.write_to_device(count, frames, None).map_err(lost)?;
        self.written += count as u64;
        self.taken = Instant::now();
        Ok(())
    }

    /// Waits until the device takes something. Does not wait long for its event: Windows sets it each 10 ms, and where it
    /// comes late or not at all, the room is looked for all the same.
    fn wait(&self) -> Result<(), OutputError> {
        if self.taken.elapsed() > PATIENCE {
            return Err(OutputError::Gone("the device takes no sound".into()));
        }
        match self.event.wait_for_event(10) {
            Ok(()) | Err(WasapiError::EventTimeout) => Ok(()),
            Err(why) => Err(lost(why)),
        }
    }

    /// Plays what the device has: silence is written until all of it has been heard, and then the device is stopped in
    /// the middle of the silence.
    fn drain(mut self, block: &mut [u8]) -> Result<(), OutputError> {
        block.fill(0);
        let end = Instant::now() + self.delay()?.min(PATIENCE);
        while Instant::now() < end {
            match self.client.get_available_space_in_frames().map_err(lost)? as usize {
                0 => self.wait()?,
                room => {
                    let frames = room.min(self.device.most_frames) * self.device.frame_bytes();
                    self.write(&block[..frames])?;
                }
            }
        }
        self.client.stop_stream().map_err(lost)
    }
}

fn lost(why: WasapiError) -> OutputError {
    gone("the device has gone", &why)
}

/// How much a device has played.
struct Position {
    clock: AudioClock,
    frequency: u64,
    /// By how much our clock is ahead of that of the positions: the least that has been seen is nearest to it, because
    /// each position is a little old.
    ahead: Option<i128>,
}

impl Position {
    fn new(clock: AudioClock) -> Result<Self, WasapiError> {
        let frequency = clock.get_frequency()?.max(1);
        Ok(Self { clock, frequency, ahead: None })
    }

    fn played(&mut self) -> Result<Duration, WasapiError> {
        let (position, at) = self.clock.get_position()?;
        let played = u128::from(position) * 1_000_000_000 / u128::from(self.frequency);
        let played = Duration::from_nanos(u64::try_from(played).unwrap_or(u64::MAX));
        // It stands still before it begins.
        if position == 0 {
            return Ok(played);
        }
        let ahead = i128::from(Moment::now().0) - i128::from(at) * 100;
        let least = self.ahead.map_or(ahead, |least| least.min(ahead));
        self.ahead = Some(least);
        Ok(played + Duration::from_nanos(u64::try_from(ahead - least).unwrap_or(0)))
    }
}
