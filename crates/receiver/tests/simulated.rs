//! Hours of playing with clocks that differ, and networks that delay, lose, double and stall: what is really heard.

use std::time::Duration;

use receiver::player::thread::Settings;
use receiver::simulation::{Heard, Plan, run};

/// The greatest step between two samples of the audio itself and of its fades, in parts of full scale: nothing that clicks is
/// below five times as much.
const SMOOTH: f64 = 0.04;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn minutes(count: u64) -> Plan {
    Plan { time: Duration::from_secs(count * 60), ..Plan::default() }
}

/// The least and the greatest of the delay from a time on, in milliseconds, as it is on average in each tenth of a second.
fn delay(heard: &Heard, from: f64) -> (f64, f64) {
    let means = || heard.delays.iter().filter(|delay| delay.time >= from).map(|delay| delay.mean);
    (means().fold(f64::MAX, f64::min), means().fold(0.0, f64::max))
}

#[track_caller]
fn assert_delay(heard: &Heard, from: f64, target: f64, tolerance: f64) {
    let (least, most) = delay(heard, from);
    assert!(
        least >= target - tolerance && most <= target + tolerance,
        "the delay is from {least} ms to {most} ms, and should be {target} ms within {tolerance} ms"
    );
}

#[track_caller]
fn assert_smooth(heard: &Heard) {
    assert!(heard.steepest < SMOOTH, "a step of {}", heard.steepest);
}

/// The network of the hour: 100 ppm, 20 ms of jitter, 1 % of loss.
fn hard_hour(target: u64) -> Plan {
    let settings = Settings { target: ms(target), ..Plan::default().settings };
    Plan { drift_ppm: 100.0, jitter: ms(20), lost_of_a_million: 10_000, settings, ..minutes(60) }
}

#[test]
fn an_hour_with_jitter_and_loss_stays_at_its_target_and_has_no_gap_but_for_lost_packets() {
    let heard = run(&hard_hour(100));
    assert_eq!((heard.packets, heard.lost), (600_060, 5954));
    assert_delay(&heard, 0.0, 100.0, 10.0);
    assert_eq!((heard.figures.underruns, heard.figures.cuts), (0, 0));
    // A gap for each loss, and hardly any where nothing was lost.
    assert!(heard.gaps < heard.lost * 101 / 100, "{} gaps", heard.gaps);
    assert_smooth(&heard);
    assert!(heard.targets.iter().all(|target| *target == 100.0));
    // Where several packets in a row are lost, audio may be out of its place for some packets until that is known.
    let far = |delay: &&receiver::simulation::Delay| delay.least < 90.0 || delay.most > 110.0;
    let far = heard.delays.iter().filter(far).count();
    assert!(far * 500 < heard.delays.len(), "{far} of {} tenths of a second", heard.delays.len());
    let (found, lost) = (heard.figures.lost as f64, heard.lost as f64);
    assert!((found / lost - 1.0).abs() < 0.05, "{found} of {lost}");
}

#[test]
fn at_the_usual_target_the_same_hour_is_heard_too_with_as_much_more_delay_as_it_takes() {
    let heard = run(&hard_hour(50));
    let off = heard.delays.iter().filter(|delay| {
        let target = heard.targets.get(delay.time as usize).copied().unwrap_or(50.0);
        (delay.mean - target).abs() > 10.0
    });
    let off: Vec<_> = off.collect();
    assert!(off.len() * 1000 < heard.delays.len(), "{}: {:?}", off.len(), off.first());
    assert!(heard.targets.iter().all(|target| (50.0..=60.0).contains(target)), "{:?}", heard.targets);
    assert!(heard.gaps <= heard.lost + 60, "{} gaps", heard.gaps);
    assert_smooth(&heard);
}

#[test]
fn clocks_that_differ_are_never_heard() {
    for drift_ppm in [0.0, 100.0, -100.0, 500.0, -500.0] {
        let heard = run(&Plan { drift_ppm, ..minutes(5) });
        assert_eq!((heard.gaps, heard.figures.lost), (0, 0), "{drift_ppm}");
        assert_delay(&heard, 0.0, 50.0, 0.05 + drift_ppm.abs() * 0.015);
        assert_delay(&heard, 200.0, 50.0, 0.05 + drift_ppm.abs() * 0.006);
        assert!((heard.figures.drift_ppm - drift_ppm).abs() < 3.0, "{drift_ppm}: {:?}", heard.figures);
        assert!(heard.steepest < 0.006, "{}", heard.steepest);
    }
}

#[test]
fn a_clock_of_a_virtual_machine_that_is_off_by_a_second_in_ten_minutes_is_followed() {
    for drift_ppm in [1667.0, -1667.0] {
        let heard = run(&Plan { drift_ppm, ..minutes(10) });
        assert_eq!((heard.gaps, heard.figures.lost, heard.figures.cuts), (0, 0, 0));
        assert_delay(&heard, 0.0, 50.0, 15.0);
        assert_delay(&heard, 120.0, 50.0, 3.0);
    }
}

