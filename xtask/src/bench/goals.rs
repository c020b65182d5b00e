//! What the figures should be, and whether they are.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use super::Measured;
use super::measure::{Fanout, Row};
use super::real::Real;
use super::report::{kib, name, quantile};

/// The most non-paged pool that the driver may have beside the WaveRT buffer, in bytes.
const MEMORY: usize = 128 * 1024;
/// Packets this far apart or more, in microseconds, get a wake-up each; those that are closer share them.
const WAKE_UP_US: f64 = 1000.0;
/// How much more 8 targets may cost than one.
const MOST_FOR_TARGETS: f64 = 3.0;
/// Ticks of the performance counter in a millisecond.
const MS: i64 = 10_000;

/// A figure and what it should be.
#[derive(Debug, PartialEq)]
pub struct Goal {
    /// The figure.
    pub what: &'static str,
    /// What it should be.
    pub goal: &'static str,
    /// What it is.
    pub measured: String,
    /// Whether it is as it should be.
    pub met: bool,
}

/// All goals.
pub fn goals(measured: &Measured) -> Vec<Goal> {
    let Measured { rows, fanout, usual, densest, idle, .. } = measured;
    let (apart, close): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.packet_us() >= WAKE_UP_US);
    let all: Vec<&Row> = rows.iter().collect();
    let (busiest, needless) =
        (|row: &Row| row.wake_times.busiest_second, |row: &Row| row.wake_times.needless);
    let wakes: u64 = idle.iter().map(|idle| idle.wakes).sum();
    let situations: Vec<&str> = idle.iter().map(|idle| idle.what).collect();
    vec![
        worst(
            "lateness, virtual clock",
            "0 ticks",
            &apart,
            latest,
            |ticks| ticks == 0,
            |ticks| format!("{ticks}"),
        ),
        worst(
            "lateness, virtual clock, of packets closer than 1 ms",
            "less than 1 ms",
            &close,
            latest,
            |ticks| ticks < MS,
            |ticks| format!("{:.4} ms", ticks as f64 / MS as f64),
        ),
        real("lateness, real clock, median", "under 0.2 ms", usual, 0.5, 0.2),
        real("lateness, real clock, 99th percentile", "under 2 ms", usual, 0.99, 2.0),
        worst(
            "wake-ups without a packet or notification",
            "none",
            &all,
            needless,
            |n| n == 0,
            |n| n.to_string(),
        ),
        worst(
            "wake-ups in the busiest second",
            "at most 1000",
            &all,
            busiest,
            |n| n <= 1000,
            |n| n.to_string(),
        ),
        Goal {
            what: "wake-ups while no stream runs",
            goal: "none",
            measured: format!("{wakes} ({})", situations.join(", ")),
            met: wakes == 0 && !idle.is_empty(),
        },
        worst(
            "driver code for each packet",
            "at most 2 µs",
            &all,
            |row| (row.cpu * 100.0).round() as i64,
            |hundredths| hundredths <= 200,
            |hundredths| format!("{:.2} µs", hundredths as f64 / 100.0),
        ),
        Goal {
            what: "driver code for 8 targets, against one",
            goal: "less than 3 times",
            measured: several(fanout),
            met: fanout.cpu < MOST_FOR_TARGETS
                && fanout.instructions.is_none_or(|more| more < MOST_FOR_TARGETS),
        },
        worst(
            "calls that allocate or print while it plays",
            "none",
            &all,
            |row| row.costly_calls,
            |calls| calls == 0,
            |calls| calls.to_string(),
        ),
        worst(
            "non-paged pool beside the WaveRT buffer",
            "at most 128 KiB",
            &all,
            |row| row.memory.total(),
            |bytes| bytes <= MEMORY,
            |bytes| format!("{:.1} KiB", kib(bytes)),
        ),
        Goal {
            what: "lost in real time at 49 Mbit/s",
            goal: "nothing",
            measured: lost(densest),
            met: densest.is_whole(),
        },
    ]
}

fn several(fanout: &Fanout) -> String {
    let instructions =
        fanout.instructions.map_or_else(String::new, |more| format!(", {more:.2} times the instructions"));
    format!("{:.2} times the time{instructions}; {:.1} KiB of pool", fanout.cpu, kib(fanout.memory))
}

fn latest(row: &Row) -> i64 {
    row.lateness.last().copied().unwrap_or(0)
}

/// A goal for the greatest value of some formats.
fn worst<T: Copy + Ord>(
    what: &'static str,
    goal: &'static str,
    rows: &[&Row],
    value: impl Fn(&Row) -> T,
    is_met: impl Fn(T) -> bool,
    told: impl Fn(T) -> String,
) -> Goal {
    let worst = rows.iter().map(|row| (value(row), row)).max_by_key(|(value, _)| *value);
    let measured = worst.map_or_else(
        || "nothing was measured".to_owned(),
        |(value, row)| format!("{} ({})", told(value), name(row.format)),
    );
    Goal { what, goal, measured, met: worst.is_some_and(|(value, _)| is_met(value)) }
}

/// A goal for a quantile of the lateness on the real clock, in milliseconds.
fn real(what: &'static str, goal: &'static str, real: &Real, part: f64, most: f64) -> Goal {
    let late = quantile(&real.lateness, part);
    let measured = format!("{late:.3} ms ({}{})", name(real.format), too_busy(real));
    Goal { what, goal, measured, met: late < most && !real.lateness.is_empty() }
}

