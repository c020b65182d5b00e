//! A progress bar with a level meter, for people who wait.

use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Listener, Song};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Shows how far a song has come until the thread that plays it ends; `rate` adds the packets of the last second.
///
/// # Errors
/// The thread's own; or it panicked.
pub fn watch<T>(song: &Song, listener: &Listener, rate: bool, player: JoinHandle<Result<T>>) -> Result<T> {
    let (frames, per_second) = (song.frames() as u64, u64::from(song.format.rate().get()));
    let style = ProgressStyle::with_template("{prefix} [{bar:32}] {msg}")?.progress_chars("=> ");
    let bar = ProgressBar::new(frames).with_style(style);
    let progress = listener.progress();
    let mut packets = PacketRate::default();
    while !player.is_finished() {
        std::thread::sleep(TICK);
        let position = progress.frames.load(Ordering::Relaxed).min(frames);
        bar.set_position(position);
        bar.set_prefix(format!("{} of {}", clock(position, per_second), clock(frames, per_second)));
        let level = meter(progress.take_level());
        let now = packets.update(Instant::now(), progress.packets.load(Ordering::Relaxed));
        bar.set_message(if rate { format!("{level} {now:5.0} packets/s") } else { level });
    }
    bar.finish_and_clear();
    player.join().map_err(|_| anyhow!("the testbed panicked"))?
}

/// Minutes and seconds of so many frames.
fn clock(frames: u64, rate: u64) -> String {
    format!("{}:{:04.1}", frames / rate / 60, (frames % (60 * rate)) as f64 / rate as f64)
}

/// A level meter: 3 dB for each mark.
fn meter(level: f64) -> String {
    let marks = ((level + 48.0) / 3.0).clamp(0.0, 16.0) as usize;
    format!("[{:<16}] {level:6.1} dB", "#".repeat(marks))
}

/// Packets per second, over about the last second.
#[derive(Default)]
struct PacketRate {
    seen: Vec<(Instant, u64)>,
}

impl PacketRate {
    fn update(&mut self, now: Instant, packets: u64) -> f64 {
        self.seen.push((now, packets));
        while self.seen.len() > 2 && now.duration_since(self.seen[0].0) > Duration::from_secs(1) {
            self.seen.remove(0);
        }
        let (first, before) = self.seen[0];
        (packets - before) as f64 / now.duration_since(first).as_secs_f64().max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_is_full_at_full_scale_and_empty_in_silence() {
        assert_eq!(meter(0.0), "[################]    0.0 dB");
        assert_eq!(meter(-186.6), "[                ] -186.6 dB");
    }

    #[test]
    fn the_packet_rate_forgets_what_is_older_than_a_second() {
        let start = Instant::now();
        let mut rate = PacketRate::default();
        let at = |tenths: u64| start + Duration::from_millis(100 * tenths);
        rate.update(at(0), 0);
        assert_eq!(rate.update(at(10), 100).round(), 100.0);
        assert_eq!(rate.update(at(20), 300).round(), 200.0);
    }
}
