//! What is fuzzed: each function takes any bytes and must not panic; what it asserts must hold for all of them.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use receiver::intake::counters::Counters;
use receiver::intake::{Destination, Hearing, Intake};
use receiver::player::feed::Feed;
use receiver::player::status::Status;
use receiver::player::supply::{Device, SampleType, Supply};
use receiver::player::thread::Settings;
use receiver::sources::{self, Datagram, Listening, Sender};
use receiver::speakers::Speaker;
use receiver::{Delivery, Moment};
use rtrb::{Producer, RingBuffer};

/// Packets that may wait.
const QUEUE: usize = 64;
/// The most frames that are rendered at once.
const MOST: usize = 480;

/// Where what the intake believes goes.
struct Queue(Producer<Delivery>);

impl Destination for Queue {
    fn deliver(&mut self, delivery: Delivery) -> io::Result<bool> {
        Ok(self.0.push(delivery).is_ok())
    }
}

/// A listener who asks for frames from time to time.
struct Listener {
    feed: Feed,
    device: Device,
    attached: bool,
    frames: Vec<u8>,
}

impl Listener {
    /// With the settings that some bits stand for.
    fn new(bits: u8) -> (Queue, Self) {
        let (queue, deliveries) = RingBuffer::new(QUEUE);
        let settings = Settings {
            target: Duration::from_millis(u64::from(bits & 3) * 20),
            most: Duration::from_millis(100),
            bit_exact: bits & 4 != 0,
            mix: bits & 4 == 0 && bits & 8 != 0,
        };
        let speakers = vec![Speaker::FrontLeft, Speaker::FrontRight];
        let samples = if settings.bit_exact { SampleType::I32 } else { SampleType::F32 };
        let device = Device { rate: 48_000, samples, speakers, most_frames: MOST };
        let stop = Arc::new(AtomicBool::new(false));
        let feed = Feed::new(deliveries, Box::new(|| {}), settings, Arc::new(Status::default()), stop);
        (Queue(queue), Self { feed, device, attached: false, frames: vec![0; MOST * 8] })
    }

    /// Plays so many frames, if there is a stream that the device can play.
    fn listen(&mut self, now: Moment, frames: usize) {
        if !self.attached {
            self.attached = self.feed.next_format().is_some() && self.feed.attach(&self.device).is_ok();
        }
        if !self.attached {
            self.feed.leave_out_old(now);
            return;
        }
        let frames = &mut self.frames[..frames.min(MOST) * 8];
        let next = self.feed.render(frames, now, Duration::from_millis(10));
        if self.device.samples == SampleType::F32 {
            // What several senders make together may be louder than full scale, but it is sound.
            let samples = frames.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            assert!(samples.into_iter().all(|sample| sample.abs() < 64.0));
        }
        if next == receiver::player::supply::Next::Over {
            self.feed.detach();
            self.attached = false;
        }
    }
}

/// Datagrams of any content from any senders at any time: each is counted once, and what is heard is sound.
pub fn datagrams(data: &[u8]) {
    let Some((&bits, mut rest)) = data.split_first() else { return };
    let hearing = match bits >> 4 & 3 {
        0 => Hearing::First,
        1 => Hearing::Only { address: [10, 0, 0, 1].into(), port: None },
        _ if bits & 4 == 0 && bits & 8 != 0 => Hearing::Mix,
        _ => Hearing::First,
    };
    let (mut queue, mut listener) = Listener::new(bits);
    let counters = Arc::new(Counters::default());
    let mut intake = Intake::new(hearing, Arc::clone(&counters));
    let (mut now, mut sent) = (Moment(1_000_000_000), 0);
    while let Some((&[time, sender, length], after)) = rest.split_first_chunk() {
        let length = usize::from(length) * 5;
        let (bytes, after) = after.split_at(length.min(after.len()));
        rest = after;
        now = now + Duration::from_micros(u64::from(time) * u64::from(time) * 10);
        let address = SocketAddr::from(([10, 0, 0, sender & 7], 4010 + u16::from(sender >> 3)));
        let datagram = Datagram { sender: Sender::Address(address), arrived: now, bytes };
        intake.take(&datagram, &mut queue).expect("a queue is never closed");
        sent += 1;
        assert_eq!(counters.totals().received, sent);
        listener.listen(now, usize::from(time) * 2);
        assert!(intake.notices().count() < 64);
    }
}

/// A file that is a region.
fn region() -> (File, PathBuf) {
    let path = std::env::temp_dir().join(format!("scream-fuzz-{}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    let file = file.expect("a file for the region");
    file.set_len(4096).expect("a region of 4 KiB");
    (file, path)
}

/// A region in which anything is written at any time: what is read of it is packets, and what is heard is sound.
pub fn shared_memory(data: &[u8]) {
    let Some((&bits, mut rest)) = data.split_first() else { return };
    let (file, path) = region();
    let opened = sources::open(&Listening::SharedMemory(path.clone()), Duration::from_millis(100));
    let (mut source, _) = opened.expect("a region");
    let (mut queue, mut listener) = Listener::new(bits & !8);
    let counters = Arc::new(Counters::default());
    let mut intake = Intake::new(Hearing::First, Arc::clone(&counters));
    while let Some((&[low, high, length, size], after)) = rest.split_first_chunk() {
        let (bytes, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        let at = u16::from_le_bytes([low, high]) % 4096;
        file.write_all_at(bytes, u64::from(at)).expect("the region can be written");
        // Also what a file may be made by others: shorter, or longer again.
        file.set_len(if size < 250 { 4096 } else { u64::from(255 - size) * 700 }).expect("a size");
        for _ in 0..4 {
            if let Ok(Some(datagram)) = source.next(Duration::ZERO) {
                intake.take(&datagram, &mut queue).expect("a queue is never closed");
            }
        }
        listener.listen(Moment::now(), usize::from(length));
    }
    let totals = counters.totals();
    // A stream may have a rate that nobody plays.
    let refused = totals.runts + totals.empty + totals.oversize + totals.partial;
    assert_eq!(refused, 0, "what is read of a region is packets: {totals:?}");
    drop(std::fs::remove_file(path));
}
