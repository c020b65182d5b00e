//! Draws how late each packet left on the real clock.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::real::Real;
use super::report::{name, quantile};

/// Size of the drawing in pixels.
const SIZE: (u32, u32) = (960, 420);

/// Writes an SVG file: a dot for each packet, and lines at the median and the 99th percentile.
///
/// # Errors
/// The file cannot be written.
pub fn draw(real: &Real, path: &Path) -> Result<()> {
    let mut svg = String::new();
    draw_into(real, &mut svg).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let write = || std::fs::create_dir_all(directory).and_then(|()| std::fs::write(path, svg));
    write().map_err(|error| anyhow!("cannot write {}: {error}", path.display()))
}

fn draw_into(real: &Real, svg: &mut String) -> Result<()> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let seconds = real.packets.last().map_or(1.0, |(time, _)| *time);
    // Room for the legend.
    let most = quantile(&real.lateness, 1.0).max(0.01) * 1.4;
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("Lateness of packets on the real clock, {}", name(real.format)), ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..seconds, 0.0..most)?;
    chart.configure_mesh().x_desc("time in s").y_desc("lateness in ms").light_line_style(WHITE).draw()?;
    chart.draw_series(real.packets.iter().map(|packet| Circle::new(*packet, 2, BLUE.filled())))?;
    for (part, label, color) in [(0.5, "median", GREEN), (0.99, "99th percentile", RED)] {
        let height = quantile(&real.lateness, part);
        let line = LineSeries::new([(0.0, height), (seconds, height)], color.stroke_width(2));
        chart
            .draw_series(line)?
            .label(format!("{label} {height:.3} ms"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
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
    use protocol::{StreamFormat, default_mask};

    #[test]
    fn every_packet_has_a_dot() {
        let real = Real {
            format: StreamFormat::new(48_000, 16, 2, default_mask(2)).unwrap(),
            sent: 3,
            received: 3,
            packets: vec![(0.006, 0.1), (0.012, 0.3), (0.018, 0.2)],
            lateness: vec![0.1, 0.2, 0.3],
            gaps: 0,
        };
        let mut svg = String::new();
        draw_into(&real, &mut svg).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("median 0.200 ms") && svg.contains("48 kHz / 16 bit / stereo"), "{svg}");
    }
}
