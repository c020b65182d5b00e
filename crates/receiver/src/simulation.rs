//! A sender, a network and a sound card that exist in numbers only: hours of playing in seconds.
//!
//! The audio says of each frame which one it is: the left channel is the cosine and the right the sine of an angle that goes
//! once around in a second. So the true delay is heard, whatever the player believes.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use protocol::StreamFormat;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::player::feed::Feed;
use crate::player::status::{Figures, Status};
use crate::player::supply::{Device, SampleType, Supply};
use crate::player::thread::Settings;
use crate::speakers::Speaker;
use crate::{Delivery, Moment};

/// Frames per second of sender and sound card.
pub const RATE: u32 = 48_000;
/// Frames of a packet.
const PACKET: u64 = 288;
/// How loud the audio is.
const AMPLITUDE: f64 = 0.5;
/// Packets that are under way at the most.
const QUEUE: usize = 4096;

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// How long the sender plays.
    pub time: Duration,
    /// How much faster the sender's clock is, in millionths.
    pub drift_ppm: f64,
    /// Packets are held up for up to so long, each as it happens, but do not overtake each other.
    pub jitter: Duration,
    /// How many of a million packets are lost.
    pub lost_of_a_million: u64,
    /// How many of a million come twice.
    pub doubled_of_a_million: u64,
    /// Each so often nothing comes for a while, and then all at once: how often, and for how long.
    pub stall: Option<(Duration, Duration)>,
    /// Each so often the sender pauses: how often, and for how long.
    pub pause: Option<(Duration, Duration)>,
    /// How the stream is to be played.
    pub settings: Settings,
    /// Frames that the sound card asks for at once.
    pub period: usize,
    /// How long before the first of them is heard.
    pub device_delay: Duration,
    /// How much later than it should be the card is asked, at most, each time as it happens.
    pub device_jitter: Duration,
    /// Which of all simulations of this kind it is.
    pub seed: u64,
    /// Whether somebody listens; that takes longer than the rest.
    pub heard: bool,
}

impl Default for Plan {
    /// A minute of perfect conditions, with the program's own settings.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            drift_ppm: 0.0,
            jitter: Duration::ZERO,
            lost_of_a_million: 0,
            doubled_of_a_million: 0,
            stall: None,
            pause: None,
            settings: Settings {
                target: Duration::from_millis(50),
                most: Duration::from_millis(200),
                bit_exact: false,
                mix: false,
            },
            period: 240,
            device_delay: Duration::from_millis(10),
            device_jitter: Duration::ZERO,
            seed: 1,
            heard: true,
        }
    }
}

/// The true delay in a tenth of a second: from when the sender played what was heard, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delay {
    /// When, in seconds since the sender began.
    pub time: f64,
    /// The least.
    pub least: f64,
    /// On average.
    pub mean: f64,
    /// The greatest.
    pub most: f64,
    /// How many frames were heard.
    frames: u32,
}

/// What was heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The delay in each tenth of a second in which audio was heard.
    pub delays: Vec<Delay>,
    /// Packets that the sender sent.
    pub packets: u64,
    /// Packets that the network lost.
    pub lost: u64,
    /// Interruptions of the audio.
    pub gaps: u64,
    /// The greatest step from one sample to the next, in parts of full scale.
    pub steepest: f64,
    /// What the player says at the end.
    pub figures: Figures,
    /// The delay that the player aimed at, in milliseconds, each second.
    pub targets: Vec<f64>,
}

/// Plays.
pub fn run(plan: &Plan) -> Heard {
    run_and_tell(plan, &mut |_| {})
}

