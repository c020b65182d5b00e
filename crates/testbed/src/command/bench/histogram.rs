//! The lateness of packets, drawn.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;
use testbed::playback::chart::{self, Axes};
use testbed::playback::quantile;

use super::Figures;

const BINS: usize = 64;
const COLORS: [RGBColor; 4] = [BLUE, RED, GREEN, MAGENTA];

/// Draws a histogram of every file into one drawing.
///
/// # Errors
/// The file cannot be written.
pub fn draw(all: &[Figures], path: &Path) -> Result<()> {
    let series: Vec<(String, &[f64])> =
        all.iter().map(|figures| (figures.name.display().to_string(), &*figures.lateness)).collect();
    chart::write(path, histogram(&series))
}

/// What all series have between their first and their 99.5th percentile, in milliseconds, in whole bins.
fn range(series: &[(String, &[f64])]) -> (f64, f64) {
    let of = |part: f64| {
        series.iter().filter(|(_, late)| !late.is_empty()).map(move |(_, late)| quantile(late, part))
    };
    let low = of(0.0).fold(f64::INFINITY, f64::min);
    let high = of(0.995).fold(f64::NEG_INFINITY, f64::max);
    if low.is_finite() { (low - 0.05, high.max(low + 0.1) + 0.05) } else { (0.0, 1.0) }
}

/// How many values lie in each bin; those beyond lie in the outermost.
fn counts(late: &[f64], low: f64, high: f64) -> Vec<u32> {
    let mut counts = vec![0; BINS];
    for value in late {
        let at = (value - low) / (high - low) * BINS as f64;
        counts[(at.max(0.0) as usize).min(BINS - 1)] += 1;
    }
    counts
}

fn histogram(series: &[(String, &[f64])]) -> Result<String> {
    let (low, high) = range(series);
    let counted: Vec<Vec<u32>> = series.iter().map(|(_, late)| counts(late, low, high)).collect();
    let most = counted.iter().flatten().max().copied().unwrap_or(0).max(1);
    let axes = Axes {
        caption: "Lateness of packets",
        x: ("lateness in ms", low..high),
        y: ("packets", 0..most + most / 10 + 1),
    };
    let width = (high - low) / BINS as f64;
    chart::svg(axes, |chart| {
        for (index, ((name, _), counts)) in series.iter().zip(&counted).enumerate() {
            let color = COLORS[index % COLORS.len()].mix(0.5);
            let bars = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bin, count)| {
                let left = low + bin as f64 * width;
                Rectangle::new([(left, 0), (left + width, *count)], color.filled())
            });
            chart
                .draw_series(bars)?
                .label(name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 16, y + 5)], color.filled()));
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bin() {
        let late = [-5.0, 0.0, 0.5, 0.999, 1.0, 80.0];
        let counts = counts(&late, 0.0, 1.0);
        assert_eq!(counts.iter().sum::<u32>(), 6);
        assert_eq!((counts[0], counts[BINS / 2], counts[BINS - 1]), (2, 1, 3));
    }

    #[test]
    fn every_file_has_its_name_and_bars_in_the_drawing() {
        let series = [("a.sys".to_owned(), &[0.0, 0.1, 0.1][..]), ("b.sys".to_owned(), &[5.0][..])];
        let svg = histogram(&series).unwrap();
        assert!(svg.contains("a.sys") && svg.contains("b.sys"), "{svg}");
        histogram(&[("none.sys".to_owned(), &[][..])]).unwrap();
    }
}
