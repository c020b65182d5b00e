//! Draws how late each packet left on the real clock.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;
use testbed::playback::chart::{self, Axes};

use super::real::Real;
use super::report::{name, quantile};

/// Writes an SVG file: a dot for each packet, and lines at the median and the 99th percentile.
///
/// # Errors
/// The file cannot be written.
pub fn draw(real: &Real, path: &Path) -> Result<()> {
    chart::write(path, dots(real))
}

fn dots(real: &Real) -> Result<String> {
    let seconds = real.packets.last().map_or(1.0, |(time, _)| *time);
    // Room for the legend.
    let most = quantile(&real.lateness, 1.0).max(0.01) * 1.4;
    let axes = Axes {
        caption: &format!("Lateness of packets on the real clock, {}", name(real.format)),
        x: ("time in s", 0.0..seconds),
        y: ("lateness in ms", 0.0..most),
    };
    chart::svg(axes, |chart| {
        chart.draw_series(real.packets.iter().map(|packet| Circle::new(*packet, 2, BLUE.filled())))?;
        for (part, label, color) in [(0.5, "median", GREEN), (0.99, "99th percentile", RED)] {
            let height = quantile(&real.lateness, part);
            let line = LineSeries::new([(0.0, height), (seconds, height)], color.stroke_width(2));
            chart
                .draw_series(line)?
                .label(format!("{label} {height:.3} ms"))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{StreamFormat, default_mask};
    use testbed::playback::Comparison;

    #[test]
    fn every_packet_has_a_dot() {
        let real = Real {
            format: StreamFormat::new(48_000, 16, 2, default_mask(2)).unwrap(),
            sent: 3,
            received: 3,
            comparison: Comparison::BitExact { silence: 0 },
            packets: vec![(0.006, 0.1), (0.012, 0.3), (0.018, 0.2)],
            lateness: vec![0.1, 0.2, 0.3],
            gaps: 0,
        };
        let svg = dots(&real).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("median 0.200 ms") && svg.contains("48 kHz / 16 bit / stereo"), "{svg}");
    }
}
