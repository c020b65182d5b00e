//! [`Meter`]: what a terminal shows while something plays: how loud each channel is, and how it goes.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use protocol::StreamFormat;

use super::{Snapshot, milliseconds, tell};
use crate::speakers::{self, Speaker};

/// What a level falls by each time, in dB: the eye does not follow faster.
const FALL: f64 = 3.0;
/// The left end of a bar, in dB.
const FLOOR: f64 = -60.0;
/// What a digital zero is shown as: less than the least sample of 32 bits.
const SILENCE: f64 = -192.0;
/// Most channels in a row.
const IN_A_ROW: usize = 4;
/// What a channel takes besides its bar: its name, its level, and spaces.
const AROUND: usize = 13;
/// The longest bar.
const LONGEST: usize = 40;

/// The meter.
pub struct Meter {
    bar: ProgressBar,
    format: Option<StreamFormat>,
    /// What is shown, in dB.
    shown: Vec<f64>,
}

impl Meter {
    /// On the standard error, which has to be a terminal.
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // A template without anything but a message is a right one; the other is only never reached.
        let style =
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        Self { bar, format: None, shown: Vec::new() }
    }

    /// Draws anew.
    pub fn show(&mut self, snapshot: &Snapshot, levels: Option<&(StreamFormat, Vec<u32>)>) {
        if let Some((format, peaks)) = levels {
            if self.format != Some(*format) {
                self.format = Some(*format);
                self.shown = vec![SILENCE; peaks.len()];
            }
            for (shown, peak) in self.shown.iter_mut().zip(peaks) {
                *shown = decibels(*peak).max((*shown - FALL).max(SILENCE));
            }
        }
        let columns = usize::from(console::Term::stderr().size().1);
        self.bar.set_message(text(self.format, &self.shown, snapshot, columns));
    }

    /// Prints a line above.
    pub fn above(&self, line: &str) {
        self.bar.suspend(|| tell(&format!("{line}\n")));
    }

    /// Leaves it on the screen as it is. It could not be found again there: the `^C` that has ended the program stands below.
    pub fn end(self) {
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
        tell("\n");
    }
}

/// A level in dB of full scale, of 2^31ths of it.
pub fn decibels(peak: u32) -> f64 {
    let level = 20.0 * (f64::from(peak) / 2_f64.powi(31)).log10();
    level.max(SILENCE)
}

/// How it goes, in one line.
pub fn figures(snapshot: &Snapshot) -> String {
    let mut parts = Vec::new();
    if let Some(figures) = &snapshot.figures {
        let (delay, target) = (milliseconds(figures.delay), milliseconds(figures.target));
        parts.push(format!("delay {delay:.0}/{target:.0} ms"));
        parts.push(format!("drift {:+.1} ppm", figures.drift_ppm));
        parts.push(format!("lost {}, late {}, underruns {}", figures.lost, figures.late, figures.underruns));
    }
    parts.push(format!("{} packets/s", snapshot.packets_per_second));
    parts.join(", ")
}

/// What the meter shows, in lines of at most so many columns.
fn text(format: Option<StreamFormat>, shown: &[f64], snapshot: &Snapshot, columns: usize) -> String {
    let most = columns.max(20) - 1;
    let cut = |line: String| line.chars().take(most).collect::<String>();
    let Some(format) = format else { return cut("waits for a stream".to_owned()) };
    let speakers = speakers::of(format);
    let rows = speakers.len().div_ceil(IN_A_ROW);
    let in_a_row = speakers.len().div_ceil(rows);
    let length = (most / in_a_row).saturating_sub(AROUND).min(LONGEST);
    let channels: Vec<_> = speakers.into_iter().zip(shown).collect();
    let row = |row: &[(Speaker, &f64)]| {
        cut(row.iter().map(|(speaker, level)| channel(*speaker, **level, length)).collect::<String>())
    };
    let mut lines: Vec<_> = channels.chunks(in_a_row).map(row).collect();
    lines.push(cut(figures(snapshot)));
    lines.join("\n")
}

/// A channel: ` FL ━━━━━━━━────  -12.3`.
fn channel(speaker: Speaker, level: f64, length: usize) -> String {
    let part = (1.0 - level / FLOOR).clamp(0.0, 1.0);
    let full = (part * length as f64).round() as usize;
    let number = if level <= SILENCE { "silent".to_owned() } else { format!("{level:.1}") };
    format!("{:>4} {}{} {number:>6} ", name(speaker), "━".repeat(full), "─".repeat(length - full))
}

/// What a speaker is called where there is little room.
fn name(speaker: Speaker) -> String {
    let name = match speaker {
        Speaker::FrontLeft => "FL",
        Speaker::FrontRight => "FR",
        Speaker::FrontCenter => "FC",
        Speaker::Subwoofer => "LFE",
        Speaker::BackLeft => "BL",
        Speaker::BackRight => "BR",
        Speaker::FrontLeftOfCenter => "FLC",
        Speaker::FrontRightOfCenter => "FRC",
        Speaker::BackCenter => "BC",
        Speaker::SideLeft => "SL",
        Speaker::SideRight => "SR",
        Speaker::TopCenter => "TC",
        Speaker::TopFrontLeft => "TFL",
        Speaker::TopFrontCenter => "TFC",
        Speaker::TopFrontRight => "TFR",
        Speaker::TopBackLeft => "TBL",
        Speaker::Unplaced(channel) => return (channel + 1).to_string(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::player::status::Figures;

    fn snapshot() -> Snapshot {
        let figures = Figures {
            delay: Duration::from_millis(52),
            target: Duration::from_millis(50),
            drift_ppm: 12.34,
            lost: 1,
            ..Figures::default()
        };
        Snapshot { figures: Some(figures), packets_per_second: 167, ..Snapshot::default() }
    }

    #[test]
    fn full_scale_is_zero_decibels_and_half_of_it_six_less() {
        assert_eq!(decibels(1 << 31), 0.0);
        assert_eq!(format!("{:.2}", decibels(1 << 30)), "-6.02");
        assert_eq!(decibels(0), SILENCE);
    }

    #[test]
    fn each_channel_has_a_bar_and_the_figures_follow() {
        let format = StreamFormat::new(48_000, 16, 2, 0x3).expect("a format");
        assert_eq!(
            text(Some(format), &[-30.0, SILENCE], &snapshot(), 50),
            "  FL ━━━━━━─────  -30.0   FR ─────────── silent \n\
             delay 52/50 ms, drift +12.3 ppm, lost 1, late 0, "
        );
    }

    #[test]
    fn no_line_is_longer_than_the_terminal() {
        for channels in 1..=8 {
            let format = StreamFormat::new(48_000, 16, channels, 0).expect("a format");
            for columns in [20, 40, 80, 200] {
                let levels = vec![-3.0; channels.into()];
                let text = text(Some(format), &levels, &snapshot(), columns);
                assert!(text.lines().all(|line| line.chars().count() < columns), "{columns}: {text}");
                assert_eq!(text.lines().count(), if channels > 4 { 3 } else { 2 });
            }
        }
    }

    #[test]
    fn before_anything_is_heard_it_says_so() {
        assert_eq!(text(None, &[], &Snapshot::default(), 80), "waits for a stream");
    }

    #[test]
    fn without_a_player_there_are_only_packets() {
        assert_eq!(figures(&Snapshot { packets_per_second: 3, ..Snapshot::default() }), "3 packets/s");
    }
}
