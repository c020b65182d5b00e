//! [`ClockControl`]: how fast frames have to be taken so that the delay stays what it should be.
//!
//! The clocks of a sender and of a sound card differ by up to some hundred millionths. A PI controller steers the ratio of the
//! resampler by how far the delay is off: slowly, so that nobody hears it.

/// Of a second by which the delay is off, the part that is made good in each second.
const PART: f64 = 0.1;
/// The same in the first seconds, while the delay is still being found.
const FIRST_PART: f64 = 0.5;
const FIRST_SECONDS: f64 = 4.0;
/// It is found when it is off by no more than this, and not looked for any longer than that, in seconds.
const FOUND: f64 = 0.003;
const MOST_SECONDS: f64 = 20.0;
/// How the difference of the clocks is learned, in 1/s². With [`PART`] the control is critically damped.
const LEARNING: f64 = PART * PART / 4.0;
/// Measured delays jitter with the output's buffers: they are averaged over so many seconds.
const AVERAGED: f64 = 0.5;
/// For so many seconds after an interruption the clocks are not learned.
const DISTURBED: f64 = 5.0;
/// The greatest difference of clocks that is believed.
const MOST_DRIFT: f64 = 2000e-6;
/// The ratio never differs from 1 by more: a twelfth of a semitone.
const MOST: f64 = 5000e-6;

/// Steers the speed of one stream.
#[derive(Clone, Debug, Default)]
pub struct ClockControl {
    seconds: f64,
    found: bool,
    error: Option<f64>,
    drift: f64,
    /// For so many seconds errors say nothing of the clocks.
    disturbed: f64,
}

impl ClockControl {
    /// The delay is greater by `error` seconds than it should be; the last time anybody said so is `elapsed` seconds ago.
    /// Returns how many frames are to be taken where one would be.
    pub fn steer(&mut self, error: f64, elapsed: f64) -> f64 {
        let averaged = self.observe(error, elapsed);
        self.found |= self.seconds > MOST_SECONDS || !self.is_young() && averaged.abs() < FOUND;
        // Made good slowly, what a stream began with would be learned as a difference of the clocks.
        let part = if self.found { PART } else { FIRST_PART };
        let proportional = (averaged * part).clamp(-MOST, MOST);
        // What it takes to get back from far away says nothing of the clocks.
        if proportional.abs() < MOST / 2.0 && self.seconds > 1.0 && self.disturbed <= 0.0 {
            self.drift = (self.drift + averaged * LEARNING * elapsed).clamp(-MOST_DRIFT, MOST_DRIFT);
        }
        1.0 + (proportional + self.drift).clamp(-MOST, MOST)
    }

    /// The same without steering: returns the error on average.
    pub fn observe(&mut self, error: f64, elapsed: f64) -> f64 {
        let elapsed = elapsed.clamp(0.0, 1.0);
        self.seconds += elapsed;
        self.disturbed -= elapsed;
        let averaged = match self.error {
            None => error,
            Some(before) => before + (error - before) * (elapsed / AVERAGED).min(1.0),
        };
        self.error = Some(averaged);
        averaged
    }

    /// The stream has been interrupted: for a while errors say nothing of the clocks.
    pub fn disturb(&mut self) {
        self.disturbed = DISTURBED;
    }

    /// By how many seconds the delay is off, on average.
    pub fn error(&self) -> f64 {
        self.error.unwrap_or(0.0)
    }

    /// How much faster the sender's clock is: 1e-6 is one millionth.
    pub fn drift(&self) -> f64 {
        self.drift
    }

    /// Whether the delay is still being found.
    pub fn is_young(&self) -> bool {
        self.seconds < FIRST_SECONDS
    }

    /// The delay has been changed at once: by so many seconds.
    pub fn jumped(&mut self, by: f64) {
        self.error = self.error.map(|error| error + by);
    }

    /// The delay is off by exactly so many seconds from now on.
    pub fn set_error(&mut self, error: f64) {
        self.error = Some(error);
    }

    /// A stream begins anew. What is known of the clocks stays.
    pub fn restart(&mut self) {
        (self.seconds, self.found, self.error) = (0.0, false, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a delay that is off at first run under control for so many seconds; the sender's clock is faster by `drift`.
    /// Returns the errors, each 10 ms.
    fn run(control: &mut ClockControl, error: f64, drift: f64, seconds: u32) -> Vec<f64> {
        let mut error = error;
        let step = |_| {
            let speed = control.steer(error, 0.01);
            error += (drift + 1.0 - speed) * 0.01;
            error
        };
        (0..seconds * 100).map(step).collect()
    }

    #[test]
    fn another_clock_is_followed_and_its_difference_known() {
        for drift in [100e-6, -100e-6, 1000e-6] {
            let mut control = ClockControl::default();
            let errors = run(&mut control, 0.0, drift, 300);
            let most = errors.iter().fold(0.0_f64, |most, error| most.max(error.abs()));
            assert!(most < drift.abs() * 10.0, "{most}");
            assert!(errors[29_999].abs() < 1e-6, "{}", errors[29_999]);
            assert!((control.drift() - drift).abs() < 1e-8, "{}", control.drift());
        }
    }

    #[test]
    fn a_wrong_delay_is_made_good_without_going_too_far() {
        for error in [0.02, -0.02] {
            let mut control = ClockControl::default();
            let errors = run(&mut control, error, 0.0, 120);
            let beyond = errors.iter().fold(0.0_f64, |most, now| most.max(-now * error.signum()));
            assert!(beyond < 0.002, "{beyond}");
            assert!(
                errors[1500].abs() < 0.003 && errors[11_999].abs() < 1e-4,
                "{} {}",
                errors[1500],
                errors[11_999]
            );
        }
    }

    #[test]
    fn a_stream_that_begins_late_does_not_seem_to_have_another_clock() {
        let mut control = ClockControl::default();
        let errors = run(&mut control, 0.03, 0.0, 15);
        assert!(errors[1499].abs() < 0.002, "{}", errors[1499]);
        assert!(control.drift().abs() < 50e-6, "{}", control.drift());
    }

    #[test]
    fn the_speed_stays_inaudible_whatever_is_measured() {
        let mut control = ClockControl::default();
        for n in 0..10_000 {
            let speed = control.steer(if n % 3000 < 1500 { 10.0 } else { -10.0 }, 0.01);
            assert!((speed - 1.0).abs() <= MOST + 1e-12, "{speed}");
        }
    }

    #[test]
    fn what_jitters_hardly_changes_the_speed() {
        let mut control = ClockControl::default();
        run(&mut control, 0.0, 0.0, 10);
        for n in 0..10_000 {
            let speed = control.steer(if n % 2 == 0 { 0.005 } else { -0.005 }, 0.01);
            assert!((speed - 1.0).abs() < 20e-6, "{speed}");
        }
    }
}
