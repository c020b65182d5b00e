//! The totals at the end, as people read them.

use super::{Mean, Snapshot, milliseconds};

/// The totals, a line each; what did not happen is left out, unless it is what people look for.
pub fn of(snapshot: &Snapshot, delays: Mean) -> String {
    let totals = &snapshot.totals;
    let mut table = Table::default();
    table.always("seconds", format!("{:.1}", snapshot.time.as_secs_f64()));
    table.always("received", format!("{} packets, {} bytes", totals.received, totals.received_bytes));
    table.always("used", totals.delivered.to_string());
    for (name, count) in [
        ("too short for a header", totals.runts),
        ("unknown format", totals.formats),
        ("without audio", totals.empty),
        ("too long", totals.oversize),
        ("ending inside a frame", totals.partial),
        ("single ones of another format", totals.stray),
        ("of senders that are ignored", totals.ignored),
        ("dropped, nobody played them", totals.dropped),
        ("missed in shared memory", totals.missed),
    ] {
        table.unless_zero(name, count);
    }
    if let Some(figures) = &snapshot.figures {
        table.always("lost", figures.lost.to_string());
        table.unless_zero("doubled", figures.doubled);
        table.always("late", figures.late.to_string());
        table.always("underruns", figures.underruns.to_string());
        table.unless_zero("cuts", figures.cuts);
        if let Some(delay) = delays.get() {
            let target = milliseconds(figures.target);
            table.always("mean delay", format!("{:.1} ms, target {target:.0} ms", milliseconds(delay)));
            table.always("drift", format!("{:+.1} ppm", figures.drift_ppm));
        }
    }
    table.text
}

#[derive(Default)]
struct Table {
    text: String,
}

impl Table {
    fn always(&mut self, name: &str, value: String) {
        self.text.push_str(&format!("{name:<30} {value}\n"));
    }

    fn unless_zero(&mut self, name: &str, count: u64) {
        if count > 0 {
            self.always(name, count.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::intake::counters::Totals;
    use crate::player::status::Figures;

    #[test]
    fn what_did_not_happen_is_left_out() {
        let totals =
            Totals { received: 3, received_bytes: 3471, delivered: 2, runts: 1, ..Totals::default() };
        let snapshot = Snapshot { time: Duration::from_millis(1500), totals, ..Snapshot::default() };
        let expected = "\
seconds                        1.5
received                       3 packets, 3471 bytes
used                           2
too short for a header         1
";
        assert_eq!(of(&snapshot, Mean::default()), expected);
    }

    #[test]
    fn a_player_adds_what_people_look_for() {
        let figures = Figures { target: Duration::from_millis(50), drift_ppm: -3.21, ..Figures::default() };
        let snapshot = Snapshot { figures: Some(figures), ..Snapshot::default() };
        let mut delays = Mean::default();
        for value in [0, 50, 52] {
            delays.add(Duration::from_millis(value));
        }
        let text = of(&snapshot, delays);
        let lines: Vec<_> =
            text.lines().skip(3).map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(
            lines.iter().map(|words| words.join(" ")).collect::<Vec<_>>(),
            ["lost 0", "late 0", "underruns 0", "mean delay 51.0 ms, target 50 ms", "drift -3.2 ppm"]
        );
    }
}
