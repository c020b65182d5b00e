//! Draws the delay over the simulated hour.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;
use receiver::simulation::Delay;
use testbed::playback::chart::{self, Axes};

use super::hours::Hour;

/// How many points of a drawing are made of one second.
const TENTHS: usize = 10;

/// Writes an SVG file: for each hour the delay in each second, on average and from its least to its greatest.
///
/// # Errors
/// The file cannot be written.
pub fn draw(hours: &[Hour], path: &Path) -> Result<()> {
    chart::write(path, lines(hours))
}

fn lines(hours: &[Hour]) -> Result<String> {
    let most = hours.iter().map(|hour| hour.target).fold(0.0, f64::max);
    let minutes = hours.iter().flat_map(|hour| hour.heard.delays.last()).map(|last| last.time / 60.0);
    let axes = Axes {
        caption: "Delay over an hour: clocks 100 ppm apart, 20 ms of jitter, 1 % lost",
        x: ("time in min", 0.0..minutes.fold(1.0, f64::max)),
        y: ("delay in ms", 0.0..most * 1.4),
    };
    chart::svg(axes, |chart| {
        for (hour, color) in hours.iter().zip([BLUE, GREEN, RED]) {
            let seconds: Vec<_> = hour.heard.delays.chunks(TENTHS).map(Second::new).collect();
            let range = seconds.iter().map(|second| {
                PathElement::new(
                    [(second.minutes, second.least), (second.minutes, second.most)],
                    color.mix(0.25),
                )
            });
            chart.draw_series(range)?;
            let mean = seconds.iter().map(|second| (second.minutes, second.mean));
            chart
                .draw_series(LineSeries::new(mean, color.stroke_width(1)))?
                .label(format!("target {} ms: mean, and from least to greatest in each second", hour.target))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        }
        Ok(())
    })
}

/// A second of the drawing.
struct Second {
    minutes: f64,
    least: f64,
    mean: f64,
    most: f64,
}

impl Second {
    fn new(tenths: &[Delay]) -> Self {
        Self {
            minutes: tenths.first().map_or(0.0, |first| first.time / 60.0),
            least: tenths.iter().map(|tenth| tenth.least).fold(f64::MAX, f64::min),
            mean: tenths.iter().map(|tenth| tenth.mean).sum::<f64>() / tenths.len().max(1) as f64,
            most: tenths.iter().map(|tenth| tenth.most).fold(0.0, f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use receiver::simulation::{Plan, run};

    use super::*;

    #[test]
    fn every_second_has_a_point() {
        let heard = run(&Plan { time: Duration::from_secs(5), ..Plan::default() });
        let svg = lines(&[Hour { target: 50.0, heard }]).expect("a drawing");
        assert!(svg.contains("target 50 ms"), "{svg}");
        let ranges = svg.matches("stroke=\"#0000FF\" stroke-width=\"1\" points").count()
            + svg.matches("opacity=\"0.25\"").count();
        assert!(ranges >= 5, "{ranges}: {svg}");
    }
}