fn lost(real: &Real) -> String {
    let verdict = if real.comparison.is_bit_exact() { "bit-exact" } else { "not bit-exact" };
    format!("{} of {} packets, {verdict} ({}{})", real.lost(), real.sent, name(real.format), too_busy(real))
}

/// What to say of a machine that did not come to play in time.
pub fn too_busy(real: &Real) -> String {
    match real.gaps {
        0 => String::new(),
        gaps => format!("; {gaps} gaps: this machine was too busy"),
    }
}

/// For people.
pub fn table(goals: &[Goal]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["figure", "goal", "measured (the worst)", ""]);
    for Goal { what, goal, measured, met } in goals {
        table.add_row([*what, *goal, measured.as_str(), if *met { "met" } else { "not met" }]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::measure::StartUp;
    use super::super::report::tests::row;
    use super::super::wakes::Wakes;
    use super::*;
    use protocol::{StreamFormat, default_mask};
    use std::time::Duration;
    use testbed::playback::{Comparison, Idle, Memory};

    fn real(lateness: Vec<f64>, channels: u16) -> Real {
        let sent = lateness.len() as u64;
        Real {
            format: StreamFormat::new(192_000, 32, channels, default_mask(channels)).unwrap(),
            sent,
            received: sent,
            comparison: Comparison::BitExact { silence: 0 },
            packets: Vec::new(),
            lateness,
            gaps: 0,
        }
    }

    fn good() -> Measured {
        let idle = |what| Idle { what, seconds: 10, wakes: 0, calls: 0 };
        let mut dense = row(192_000, 8);
        dense.lateness = vec![0, 9_999];
        Measured {
            rows: vec![row(44_100, 2), dense],
            fanout: Fanout { cpu: 2.99, instructions: Some(2.5), memory: 600 * 1024 },
            start_up: StartUp { cpu: Duration::ZERO, instructions: None },
            usual: real(vec![0.1, 0.199, 0.199], 2),
            densest: real(vec![0.5; 4], 8),
            idle: vec![idle("no stream"), idle("paused")],
        }
    }

    #[test]
    fn good_figures_meet_every_goal() {
        let missed: Vec<_> = goals(&good()).into_iter().filter(|goal| !goal.met).collect();
        assert_eq!(missed, []);
    }

    #[track_caller]
    fn missed(spoil: impl FnOnce(&mut Measured), what: &str, told: &str) {
        let mut measured = good();
        spoil(&mut measured);
        let missed: Vec<_> = goals(&measured).into_iter().filter(|goal| !goal.met).collect();
        let [Goal { what: missed, measured, .. }] = missed.as_slice() else { panic!("{missed:?}") };
        assert_eq!((*missed, measured.as_str()), (what, told));
    }

    #[test]
    fn each_goal_can_be_missed() {
        let (cd, dense) = ("44.1 kHz / 16 bit / stereo", "192 kHz / 16 bit / 8 channels");
        missed(|m| m.rows[0].lateness = vec![0, 1], "lateness, virtual clock", &format!("1 ({cd})"));
        missed(
            |m| m.rows[1].lateness = vec![10_000],
            "lateness, virtual clock, of packets closer than 1 ms",
            &format!("1.0000 ms ({dense})"),
        );
        let usual = "192 kHz / 32 bit / stereo";
        missed(|m| m.usual.lateness[1] = 0.2, "lateness, real clock, median", &format!("0.200 ms ({usual})"));
        missed(
            |m| m.usual.lateness[2] = 2.0,
            "lateness, real clock, 99th percentile",
            &format!("2.000 ms ({usual})"),
        );
        missed(
            |m| m.rows[1].wake_times = Wakes { needless: 3, busiest_second: 1000 },
            "wake-ups without a packet or notification",
            &format!("3 ({dense})"),
        );
        missed(
            |m| m.rows[0].wake_times = Wakes { needless: 0, busiest_second: 1001 },
            "wake-ups in the busiest second",
            &format!("1001 ({cd})"),
        );
        missed(|m| m.idle[1].wakes = 1, "wake-ups while no stream runs", "1 (no stream, paused)");
        missed(|m| m.rows[0].cpu = 2.01, "driver code for each packet", &format!("2.01 µs ({cd})"));
        missed(
            |m| m.fanout.instructions = Some(3.0),
            "driver code for 8 targets, against one",
            "2.99 times the time, 3.00 times the instructions; 600.0 KiB of pool",
        );
        missed(
            |m| m.rows[0].costly_calls = 2,
            "calls that allocate or print while it plays",
            &format!("2 ({cd})"),
        );
        missed(
            |m| m.rows[0].memory = Memory { blocks: 127 * 1024, requests: 1025 },
            "non-paged pool beside the WaveRT buffer",
            &format!("128.0 KiB ({cd})"),
        );
        let densest = "192 kHz / 32 bit / 8 channels";
        let lost = "lost in real time at 49 Mbit/s";
        missed(|m| m.densest.received = 3, lost, &format!("1 of 4 packets, bit-exact ({densest})"));
        missed(
            |m| m.densest.comparison = Comparison::Nothing,
            lost,
            &format!("0 of 4 packets, not bit-exact ({densest})"),
        );
        missed(
            |m| m.densest.gaps = 5,
            lost,
            &format!("0 of 4 packets, bit-exact ({densest}; 5 gaps: this machine was too busy)"),
        );
    }

    #[test]
    fn the_pool_may_be_full_to_its_last_byte() {
        let mut measured = good();
        measured.rows[0].memory = Memory { blocks: 127 * 1024, requests: 1024 };
        assert!(goals(&measured).iter().all(|goal| goal.met));
    }
}
