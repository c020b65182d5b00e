//! [`Stream`]: a stream of a server. Its graph calls for sound in a real-time thread.

use std::cell::RefCell;
use std::io::Cursor;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pipewire as pw;
use pw::properties::{PropertiesBox, properties};
use pw::spa::param::audio::{AudioFormat, AudioInfoRaw, MAX_CHANNELS};
use pw::spa::pod::serialize::PodSerializer;
use pw::spa::pod::{Object, Pod, Value};
use pw::spa::utils::Direction;
use pw::stream::{StreamBox, StreamFlags, StreamListener, StreamState, Time};
use rustix::time::{ClockId, clock_gettime};

use super::super::lent::Lent;
use super::super::pace::{Pace, frames};
use super::super::{OutputChoice, OutputError};
use super::connection::Connection;
use crate::player::supply::{Device, SampleType, Supply};
use crate::speakers::{self, Speaker};

/// A stream that plays. When it is dropped, no callback is under way any more, nor comes another.
pub struct Stream<'c> {
    failed: Rc<RefCell<Option<String>>>,
    graph_rate: Arc<AtomicU32>,
    // The order matters: the listeners go out of the stream's list, so they go before it; and not before it is at rest,
    // see `drop`.
    _listeners: (StreamListener<()>, StreamListener<Callback>),
    stream: StreamBox<'c>,
}

/// What belongs to the graph's thread.
struct Callback {
    lent: Arc<Lent>,
    device: Device,
    graph_rate: Arc<AtomicU32>,
}

/// How the graph takes the supply's stream: it converts what the sink has otherwise. Its samples are always floating
/// point.
pub fn device(supply: &dyn Supply, target: Duration) -> Device {
    let format = supply.format();
    let rate = format.rate().get();
    let most_frames = frames(Pace::of(target).period, rate);
    Device { rate, samples: SampleType::F32, speakers: speakers::of(format), most_frames }
}

impl<'c> Stream<'c> {
    /// Opens a stream to a sink, or the default one, that plays what is lent.
    ///
    /// # Errors
    /// The server does not make one.
    pub fn open(
        connection: &'c Connection,
        choice: &OutputChoice,
        sink: Option<&str>,
        device: Device,
        lent: &Arc<Lent>,
    ) -> Result<Self, OutputError> {
        let refused = |why: pw::Error| OutputError::Gone(format!("PipeWire does not make a stream ({why})"));
        let name = choice.name.as_deref().unwrap_or("Scream");
        let about = about(name, sink, &device, Pace::of(choice.target));
        let stream = StreamBox::new(&connection.core, name, about).map_err(refused)?;
        let failed = Rc::new(RefCell::new(None));
        let to = Rc::clone(&failed);
        // Two listeners, because the data of one would be reached from both threads.
        let states = stream
            .add_local_listener::<()>()
            .state_changed(move |_, (), _, new| {
                if let StreamState::Error(why) = new {
                    *to.borrow_mut() = Some(why);
                }
            })
            .register()
            .map_err(refused)?;
        let format = format(&device);
        let graph_rate = Arc::new(AtomicU32::new(0));
        let callback = Callback { lent: Arc::clone(lent), device, graph_rate: Arc::clone(&graph_rate) };
        let calls = stream
            .add_local_listener_with_user_data(callback)
            .process(|stream, callback| callback.process(stream))
            .register()
            .map_err(refused)?;
        let pod = Pod::from_bytes(&format).expect("what was serialized is a pod");
        let flags = StreamFlags::AUTOCONNECT | StreamFlags::MAP_BUFFERS | StreamFlags::RT_PROCESS;
        stream.connect(Direction::Output, None, flags, &mut [pod]).map_err(refused)?;
        Ok(Self { failed, graph_rate, _listeners: (states, calls), stream })
    }

    /// Whether the stream is still there.
    ///
    /// # Errors
    /// The server has ended it.
    pub fn check(&self) -> Result<(), OutputError> {
        match self.failed.borrow().as_deref() {
            Some(why) => Err(OutputError::Gone(format!("PipeWire has ended the stream ({why})"))),
            None => Ok(()),
        }
    }

    /// The rate of the graph, once it is known.
    pub fn graph_rate(&self) -> Option<u32> {
        Some(self.graph_rate.load(Ordering::Relaxed)).filter(|rate| *rate != 0)
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        // This waits for the graph's thread; what that thread uses goes only after it.
        let _ = self.stream.disconnect();
    }
}

impl Callback {
    fn process(&mut self, stream: &pw::stream::Stream) {
        let Some(mut buffer) = stream.dequeue_buffer() else { return };
        let delay = stream.time().map_or(Duration::ZERO, |time| self.delay(&time));
        let requested = usize::try_from(buffer.requested()).unwrap_or(0);
        let frame = self.device.frame_bytes();
        let Some(data) = buffer.datas_mut().first_mut() else { return };
        let filled = data.data().map_or(0, |data| {
            let room = data.len() / frame;
            let frames = if requested == 0 { room } else { requested.min(room) };
            let frames = &mut data[..frames * frame];
            self.lent.render(frames, frame, self.device.most_frames, self.device.rate, delay);
            frames.len()
        });
        let chunk = data.chunk_mut();
        *chunk.offset_mut() = 0;
        *chunk.stride_mut() = frame as i32;
        *chunk.size_mut() = filled as u32;
    }