/// Plays, and tells each minute how many of them have passed.
pub fn run_and_tell(plan: &Plan, passed: &mut dyn FnMut(u64)) -> Heard {
    let (queue, deliveries) = RingBuffer::new(QUEUE);
    let mut card = Card::new(plan, deliveries);
    let mut network = Network::new(plan, queue);
    let mut heard = Heard::default();
    let mut random = Random(plan.seed ^ 0x5EED);
    let end = START.later(plan.time);
    let mut period: u64 = 0;
    let each_minute = u64::from(RATE) * 60 / plan.period as u64;
    loop {
        let due = START.later(crate::delivery::duration_of(period * plan.period as u64, RATE));
        if due > end {
            break;
        }
        let late = random.up_to(plan.device_jitter);
        network.deliver(due + late);
        card.play(due, late, &mut heard);
        period += 1;
        if period.is_multiple_of(each_minute) {
            passed(period / each_minute);
        }
    }
    (heard.packets, heard.lost) = (network.sent, network.lost);
    heard.figures = card.status.figures();
    heard
}

/// When the sender begins.
const START: Moment = Moment(1_000_000_000);

/// Numbers as they happen: xorshift64*, of Vigna (2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_nanos((self.next() >> 11) % (most.as_nanos() as u64 + 1))
    }

    fn one_of_a_million(&mut self, parts: u64) -> bool {
        (self.next() >> 11) % 1_000_000 < parts
    }
}

/// Sender and network.
struct Network<'a> {
    plan: &'a Plan,
    queue: Producer<Delivery>,
    random: Random,
    under_way: VecDeque<Delivery>,
    sent: u64,
    lost: u64,
    /// When the last packet came.
    last: Moment,
    audio: Vec<u8>,
}

/// When the sender plays a frame.
fn sender_time(frame: u64, drift_ppm: f64) -> u64 {
    (frame as f64 / (f64::from(RATE) * (1.0 + drift_ppm / 1e6)) * 1e9) as u64
}

/// Whether a time is in the last part of a repeated time.
fn is_in(when: u64, repeated: Option<(Duration, Duration)>) -> Option<u64> {
    let (each, part) = repeated?;
    let (each, part) = (each.as_nanos() as u64, part.as_nanos() as u64);
    (when % each >= each - part).then(|| when - when % each + each)
}

impl<'a> Network<'a> {
    fn new(plan: &'a Plan, queue: Producer<Delivery>) -> Self {
        let under_way = VecDeque::new();
        Self {
            plan,
            queue,
            random: Random(plan.seed),
            under_way,
            sent: 0,
            lost: 0,
            last: START,
            audio: second(),
        }
    }

    /// Delivers what has come by `now`.
    fn deliver(&mut self, now: Moment) {
        while START.0 + sender_time((self.sent + 1) * PACKET, self.plan.drift_ppm) <= now.0 {
            self.send();
        }
        while self.under_way.front().is_some_and(|packet| packet.arrived() <= now) {
            let Some(packet) = self.under_way.pop_front() else { break };
            assert!(self.queue.push(packet).is_ok(), "the player does not take packets");
        }
    }

    fn send(&mut self) {
        let number = self.sent;
        self.sent += 1;
        let sent = sender_time(self.sent * PACKET, self.plan.drift_ppm);
        let jitter = self.random.up_to(self.plan.jitter);
        if is_in(sent, self.plan.pause).is_some() {
            return;
        }
        if self.random.one_of_a_million(self.plan.lost_of_a_million) {
            self.lost += 1;
            return;
        }
        let released = is_in(sent, self.plan.stall).unwrap_or(sent);
        let arrived = Moment(START.0 + released).later(jitter).max(self.last);
        self.last = arrived;
        let format = StreamFormat::new(RATE, 16, 2, 3).expect("a format");
        let first = (number * PACKET % u64::from(RATE)) as usize * 4;
        let pcm = &self.audio[first..first + PACKET as usize * 4];
        let packet = Delivery::new(0, arrived, format, pcm).expect("a packet");
        if self.random.one_of_a_million(self.plan.doubled_of_a_million) {
            self.under_way.push_back(packet.clone());
        }
        self.under_way.push_back(packet);
    }
}

/// A second of the audio, and as much again as a packet has.
fn second() -> Vec<u8> {
    let frames = (0..u64::from(RATE) + PACKET).flat_map(|frame| {
        let angle = TAU * (frame % u64::from(RATE)) as f64 / f64::from(RATE);
        [angle.cos(), angle.sin()]
    });
    frames.flat_map(|value| ((value * AMPLITUDE * 32_768.0).round() as i16).to_le_bytes()).collect()
}

