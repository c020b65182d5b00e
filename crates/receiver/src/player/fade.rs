//! [`Fade`]: audio that begins and ends without a click.

/// Milliseconds of a fade.
const MILLISECONDS: u32 = 3;

/// How loud frames are near an interruption.
#[derive(Clone, Debug)]
pub struct Fade {
    rate: u32,
    frames: i64,
    /// Where audio began after the last interruption; none while there is one.
    begun: Option<i64>,
}

impl Fade {
    /// For a stream of so many frames per second; of 0: nothing fades.
    pub fn new(rate: u32) -> Self {
        Self { rate, frames: i64::from(rate * MILLISECONDS / 1000), begun: None }
    }

    /// Frames of a fade.
    pub fn frames(&self) -> i64 {
        self.frames
    }

    /// Seconds of a fade.
    pub fn seconds(&self) -> f64 {
        if self.rate == 0 { 0.0 } else { self.frames as f64 / f64::from(self.rate) }
    }

    /// Audio is interrupted: what comes next fades in.
    pub fn interrupt(&mut self) {
        self.begun = None;
    }

    /// There is audio at this slot.
    pub fn begin(&mut self, slot: i64) {
        self.begun.get_or_insert(slot);
    }

    /// Whether so many frames from a slot on have a gain of 1, if audio ends before the slot `end`.
    pub fn is_over(&self, slot: i64, frames: i64, end: Option<i64>) -> bool {
        let begins = self.begun.is_some_and(|begun| slot - begun < self.frames);
        !begins && end.is_none_or(|end| end - (slot + frames) >= self.frames)
    }

    /// The gain of a frame, if audio ends before the slot `end`.
    pub fn gain(&self, slot: i64, end: Option<i64>) -> f32 {
        let part = |frames: i64| {
            if frames >= self.frames {
                return 1.0;
            }
            let part = (frames as f32 + 0.5) / self.frames as f32;
            // As smooth as a raised cosine, and cheaper.
            part * part * (3.0 - 2.0 * part)
        };
        let begun = self.begun.map_or(1.0, |begun| part(slot - begun));
        let ends = end.map_or(1.0, |end| part((end - slot - 1).max(0)));
        begun * ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_rises_after_an_interruption_and_falls_before_one() {
        let mut fade = Fade::new(48_000);
        assert_eq!(fade.frames(), 144);
        fade.begin(1000);
        fade.begin(1050);
        let gains: Vec<f32> = (1000..1400).map(|slot| fade.gain(slot, Some(1400))).collect();
        assert!(gains[0] < 0.001 && gains[399] < 0.001, "{} {}", gains[0], gains[399]);
        assert!(gains[..144].is_sorted() && gains[256..].is_sorted_by(|a, b| a >= b));
        assert!(gains[144..256].iter().all(|gain| *gain == 1.0));
        assert!(fade.is_over(1144, 112, Some(1400)));
        assert!(!fade.is_over(1143, 112, Some(1400)) && !fade.is_over(1144, 113, Some(1400)));
        let steepest = gains.windows(2).map(|pair| (pair[0] - pair[1]).abs()).fold(0.0, f32::max);
        assert!(steepest < 0.011, "{steepest}");
    }

    #[test]
    fn what_goes_on_is_as_it_was() {
        let mut fade = Fade::new(48_000);
        fade.begin(0);
        assert_eq!((fade.gain(144, None), fade.gain(144, Some(1000))), (1.0, 1.0));
        fade.interrupt();
        fade.begin(500);
        assert!(fade.gain(500, None) < 0.001);
    }

    #[test]
    fn without_a_rate_nothing_fades() {
        let mut fade = Fade::new(0);
        fade.begin(10);
        assert_eq!((fade.gain(10, Some(11)), fade.seconds()), (1.0, 0.0));
    }
}
