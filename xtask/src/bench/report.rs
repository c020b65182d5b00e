//! What `cargo xtask bench` prints.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use protocol::StreamFormat;
use testbed::image::check::ImageSummary;
pub use testbed::playback::quantile;

use super::Measured;
use super::goals::{self, goals, too_busy};
use super::measure::{Row, StartUp};
use super::real::Real;

const HEADER: [&str; 7] = [
    "format",
    "packets",
    "CPU per packet\nµs",
    "instructions\nper packet",
    "wake-ups\nper second",
    "non-paged pool\nKiB at peak",
    "lateness, 100 ns ticks\nmin / median / max",
];

/// Everything that was measured, for people.
pub fn report(measured: &Measured, image: &ImageSummary) -> String {
    let rows = &measured.rows;
    let mut text = format!("{}\n{}\n\n", table(rows), footnotes(rows));
    let lines = [
        ("start-up", start_up_line(&measured.start_up)),
        ("real clock", real_line(&measured.usual)),
        ("", real_line(&measured.densest)),
        ("memory", memory_line(rows)),
        ("scream.sys", file_line(image)),
    ];
    for (name, line) in lines {
        let _ = writeln!(text, "{name:10} {line}");
    }
    let _ = writeln!(text, "\n{}", goals::table(&goals(measured)));
    text
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(HEADER);
    for row in rows {
        table.add_row([
            name(row.format),
            row.packets.to_string(),
            format!("{:.2}", row.cpu),
            row.instructions.map_or_else(|| "not counted".to_owned(), |count| format!("{count:.1}")),
            format!("{:.1}", row.wakes),
            format!("{:.1}", kib(row.memory.total())),
            spread(&row.lateness),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// What the columns mean, and what is not in them.
fn footnotes(rows: &[Row]) -> String {
    let border = rows.iter().map(|row| row.border).fold(0.0, f64::max);
    let calls = rows.iter().map(|row| row.copies.0).fold(0.0, f64::max);
    let bytes = rows.iter().map(|row| row.copies.1).fold(0.0, f64::max);
    format!(
        "CPU and instructions: of driver code while it plays, as a run of 2 N ms less one of N ms. Crossing into the\n\
         testbed is calibrated and taken off: at most {border:.2} µs per packet. Functions of Windows are not in them, and\n\
         memcpy, memmove and memset are such functions: at most {calls:.1} calls and {bytes:.0} bytes written per packet.\n\
         Lateness: from the tick at which a packet's last frame was played to its WskSendTo, under the virtual clock.\n\
         The driver wakes 1000 times a second at most; packets that are closer than 1 ms wait for that."
    )
}

fn start_up_line(start_up: &StartUp) -> String {
    let instructions =
        start_up.instructions.map_or_else(String::new, |count| format!(" and {count} instructions"));
    format!(
        "{:.0} µs{instructions}, once, from the driver's load to the first RUN",
        start_up.cpu.as_nanos() as f64 / 1e3
    )
}

fn real_line(real: &Real) -> String {
    let late = &real.lateness;
    format!(
        "{}: lateness {:.3} ms median, {:.3} ms p99, {:.3} ms max; {} packets sent, {} received on loopback UDP; bit-exact: {}{}",
        name(real.format),
        quantile(late, 0.5),
        quantile(late, 0.99),
        quantile(late, 1.0),
        real.sent,
        real.received,
        if real.comparison.is_bit_exact() { "yes" } else { "no" },
        too_busy(real)
    )
}

fn memory_line(rows: &[Row]) -> String {
    let Some(most) = rows.iter().map(|row| row.memory).max_by_key(|memory| memory.total()) else {
        return "nothing was measured".to_owned();
    };
    format!(
        "{:.1} KiB of non-paged pool beside the WaveRT buffer ({:.1} in blocks, {:.1} in IRPs and MDLs)",
        kib(most.total()),
        kib(most.blocks),
        kib(most.requests)
    )
}

fn file_line(image: &ImageSummary) -> String {
    let sections: Vec<_> =
        image.sections.iter().map(|section| format!("{} {}", section.name, section.size)).collect();
    format!("{} bytes ({})", image.size, sections.join(", "))
}

/// A format in words.
pub fn name(format: StreamFormat) -> String {
    let channels = match format.channels() {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        more => format!("{more} channels"),
    };
    format!("{} kHz / {} bit / {channels}", f64::from(format.rate().get()) / 1e3, format.bits())
}

/// Bytes in KiB.
pub fn kib(bytes: usize) -> f64 {
    bytes as f64 / 1024.0
}

/// The least, the middle and the greatest of values in order.
fn spread(values: &[i64]) -> String {
    match values {
        [] => "none".to_owned(),
        [first, .., last] => format!("{first} / {} / {last}", values[values.len() / 2]),
        [only] => format!("{only} / {only} / {only}"),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use protocol::default_mask;
    use testbed::playback::Memory;

    use super::super::wakes::Wakes;

    /// A row that meets every goal.
    pub fn row(rate: u32, channels: u16) -> Row {
        Row {
            format: StreamFormat::new(rate, 16, channels, default_mask(channels)).unwrap(),
            packets: 1531,
            cpu: 1.234,
            border: 0.5,
            instructions: Some(600.04),
            copies: (2.0, 1152.4),
            wakes: 253.0,
            wake_times: Wakes { busiest_second: 253, needless: 0 },
            costly_calls: 0,
            memory: Memory { blocks: 2048, requests: 1024 },
            lateness: vec![0; 5],
        }
    }

    #[test]
    fn a_row_of_the_table_has_every_figure() {
        let row = Row { lateness: vec![0, 0, 3, 40, 900], ..row(44_100, 2) };
        let text = table(&[row]).to_string();
        let last = text.lines().rfind(|line| line.contains("kHz")).unwrap();
        let cells: Vec<_> = last.trim_matches('│').split('┆').map(str::trim).collect();
        assert_eq!(
            cells,
            ["44.1 kHz / 16 bit / stereo", "1531", "1.23", "600.0", "253.0", "3.0", "0 / 3 / 900"]
        );
    }

    #[test]
    fn quantiles_of_few_values_are_values() {
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
        let hundred: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|part| quantile(&hundred, part)), [0.0, 50.0, 99.0, 100.0]);
        assert_eq!(spread(&[4]), "4 / 4 / 4");
    }
}
