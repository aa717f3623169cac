//! Tables of text: a line of heads, a line for each row. Without borders, so that they stay plain where they
//! are piped.

use comfy_table::{CellAlignment, Table, presets::NOTHING};

/// A column: its head, and its cell of a row.
pub(crate) type Column<'a, R> = (&'a str, &'a dyn Fn(&R) -> String);

/// The table of some rows, each with a cell for every head: the first column is aligned to the left, all
/// others to the right.
pub(crate) fn table<'a>(
    heads: impl IntoIterator<Item = &'a str>,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(heads).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        column.set_cell_alignment(if index == 0 { CellAlignment::Left } else { CellAlignment::Right });
    }
    table.trim_fmt()
}

/// The table of some rows whose cells `columns` make.
pub(crate) fn table_of<R>(rows: impl IntoIterator<Item = R>, columns: &[Column<'_, R>]) -> String {
    let cells = |row: R| columns.iter().map(|(_, cell)| cell(&row)).collect();
    table(columns.iter().map(|(head, _)| *head), rows.into_iter().map(cells))
}

/// A number with a prefix of the thousands: 12.3 M.
pub(crate) fn short(value: f64) -> String {
    let prefixes = ["", " k", " M", " G", " T", " P", " E"];
    let mut scaled = value;
    let mut prefix = 0;
    while scaled >= 999.5 && prefix + 1 < prefixes.len() {
        scaled /= 1000.0;
        prefix += 1;
    }
    let digits = if prefix == 0 || scaled >= 99.95 { 0 } else { 1 };
    format!("{scaled:.digits$}{}", prefixes[prefix])
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A share as a percentage that may be small, or a difference of which counts.
pub(crate) fn precise(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// What `format` makes of a value; a dash if there is none.
pub(crate) fn or_dash(value: Option<f64>, format: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), format)
}

/// A whole number as it is, any other with one digit behind the point.
pub(crate) fn number(value: f64) -> String {
    let digits = usize::from(value.fract() != 0.0);
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [(0.0, "0"), (999.0, "999"), (1000.0, "1.0 k"), (27_340.0, "27.3 k"), (1.5e9, "1.5 G")];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!((percent(0.1234), precise(0.1234)), ("12.3 %".to_owned(), "12.34 %".to_owned()));
        assert_eq!((number(3.0), number(2.25)), ("3".to_owned(), "2.2".to_owned()));
    }

    #[test]
    fn columns_line_up() {
        let columns: [Column<'_, (u32, &str)>; 2] =
            [("epoch", &|row| row.0.to_string()), ("größe", &|row| row.1.to_owned())];
        let table = table_of([(0, "1.25"), (10, "0.5"), (11, "")], &columns);
        assert_eq!(table, "epoch  größe\n0       1.25\n10       0.5\n11");
    }
}
