//! While it plays the player takes no memory: each allocation is counted.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use protocol::StreamFormat;
use receiver::intake::counters::Counters;
use receiver::intake::{Hearing, Intake};
use receiver::player::feed::Feed;
use receiver::player::status::Status;
use receiver::player::supply::{Device, SampleType, Supply};
use receiver::player::thread::Settings;
use receiver::program::inlet::{Inlet, Parts, Sink};
use receiver::sources::interfaces::Wanted;
use receiver::sources::{self, Listening};
use receiver::{Delivery, Moment, speakers};
use rtrb::RingBuffer;

/// The system's allocator, with a counter for each thread: what runs the tests takes memory, too.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has taken memory.
fn allocations_until_now() -> u64 {
    ALLOCATIONS.get()
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Plays packets of a format for `seconds`, one in fifty of them lost, and returns how often memory was taken after the device
/// was opened.
fn allocations(format: StreamFormat, bit_exact: bool, seconds: u64) -> u64 {
    let (mut queue, deliveries) = RingBuffer::new(1024);
    let (target, most) = (Duration::from_millis(50), Duration::from_millis(200));
    let settings = Settings { target, most, bit_exact, mix: false };
    let stop = Arc::new(AtomicBool::new(false));
    let mut feed = Feed::new(deliveries, Box::new(|| {}), settings, Arc::new(Status::default()), stop);
    let frames = u64::from(protocol::packet_frames(format).get());
    let bytes = vec![1; frames as usize * usize::from(format.bytes_per_frame().get())];
    let rate = format.rate().get();
    let samples = if bit_exact { SampleType::I32 } else { SampleType::F32 };
    let device = Device { rate, samples, speakers: speakers::of(format), most_frames: rate as usize / 200 };
    let mut block = vec![0; device.most_frames * device.frame_bytes()];
    let start = Moment(1_000_000_000);
    let at = |frame: u64| start + receiver::delivery::duration_of(frame, rate);
    let mut number = 0;
    let mut before = None;
    for period in 0..seconds * 200 {
        let now = at(period * device.most_frames as u64);
        while at((number + 1) * frames) <= now {
            if number % 50 != 49 {
                let packet = Delivery::new(0, at((number + 1) * frames), format, &bytes).expect("a packet");
                assert!(queue.push(packet).is_ok());
            }
            number += 1;
        }
        if before.is_none() && feed.next_format().is_some() {
            feed.attach(&device).expect("a device for the stream");
            before = Some(allocations_until_now());
        }
        if before.is_some() {
            feed.render(&mut block, now, Duration::from_millis(10));
        }
    }
    allocations_until_now() - before.expect("the stream was played")
}

/// Draws packets that have come to a socket, and returns how often memory was taken for it.
fn allocations_of_drawing() -> u64 {
    let own = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = own.local_addr().expect("it is bound").port();
    drop(own);
    let interface = Wanted::WithAddress(IpAddr::from([127, 0, 0, 1]));
    let opened = sources::open(&Listening::Unicast { port, interface }, Duration::from_millis(200));
    let (source, _) = opened.expect("the port is free");
    let (queue, mut deliveries) = RingBuffer::new(1024);
    let counters = Arc::new(Counters::default());
    let intake = Intake::new(Hearing::First, Arc::clone(&counters));
    let (news, _told) = mpsc::sync_channel(16);
    let sink = Sink::Player(queue);
    let inlet = Inlet::new(Parts { source, intake, sink, counters, news });
    let format = StreamFormat::new(48_000, 16, 2, 3).expect("a format");
    let packet = [&format.header()[..], &[1; 1152]].concat();
    let mut taken = 0;
    for round in 0..20 {
        for _ in 0..10 {
            sender.send_to(&packet, ("127.0.0.1", port)).expect("it is sent");
        }
        let before = allocations_until_now();
        inlet.draw();
        taken += allocations_until_now() - before;
        assert_eq!(deliveries.slots(), 10, "in round {round}");
        while deliveries.pop().is_ok() {}
    }
    taken
}

#[test]
fn no_memory_is_taken_while_a_stream_plays() {
    for (rate, bits, channels) in [(48_000, 16, 2), (44_100, 24, 1), (192_000, 32, 8)] {
        let format = StreamFormat::new(rate, bits, channels, protocol::default_mask(channels)).unwrap();
        for bit_exact in [false, true] {
            assert_eq!(allocations(format, bit_exact, 20), 0, "{format:?}, bit-exact: {bit_exact}");
        }
    }
}

#[test]
fn none_is_taken_for_what_comes_meanwhile() {
    assert_eq!(allocations_of_drawing(), 0);
}
