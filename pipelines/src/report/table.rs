//! Tables of text: a line of heads, a line for each row. Without borders, so that they stay plain where they
//! are piped.
//!
//! On a terminal that is too narrow a table has fewer columns; if it does not fit even so, each row becomes a
//! group of lines. In a file or a pipe a table has its full width.

use comfy_table::{CellAlignment, Table, presets::NOTHING};

use crate::terminal;

/// The cells of a row.
type Cells = Vec<String>;

/// The head of a column, and how soon the column is left out: the greatest number first, 0 never.
pub(crate) type Head<'a> = (&'a str, u8);

/// A column: its head, and its cell of a row.
pub(crate) type Column<'a, R> = (Head<'a>, &'a dyn Fn(&R) -> String);

/// Columns between two cells.
const GAP: usize = 2;

/// The table of some rows, each with a cell for every head, as wide as the terminal at most: the first column
/// is aligned to the left, all others to the right.
pub(crate) fn table<'a>(
    heads: impl IntoIterator<Item = Head<'a>>,
    rows: impl IntoIterator<Item = Cells>,
) -> String {
    fitted(&heads.into_iter().collect::<Vec<_>>(), &rows.into_iter().collect::<Vec<_>>(), terminal::width())
}

/// The table of some rows whose cells `columns` make.
pub(crate) fn table_of<R>(rows: impl IntoIterator<Item = R>, columns: &[Column<'_, R>]) -> String {
    let cells = |row: R| columns.iter().map(|(_, cell)| cell(&row)).collect();
    table(columns.iter().map(|(head, _)| *head), rows.into_iter().map(cells))
}

/// The same, at most `width` columns wide.
fn fitted(heads: &[Head<'_>], rows: &[Cells], width: Option<usize>) -> String {
    let Some(kept) = kept(heads, rows, width) else { return groups(heads, rows) };
    let pick = |row: &[String]| kept.iter().map(|index| row[*index].clone()).collect::<Vec<_>>();
    lines(kept.iter().map(|index| heads[*index].0), rows.iter().map(|row| pick(row)))
}

/// The columns for which there is room; `None` if there is none for those that are never left out.
fn kept(heads: &[Head<'_>], rows: &[Cells], width: Option<usize>) -> Option<Vec<usize>> {
    let chars = |text: &str| text.chars().count();
    let widest = |index: usize| rows.iter().map(|row| chars(&row[index])).max().unwrap_or(0);
    let widths: Vec<usize> =
        heads.iter().enumerate().map(|(index, (head, _))| widest(index).max(chars(head))).collect();
    let mut kept: Vec<usize> = (0..heads.len()).collect();
    while width
        .is_some_and(|width| kept.iter().map(|index| widths[*index] + GAP).sum::<usize>() > width + GAP)
    {
        let spare = |index: &&usize| heads[**index].1;
        let out = kept.iter().filter(|index| spare(index) > 0).max_by_key(spare).copied()?;
        kept.retain(|index| *index != out);
    }
    Some(kept)
}

/// A line of heads, and one for each row.
fn lines<'a>(heads: impl IntoIterator<Item = &'a str>, rows: impl IntoIterator<Item = Cells>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(heads).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP as u16));
        column.set_cell_alignment(if index == 0 { CellAlignment::Left } else { CellAlignment::Right });
    }
    table.trim_fmt()
}

