//! The lateness of packets, drawn.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use testbed::playback::quantile;

use super::Figures;

const SIZE: (u32, u32) = (960, 420);
const BINS: usize = 64;
const COLORS: [RGBColor; 4] = [BLUE, RED, GREEN, MAGENTA];

/// Draws a histogram of every file into one drawing.
///
/// # Errors
/// The file cannot be written.
pub fn draw(all: &[Figures], path: &Path) -> Result<()> {
    let mut svg = String::new();
    let series: Vec<(String, &[f64])> =
        all.iter().map(|figures| (figures.name.display().to_string(), &*figures.lateness)).collect();
    draw_into(&series, &mut svg).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let write = || {
        if !directory.as_os_str().is_empty() {
            std::fs::create_dir_all(directory)?;
        }
        std::fs::write(path, svg)
    };
    write().map_err(|error| anyhow!("cannot write {}: {error}", path.display()))
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

fn draw_into(series: &[(String, &[f64])], svg: &mut String) -> Result<()> {
    let (low, high) = range(series);
    let counted: Vec<Vec<u32>> = series.iter().map(|(_, late)| counts(late, low, high)).collect();
    let most = counted.iter().flatten().max().copied().unwrap_or(0).max(1);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Lateness of packets", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(low..high, 0..most + most / 10 + 1)?;
    chart.configure_mesh().x_desc("lateness in ms").y_desc("packets").light_line_style(WHITE).draw()?;
    let width = (high - low) / BINS as f64;
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
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
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
        let mut svg = String::new();
        let series = [("a.sys".to_owned(), &[0.0, 0.1, 0.1][..]), ("b.sys".to_owned(), &[5.0][..])];
        draw_into(&series, &mut svg).unwrap();
        assert!(svg.contains("a.sys") && svg.contains("b.sys"), "{svg}");
        draw_into(&[("none.sys".to_owned(), &[][..])], &mut String::new()).unwrap();
    }
}
