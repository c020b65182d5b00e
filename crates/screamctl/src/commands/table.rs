//! Tables as commands print them: plain ASCII, of one width wherever they are read.

use comfy_table::{ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};

/// What the console of Windows has room for, and a letter can quote.
const WIDTH: u16 = 100;

const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none())
    .header_separator(LineStyle::none().fill('-').junction('-'))
    .content_lines(ContentLineStyle::none());

/// A table with a line of headings, to be filled with rows.
pub fn with_headings<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(headings);
    table.column_iter_mut().for_each(|column| _ = column.set_padding((0, 2)));
    table
}

/// The lines of a table, without blanks at their ends.
pub fn text(table: &Table) -> String {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