#[test]
fn jitter_within_the_target_is_never_heard() {
    for jitter in [5, 10, 20] {
        let heard = run(&Plan { jitter: ms(jitter), device_jitter: ms(2), ..minutes(5) });
        assert_eq!((heard.gaps, heard.figures.lost, heard.figures.late), (0, 0, 0), "{jitter}");
        assert_delay(&heard, 5.0, 50.0, 3.0);
    }
}

#[test]
fn jitter_beyond_the_target_raises_it_until_it_is_not_heard_any_more() {
    let heard = run(&Plan { jitter: ms(40), ..minutes(2) });
    let target = heard.targets.last().copied().unwrap_or_default();
    assert!((60.0..100.0).contains(&target), "{target}");
    assert!(heard.gaps < 60, "{} gaps", heard.gaps);
    let silent = heard.delays.len() as f64 / 1200.0;
    assert!(silent > 0.99, "{silent}");
    assert_smooth(&heard);
}

#[test]
fn a_stall_is_one_interruption_and_the_delay_is_as_before() {
    let heard = run(&Plan { stall: Some((ms(10_000), ms(300))), ..minutes(2) });
    assert_eq!((heard.gaps, heard.figures.cuts), (12, 0));
    assert_delay(&heard, 0.0, 50.0, 5.0);
    assert_smooth(&heard);
}

#[test]
fn a_short_stall_that_comes_again_is_waited_for() {
    let heard = run(&Plan { stall: Some((ms(10_000), ms(60))), ..minutes(2) });
    assert!(heard.gaps <= 4, "{} gaps", heard.gaps);
    let (_, most) = delay(&heard, 0.0);
    assert!(most < 130.0, "{most}");
    assert_smooth(&heard);
}

#[test]
fn a_sender_that_pauses_is_taken_up_where_it_goes_on() {
    for pause in [200, 2000] {
        let heard = run(&Plan { pause: Some((ms(10_000), ms(pause))), ..minutes(2) });
        assert_eq!((heard.gaps, heard.figures.cuts, heard.figures.late), (12, 0, 0), "{pause}");
        assert_delay(&heard, 0.0, 50.0, 1.0);
        assert!(heard.steepest < 0.006, "{}", heard.steepest);
    }
}

#[test]
fn packets_that_come_twice_are_heard_once() {
    let heard = run(&Plan { doubled_of_a_million: 10_000, ..minutes(2) });
    assert_eq!((heard.gaps, heard.figures.cuts), (0, 0));
    assert!(heard.figures.doubled > 100, "{}", heard.figures.doubled);
    assert_delay(&heard, 0.0, 50.0, 1.0);
    let heard = run(&Plan { doubled_of_a_million: 1_000_000, jitter: ms(5), ..minutes(2) });
    assert_eq!(heard.gaps, 0);
    assert_delay(&heard, 0.0, 50.0, 1.0);
}

#[test]
fn without_jitter_every_lost_packet_is_found() {
    let heard = run(&Plan { lost_of_a_million: 10_000, ..minutes(10) });
    assert!(heard.lost > 900);
    assert!(heard.figures.lost.abs_diff(heard.lost) <= 2, "{} of {}", heard.figures.lost, heard.lost);
    assert!(heard.gaps <= heard.lost, "{}", heard.gaps);
    assert_delay(&heard, 0.0, 50.0, 5.0);
    assert_smooth(&heard);
}

#[test]
fn a_device_that_takes_much_at_once_gets_the_delay_that_it_needs() {
    let heard = run(&Plan { period: 2400, device_delay: ms(60), ..minutes(1) });
    assert_eq!((heard.gaps, heard.figures.underruns), (0, 0));
    let target = heard.targets.last().copied().unwrap_or_default();
    // 60 ms and a period of 50 ms, a packet of 6 ms, and what filter, fade and network need.
    assert!((120.0..128.0).contains(&target), "{target}");
    assert_delay(&heard, 0.0, target, 1.0);
}

#[test]
fn bit_exactly_the_delay_is_only_changed_by_leaving_out_or_waiting() {
    let settings = Settings { bit_exact: true, ..Plan::default().settings };
    let heard = run(&Plan { settings, jitter: ms(10), ..minutes(5) });
    assert_eq!((heard.gaps, heard.figures.cuts), (0, 0));
    // The sender's clock is slow: now and then there is nothing to play.
    let heard = run(&Plan { settings, drift_ppm: -1000.0, ..minutes(5) });
    assert!((5..20).contains(&heard.gaps), "{}", heard.gaps);
    assert_eq!(heard.figures.underruns, heard.gaps);
    // It is fast: now and then the delay is as great as it may be.
    let heard = run(&Plan { settings, drift_ppm: 1000.0, ..minutes(5) });
    assert_eq!((heard.gaps, heard.figures.cuts), (0, 1));
    let (_, most) = delay(&heard, 0.0);
    assert!((195.0..=201.0).contains(&most), "{most}");
}
