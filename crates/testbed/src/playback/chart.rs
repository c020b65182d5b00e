//! Drawings of what was measured: SVG files of one size and one look.

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::chart::ChartContext;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// Size of a drawing in pixels.
const SIZE: (u32, u32) = (960, 420);

/// What stands around the data.
pub struct Axes<'a, Y> {
    /// What is drawn.
    pub caption: &'a str,
    /// What is counted to the right, and from where to where.
    pub x: (&'a str, Range<f64>),
    /// What is counted upwards, and from where to where.
    pub y: (&'a str, Range<Y>),
}

/// What the data are drawn on; `Y` is the type of a height.
pub type Chart<'a, 'svg, Y> = ChartContext<
    'a,
    SVGBackend<'svg>,
    Cartesian2d<RangedCoordf64, <Range<Y> as AsRangedCoord>::CoordDescType>,
>;

/// Draws: axes, then what `series` draws, then a legend of the series that have a label.
///
/// # Errors
/// What `series` returned.
pub fn svg<Y>(axes: Axes<'_, Y>, series: impl FnOnce(&mut Chart<'_, '_, Y>) -> Result<()>) -> Result<String>
where
    Range<Y>: AsRangedCoord<Value = Y>,
    <Range<Y> as AsRangedCoord>::CoordDescType: ValueFormatter<Y>,
    Y: Debug + Clone + 'static,
{
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(axes.caption, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(axes.x.1, axes.y.1)?;
    chart.configure_mesh().x_desc(axes.x.0).y_desc(axes.y.0).light_line_style(WHITE).draw()?;
    series(&mut chart)?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    drop(chart);
    drop(area);
    Ok(svg)
}

/// Writes a drawing, and the directories that it lies in.
///
/// # Errors
/// One line: the drawing failed, or the file cannot be written.
pub fn write(path: &Path, drawing: Result<String>) -> Result<()> {
    let svg = drawing.map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let write = || std::fs::create_dir_all(directory).and_then(|()| std::fs::write(path, svg));
    write().map_err(|error| anyhow!("cannot write {}: {error}", path.display()))
}
