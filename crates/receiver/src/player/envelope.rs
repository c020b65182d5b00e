//! [`Envelope`]: when slot 0 was, according to the packets that came fastest.
//!
//! Jitter only ever makes a packet later, so the least of the last seconds tells. But the sender's clock is not the receiver's,
//! and what was the least some seconds ago is not any more: the slope of the least is learned, and taken out.

/// Nanoseconds in which the fastest packet of a time is looked for, how many of those are remembered, and how many make a
/// point of the slope.
const SPAN: u64 = 100_000_000;
const SPANS: usize = 50;
const POINT: usize = 5;
/// Of so few points nothing is learned.
const LEAST_POINTS: f64 = 5.0;
/// How much of what the last seconds say of the slope is believed at once.
const BELIEVED: f64 = 0.003;
/// The same, if it is certain: the slope is so many times its standard error.
const CERTAIN: f64 = 0.5;
const ERRORS: f64 = 12.0;
/// At first a clock is taken for a good one: so many spans have to say otherwise.
const DOUBT: f64 = 100.0;
/// The slope of good clocks does no harm, and what is seen of it is mostly chance.
const NORMAL: f64 = 300e-6;
/// The steepest slope: clocks do not differ by more.
const STEEPEST: f64 = 3000e-6;

/// A packet: when it came, and when slot 0 was if it took no time; in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// When it came.
    pub arrived: u64,
    /// When slot 0 was.
    pub origin: i64,
}

impl Point {
    /// What it says at another time.
    fn at(self, now: u64, slope: f64) -> i64 {
        self.origin + ((now as f64 - self.arrived as f64) * slope) as i64
    }
}

/// The fastest packets of the last seconds.
#[derive(Clone, Debug)]
pub struct Envelope {
    fastest: [Option<Point>; SPANS],
    span: u64,
    /// The slope that is taken out.
    slope: f64,
    /// The slope that was seen, on average.
    mean: f64,
    learned: f64,
}

impl Envelope {
    /// Without packets; it begins at a time, in nanoseconds.
    pub fn new(now: u64) -> Self {
        Self { fastest: [None; SPANS], span: now / SPAN, slope: 0.0, mean: 0.0, learned: 0.0 }
    }

    /// Forgets the packets, but not the slope.
    pub fn clear(&mut self) {
        self.fastest = [None; SPANS];
    }

    /// Takes a packet into account.
    pub fn add(&mut self, packet: Point) {
        let span = packet.arrived / SPAN;
        if span > self.span {
            self.learn();
            for passed in self.span + 1..=span.min(self.span + SPANS as u64) {
                self.fastest[(passed % SPANS as u64) as usize] = None;
            }
            self.span = span;
        }
        let fastest = &mut self.fastest[(span % SPANS as u64) as usize];
        if fastest.is_none_or(|fastest| packet.origin < fastest.at(packet.arrived, self.slope)) {
            *fastest = Some(packet);
        }
    }

    /// When slot 0 was, as seen at a time, according to these packets and more.
    pub fn origin(&self, now: u64, more: impl Iterator<Item = Point>) -> i64 {
        let all = self.fastest.iter().flatten().copied().chain(more);
        all.map(|point| point.at(now, self.slope)).min().unwrap_or(i64::MAX)
    }

    /// Learns the slope from the fastest packets of each second.
    fn learn(&mut self) {
        let mut points = [None; SPANS / POINT];
        for (age, point) in points.iter_mut().enumerate() {
            let spans =
                (0..POINT as u64).filter_map(|n| self.span.checked_sub(age as u64 * POINT as u64 + n));
            let of_span = |span: u64| self.fastest[(span % SPANS as u64) as usize];
            *point = spans.filter_map(of_span).min_by_key(|point| point.at(self.span * SPAN, self.slope));
        }
        let Some(line) = Line::through(points.iter().flatten()) else { return };
        self.learned += 1.0;
        let part = if line.is_certain() { CERTAIN } else { BELIEVED.max(1.0 / (self.learned + DOUBT)) };
        self.mean = (self.mean + part * (line.slope - self.mean)).clamp(-STEEPEST, STEEPEST);
        self.slope = (self.mean.abs() - NORMAL).max(0.0) * self.mean.signum();
    }
}

/// A line through points, by least squares.
struct Line {
    slope: f64,
    /// The standard error of the slope.
    error: f64,
}

impl Line {
    fn through<'a>(points: impl Iterator<Item = &'a Point> + Clone) -> Option<Self> {
        let count = points.clone().count() as f64;
        if count < LEAST_POINTS {
            return None;
        }
        let mean = |value: fn(&Point) -> f64| points.clone().map(value).sum::<f64>() / count;
        let (time, origin) = (mean(|point| point.arrived as f64), mean(|point| point.origin as f64));
        let centred = points.map(|point| (point.arrived as f64 - time, point.origin as f64 - origin));
        let both: f64 = centred.clone().map(|(x, y)| x * y).sum();
        let own: f64 = centred.clone().map(|(x, _)| x * x).sum();
        let slope = both / own;
        let rest: f64 = centred.map(|(x, y)| (y - slope * x) * (y - slope * x)).sum();
        slope.is_finite().then(|| Self { slope, error: (rest / (count - 2.0) / own).sqrt() })
    }

    /// Whether a good clock could hardly look like this.
    fn is_certain(&self) -> bool {
        self.slope.abs() > NORMAL && self.slope.abs() > ERRORS * self.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// The origin after so many packets, one each 6 ms; each is late as the function says, in nanoseconds.
    fn after(packets: u64, late: impl Fn(u64) -> i64) -> (i64, Envelope) {
        let mut envelope = Envelope::new(0);
        for n in 0..packets {
            envelope.add(Point { arrived: n * 6 * MS, origin: late(n) });
        }
        (envelope.origin((packets - 1) * 6 * MS, std::iter::empty()), envelope)
    }

    #[test]
    fn the_fastest_packets_of_the_last_seconds_tell() {
        assert_eq!(after(1000, |n| (n % 20) as i64 + 5).0, 5);
        // A path that has become longer is believed after 5 seconds.
        assert_eq!(after(1800, |n| if n < 1000 { 0 } else { 7000 }).0, 0);
        assert_eq!(after(2000, |n| if n < 1000 { 0 } else { 7000 }).0, 7000);
    }

    #[test]
    fn more_packets_can_be_asked() {
        let (_, envelope) = after(1000, |_| 5);
        let more = Point { arrived: 5994 * MS, origin: -3 };
        assert_eq!(envelope.origin(5994 * MS, std::iter::once(more)), -3);
    }

    #[test]
    fn a_clock_that_is_slow_or_fast_is_seen_as_that() {
        for ppm in [-2000, -1000, 1000, 2000] {
            let late = |n: u64| n as i64 * 6 * ppm + (n * 7919 % 20) as i64 * 100_000;
            let (origin, envelope) = after(20_000, late);
            let expected = 19_999 * 6 * ppm;
            assert!((envelope.mean * 1e6 - ppm as f64).abs() < 100.0, "{}", envelope.mean);
            assert!((origin - expected).abs() < 1_500_000, "{origin} is not {expected}");
        }
    }
}
