//! What the benchmark of the receiver prints.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use receiver::simulation::Delay;

use super::Measured;
use super::hours::{Day, Hour};
use super::live::Live;
use crate::bench::goals::{self, Goal};

/// How far the delay may be from its target, in milliseconds.
const TOLERATED: f64 = 10.0;
/// The most that a real player may take of a core.
const MOST_CPU: f64 = 0.01;
/// How much memory may grow in a day, in KiB.
const MOST_GROWTH: u64 = 64;

/// Everything that was measured, for people.
pub fn report(measured: &Measured) -> String {
    let Measured { hours, live, day } = measured;
    let mut text = format!("{}\n{FOOTNOTE}\n\n", table(hours));
    let _ = writeln!(
        text,
        "scream     {:.2} % of a core, {} KiB of memory, {} KiB 40 s later (48 kHz stereo on PulseAudio, resampled)\n\
         {:11}{:.2} % where the processors sleep in between: it then includes what it takes to wake them up",
        live.cpu * 100.0,
        live.memory.0,
        live.memory.1,
        "",
        live.cpu_drowsy * 100.0
    );
    if let Some(day) = day {
        let (first, last) = day.memory;
        let _ = writeln!(
            text,
            "a day      {first} KiB of memory after an hour, {last} KiB at its end; {:.2} % of a core in real time",
            day.cpu * 100.0
        );
    }
    let _ = writeln!(text, "\n{}", goals::table(&goals_of(measured)));
    text
}

const FOOTNOTE: &str = "A simulated hour each: the sender's clock is 100 ppm fast, packets are held up for 0 to 20 ms without overtaking each\n\
     other, and 1 % are lost. The delay is heard: the audio says which frame it is. Averaged over tenths of a second; momentary:\n\
     the least and the greatest of single frames, which are off where several packets in a row are lost, until that is known.";

fn table(hours: &[Hour]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "target\nms",
        "delay, averaged\nleast / greatest, ms",
        "momentary\nleast / greatest, ms",
        "packets\nlost / found",
        "gaps\nheard",
        "underruns",
        "found drift\nppm",
    ]);
    for Hour { target, heard } in hours {
        let (least, most) = range(&heard.delays, |delay| delay.mean, |delay| delay.mean);
        let (lowest, highest) = range(&heard.delays, |delay| delay.least, |delay| delay.most);
        table.add_row([
            format!("{target}"),
            format!("{least:.1} / {most:.1}"),
            format!("{lowest:.1} / {highest:.1}"),
            format!("{} / {}", heard.lost, heard.figures.lost),
            heard.gaps.to_string(),
            heard.figures.underruns.to_string(),
            format!("{:.0}", heard.figures.drift_ppm),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn range(delays: &[Delay], least: fn(&Delay) -> f64, most: fn(&Delay) -> f64) -> (f64, f64) {
    let lowest = delays.iter().map(least).fold(f64::MAX, f64::min);
    (lowest, delays.iter().map(most).fold(0.0, f64::max))
}

fn goals_of(measured: &Measured) -> Vec<Goal> {
    let Measured { hours, live, day } = measured;
    let mut goals: Vec<Goal> = hours.iter().take(1).flat_map(goals_of_hour).collect();
    goals.push(goal_of_cpu(live));
    goals.extend(day.iter().map(goal_of_day));
    goals
}

fn goals_of_hour(hour: &Hour) -> [Goal; 2] {
    let (least, most) = range(&hour.heard.delays, |delay| delay.mean, |delay| delay.mean);
    let off = (hour.target - least).max(most - hour.target);
    let underruns = hour.heard.figures.underruns;
    [
        Goal {
            what: "delay, averaged over tenths of a second, from its target",
            goal: "at most 10 ms",
            measured: format!("{off:.1} ms (target {} ms)", hour.target),
            met: off <= TOLERATED,
        },
        Goal {
            what: "underruns beside the lost packets",
            goal: "none",
            measured: format!("{underruns} in an hour"),
            met: underruns == 0,
        },
    ]
}

fn goal_of_cpu(live: &Live) -> Goal {
    Goal {
        what: "processor time of scream at 48 kHz stereo",
        goal: "under 1 % of a core",
        measured: format!("{:.2} % (processors awake)", live.cpu * 100.0),
        met: live.cpu < MOST_CPU,
    }
}

fn goal_of_day(day: &Day) -> Goal {
    let growth = day.memory.1.saturating_sub(day.memory.0);
    Goal {
        what: "memory over a day, after its first hour",
        goal: "flat",
        measured: format!("{growth} KiB more"),
        met: growth <= MOST_GROWTH,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use receiver::simulation::{Plan, run};

    use super::*;

    fn measured() -> Measured {
        let heard = run(&Plan { time: Duration::from_secs(5), ..Plan::default() });
        let live = Live { cpu: 0.0062, cpu_drowsy: 0.0091, memory: (9000, 9004) };
        let day = Some(Day { memory: (8000, 8000), cpu: 0.004 });
        Measured { hours: vec![Hour { target: 50.0, heard }], live, day }
    }

    #[test]
    fn good_figures_meet_every_goal_and_are_all_there() {
        let measured = measured();
        assert!(goals_of(&measured).iter().all(|goal| goal.met), "{:?}", goals_of(&measured));
        let text = report(&measured);
        for part in ["50.0 / 50.0", "0 / 0", "0.62 % of a core", "0.91 % where", "8000 KiB at its end"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn each_goal_can_be_missed() {
        let missed = |spoil: fn(&mut Measured)| {
            let mut measured = measured();
            spoil(&mut measured);
            let goals = goals_of(&measured);
            goals.iter().filter(|goal| !goal.met).map(|goal| goal.measured.clone()).collect::<Vec<_>>()
        };
        assert_eq!(missed(|m| m.hours[0].target = 60.5), ["10.5 ms (target 60.5 ms)"]);
        assert_eq!(missed(|m| m.hours[0].heard.figures.underruns = 1), ["1 in an hour"]);
        assert_eq!(missed(|m| m.live.cpu = 0.01), ["1.00 % (processors awake)"]);
        assert_eq!(missed(|m| m.day = Some(Day { memory: (8000, 8065), cpu: 0.0 })), ["65 KiB more"]);
    }
}