    /// The time until the first frame of the buffer is heard: the sink's delay counts from the beginning of the cycle,
    /// and the resampler has frames of its own.
    fn delay(&self, time: &Time) -> Duration {
        let rate = time.rate();
        self.graph_rate.store(rate.denom, Ordering::Relaxed);
        let sink =
            i128::from(time.delay()) * 1_000_000_000 * i128::from(rate.num) / i128::from(rate.denom.max(1));
        let resampler = i128::from(time.buffered()) * 1_000_000_000 / i128::from(self.device.rate);
        let now = clock_gettime(ClockId::Monotonic);
        let now = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
        let passed = if time.now() == 0 { 0 } else { now - i128::from(time.now()) };
        Duration::from_nanos(u64::try_from(sink + resampler - passed).unwrap_or(0))
    }
}

fn about(name: &str, sink: Option<&str>, device: &Device, pace: Pace) -> PropertiesBox {
    let rate = device.rate;
    // A sink holds about two of these.
    let latency = frames(pace.buffer / 2, rate);
    let mut about = properties! {
        *pw::keys::MEDIA_TYPE => "Audio",
        *pw::keys::MEDIA_CATEGORY => "Playback",
        *pw::keys::MEDIA_ROLE => "Music",
        *pw::keys::MEDIA_NAME => name,
        *pw::keys::APP_NAME => "scream",
        *pw::keys::NODE_NAME => "scream",
        *pw::keys::NODE_LATENCY => format!("{latency}/{rate}"),
        *pw::keys::NODE_RATE => format!("1/{rate}"),
    };
    if let Some(sink) = sink {
        about.insert(*pw::keys::TARGET_OBJECT, sink);
    }
    about
}

/// The format as PipeWire reads it.
fn format(device: &Device) -> Vec<u8> {
    let mut info = AudioInfoRaw::new();
    info.set_format(AudioFormat::F32LE);
    info.set_rate(device.rate);
    info.set_channels(device.speakers.len() as u32);
    let mut positions = [0; MAX_CHANNELS];
    for (position, speaker) in positions.iter_mut().zip(&device.speakers) {
        *position = position_of(*speaker);
    }
    // One channel is heard from all loudspeakers.
    if device.speakers == [Speaker::FrontCenter] {
        positions[0] = pw::spa::sys::SPA_AUDIO_CHANNEL_MONO;
    }
    info.set_position(positions);
    let object = Object {
        type_: pw::spa::sys::SPA_TYPE_OBJECT_Format,
        id: pw::spa::sys::SPA_PARAM_EnumFormat,
        properties: info.into(),
    };
    let serialized = PodSerializer::serialize(Cursor::new(Vec::new()), &Value::Object(object));
    serialized.expect("memory takes any pod").0.into_inner()
}

fn position_of(speaker: Speaker) -> u32 {
    use pw::spa::sys;
    match speaker {
        Speaker::FrontLeft => sys::SPA_AUDIO_CHANNEL_FL,
        Speaker::FrontRight => sys::SPA_AUDIO_CHANNEL_FR,
        Speaker::FrontCenter => sys::SPA_AUDIO_CHANNEL_FC,
        Speaker::Subwoofer => sys::SPA_AUDIO_CHANNEL_LFE,
        Speaker::BackLeft => sys::SPA_AUDIO_CHANNEL_RL,
        Speaker::BackRight => sys::SPA_AUDIO_CHANNEL_RR,
        Speaker::FrontLeftOfCenter => sys::SPA_AUDIO_CHANNEL_FLC,
        Speaker::FrontRightOfCenter => sys::SPA_AUDIO_CHANNEL_FRC,
        Speaker::BackCenter => sys::SPA_AUDIO_CHANNEL_RC,
        Speaker::SideLeft => sys::SPA_AUDIO_CHANNEL_SL,
        Speaker::SideRight => sys::SPA_AUDIO_CHANNEL_SR,
        Speaker::TopCenter => sys::SPA_AUDIO_CHANNEL_TC,
        Speaker::TopFrontLeft => sys::SPA_AUDIO_CHANNEL_TFL,
        Speaker::TopFrontCenter => sys::SPA_AUDIO_CHANNEL_TFC,
        Speaker::TopFrontRight => sys::SPA_AUDIO_CHANNEL_TFR,
        Speaker::TopBackLeft => sys::SPA_AUDIO_CHANNEL_TRL,
        Speaker::Unplaced(channel) => sys::SPA_AUDIO_CHANNEL_AUX0 + u32::from(channel),
    }
}