/// The sound card, and who listens to it.
struct Card<'a> {
    plan: &'a Plan,
    feed: Feed,
    status: Arc<Status>,
    attached: bool,
    bytes: Vec<u8>,
    /// The last frame, and how loud the last frames were.
    last: (f64, f64),
    was_loud: bool,
    second: u64,
}

impl<'a> Card<'a> {
    fn new(plan: &'a Plan, deliveries: Consumer<Delivery>) -> Self {
        let status = Arc::new(Status::default());
        let stop = Arc::new(AtomicBool::new(false));
        let feed = Feed::new(deliveries, Box::new(|| {}), plan.settings, Arc::clone(&status), stop);
        let bytes = vec![0; plan.period * 8];
        Self { plan, feed, status, attached: false, bytes, last: (0.0, 0.0), was_loud: false, second: 0 }
    }

    /// Plays a period, for which the card should ask at `due` and asks so much later.
    fn play(&mut self, due: Moment, late: Duration, heard: &mut Heard) {
        if !self.attached {
            if self.feed.next_format().is_none() {
                return;
            }
            let speakers = vec![Speaker::FrontLeft, Speaker::FrontRight];
            let device =
                Device { rate: RATE, samples: SampleType::F32, speakers, most_frames: self.plan.period };
            self.feed.attach(&device).expect("a device for every stream");
            self.attached = true;
        }
        let delay = self.plan.device_delay.saturating_sub(late);
        self.feed.render(&mut self.bytes, due + late, delay);
        if !self.plan.heard {
            return;
        }
        let first = (due + self.plan.device_delay).0 - START.0;
        let frames: Vec<(f64, f64)> = self.bytes.as_chunks::<8>().0.iter().map(frame).collect();
        for (index, frame) in frames.into_iter().enumerate() {
            self.listen(first as f64 / 1e9 + index as f64 / f64::from(RATE), frame, heard);
        }
        if first / 1_000_000_000 > self.second {
            self.second = first / 1_000_000_000;
            heard.targets.push(self.status.figures().target.as_secs_f64() * 1e3);
        }
    }

    /// Hears a frame at a time, in seconds since the sender began.
    fn listen(&mut self, time: f64, (left, right): (f64, f64), heard: &mut Heard) {
        let step = (left - self.last.0).abs().max((right - self.last.1).abs());
        heard.steepest = heard.steepest.max(step);
        self.last = (left, right);
        let loudness = left.hypot(right);
        if loudness < AMPLITUDE * 0.05 {
            heard.gaps += u64::from(std::mem::take(&mut self.was_loud));
        }
        if loudness < AMPLITUDE * 0.95 {
            return;
        }
        self.was_loud = true;
        // Of the frames that have this angle, the one that was played last when this is heard.
        let angle = right.atan2(left).rem_euclid(TAU) / TAU;
        let played = time * (1.0 + self.plan.drift_ppm / 1e6);
        let delay = (played - angle).rem_euclid(1.0) * 1e3;
        heard.note((time * 10.0).floor() / 10.0, delay);
    }
}

impl Heard {
    fn note(&mut self, tenth: f64, delay: f64) {
        match self.delays.last_mut() {
            Some(last) if last.time == tenth => {
                last.frames += 1;
                last.mean += (delay - last.mean) / f64::from(last.frames);
                (last.least, last.most) = (last.least.min(delay), last.most.max(delay));
            }
            _ => self.delays.push(Delay { time: tenth, least: delay, mean: delay, most: delay, frames: 1 }),
        }
    }
}

fn frame(bytes: &[u8; 8]) -> (f64, f64) {
    let [a, b, c, d, e, f, g, h] = *bytes;
    (f32::from_le_bytes([a, b, c, d]).into(), f32::from_le_bytes([e, f, g, h]).into())
}
