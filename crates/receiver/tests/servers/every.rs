//! What is asked of every server: to play each channel where it belongs, to keep the samples, and to be gone in time.

use std::thread;
use std::time::{Duration, Instant};

use crate::child::{Order, Outcome};
use crate::server::{SOON, Server, ServerProcess, Sink};

/// Plays tones for `seconds` on a server that is recorded for longer; they are heard from their speakers, with the same delay all
/// the time.
#[track_caller]
pub fn has_tones<S: Server>(sink: Sink, rate: u32, mask: u16, seconds: f64) {
    let server = S::start(sink);
    let recording = server.record(Duration::from_secs_f64((seconds + 1.0).ceil()));
    let order = Order::tones(S::OUTPUT, rate, mask, seconds);
    let report = order.start(&server.environment()).end(SOON);
    assert_eq!(report.outcome, Outcome::Played);
    report.has_steady_delay();
    assert_eq!(recording.finish().has_tones(order.format(), seconds), Ok(()));
}

/// Plays random samples of 5.1 bit-exactly; the server plays the same.
#[track_caller]
pub fn has_the_same_samples<S: Server>(sink: Sink, bits: u16) {
    let server = S::start(sink);
    let recording = server.record(Duration::from_secs(3));
    let order = Order::random(S::OUTPUT, sink.rate, bits, 0x3F, 0.8);
    assert_eq!(order.start(&server.environment()).end(SOON).outcome, Outcome::Played);
    assert_eq!(recording.finish().has_random(order.format(), 35_000), Ok(()));
}

/// Plays tones on a server that is to play for a second before something is done to it. Checks that the output ends
/// within 2 s of that because the server is gone, and gives the line that it says.
pub fn line_of_gone<S: ServerProcess>(change: impl FnOnce(&mut S)) -> String {
    let mut server = S::start(Sink::new(48_000, 0x3));
    let recording = server.record(Duration::from_secs(1));
    let player = Order::tones(S::OUTPUT, 48_000, 0x3, 60.0).start(&server.environment());
    recording.finish();
    change(&mut server);
    let since = Instant::now();
    let report = player.end(SOON);
    let took = since.elapsed();
    let Outcome::Gone(line) = report.outcome else { panic!("it should be gone, not {:?}", report.outcome) };
    assert!(report.frames > 0, "it did not play before");
    assert!(took < Duration::from_secs(2), "{took:?}");
    line
}

/// Plays tones on a server that hangs for a moment, as on a machine that is very busy: the output has to bring what is left
/// to the end.
pub fn plays_on_after_a_pause<S: ServerProcess>() {
    let mut server = S::start(Sink::new(48_000, 0x3));
    let recording = server.record(Duration::from_secs(1));
    let player = Order::tones(S::OUTPUT, 48_000, 0x3, 2.5).start(&server.environment());
    recording.finish();
    server.hang();
    thread::sleep(Duration::from_millis(400));
    server.resume();
    let report = player.end(SOON);
    assert_eq!(report.outcome, Outcome::Played);
    // The last block begins no more than a buffer before the end.
    assert!(report.frames > 110_000, "{} frames", report.frames);
}