/// A group of lines for each row: what the first column names, then each of the others with its head.
fn groups(heads: &[Head<'_>], rows: &[Cells]) -> String {
    let group = |row: &Cells| {
        let cells = heads.iter().zip(row).skip(1).map(|((head, _), cell)| format!("  {head}: {cell}"));
        [format!("{} {}", heads[0].0, row[0])].into_iter().chain(cells).collect::<Vec<_>>().join("\n")
    };
    rows.iter().map(group).collect::<Vec<_>>().join("\n")
}

/// A table whose rows come one after the other.
pub(crate) struct Growing {
    /// The columns for which there is room.
    kept: Vec<usize>,
    heads: Vec<&'static str>,
    /// The widest cells that are expected.
    widest: Cells,
}

impl Growing {
    /// With those of the columns for which the terminal has room, if no cell is wider than those of `widest`.
    pub(crate) fn new<R>(columns: &[Column<'static, R>], widest: &R) -> Self {
        let heads: Vec<Head<'static>> = columns.iter().map(|(head, _)| *head).collect();
        let cells: Cells = columns.iter().map(|(_, cell)| cell(widest)).collect();
        // A row stays one line, however narrow the terminal is.
        let least = || (0..heads.len()).filter(|index| heads[*index].1 == 0).collect();
        let kept = kept(&heads, std::slice::from_ref(&cells), terminal::width()).unwrap_or_else(least);
        let heads = kept.iter().map(|index| heads[*index].0).collect();
        Self { heads, widest: kept.iter().map(|index| cells[*index].clone()).collect(), kept }
    }

    /// The line of heads.
    pub(crate) fn heads(&self) -> String {
        self.with_row(self.widest.clone()).0
    }

    /// The line of a row of the same columns.
    pub(crate) fn line<R>(&self, columns: &[Column<'static, R>], row: &R) -> String {
        self.with_row(self.kept.iter().map(|index| (columns[*index].1)(row)).collect()).1
    }

    /// The first and the last line of the table of the widest row and this.
    fn with_row(&self, row: Cells) -> (String, String) {
        let text = lines(self.heads.iter().copied(), [self.widest.clone(), row]);
        let line = |line: Option<&str>| line.unwrap_or_default().to_owned();
        (line(text.lines().next()), line(text.lines().last()))
    }
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
            [(("epoch", 0), &|row| row.0.to_string()), (("größe", 0), &|row| row.1.to_owned())];
        let table = table_of([(0, "1.25"), (10, "0.5"), (11, "")], &columns);
        assert_eq!(table, "epoch  größe\n0       1.25\n10       0.5\n11");
    }

    #[test]
    fn a_narrow_table_has_fewer_columns_then_a_group_of_lines_for_each_row() {
        let heads = [("epoch", 0), ("loss", 1), ("accuracy", 0), ("weights", 2)];
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let rows = [row(["1", "0.25", "99 %", "1000"]), row(["2", "0.125", "100 %", "900"])];
        let fitted = |width| super::fitted(&heads, &rows, width);
        let whole = "epoch   loss  accuracy  weights\n1       0.25      99 %     1000\n\
                     2      0.125     100 %      900";
        assert_eq!((fitted(None), fitted(Some(31))), (whole.to_owned(), whole.to_owned()));
        for (width, head) in
            [(30, "epoch   loss  accuracy"), (22, "epoch   loss  accuracy"), (21, "epoch  accuracy")]
        {
            let table = fitted(Some(width));
            assert_eq!(table.lines().next(), Some(head), "{width}");
            assert!(table.lines().all(|line| line.chars().count() <= width), "{table}");
        }
        let groups = fitted(Some(14));
        assert_eq!(
            groups.lines().take(5).collect::<Vec<_>>(),
            ["epoch 1", "  loss: 0.25", "  accuracy: 99 %", "  weights: 1000", "epoch 2"]
        );
    }

    #[test]
    fn rows_that_come_one_by_one_line_up() {
        let columns: [Column<'static, (u32, &str)>; 2] =
            [(("epoch", 0), &|row| row.0.to_string()), (("loss", 0), &|row| row.1.to_owned())];
        let table = Growing::new(&columns, &(100, "10.000"));
        let line = |row| table.line(&columns, &row);
        let lines = [table.heads(), line((1, "0.5")), line((100, "0.25"))];
        assert_eq!(lines, ["epoch    loss", "1         0.5", "100      0.25"]);
    }
}
