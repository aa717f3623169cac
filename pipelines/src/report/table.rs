//! A plain table: columns as wide as their widest cell, numbers to the right.

/// Lines of a table under `heads`; the first column is aligned to the left.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut heads.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [(0.0, "0"), (999.0, "999"), (1000.0, "1.0 k"), (27_340.0, "27.3 k"), (1.5e9, "1.5 G")];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!(percent(0.1234), "12.3 %");
    }

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["0".to_owned(), "1.25".to_owned()], vec!["10".to_owned(), "0.5".to_owned()]];
        assert_eq!(table(&["epoch", "loss"], &rows), "epoch  loss\n0      1.25\n10      0.5");
    }
}
