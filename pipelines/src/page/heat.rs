//! Maps of cells: a row for each name, a column for each number, the stronger the greater its logarithm.

use svg::node::element::Path;

use super::chart::{document, range, round, text};

/// Shades of a map.
const SHADES: usize = 10;

/// Columns up to which a map of the whole width still has cells that are wide enough to write into.
const WRITTEN: usize = 16;

/// A map of cells.
pub(super) struct Heat<'a> {
    /// The name of each row, from above.
    pub(super) rows: &'a [String],
    /// The name of each column, from the left.
    pub(super) columns: &'a [String],
    /// What the columns are.
    pub(super) title: &'static str,
    /// The number of a row and a column; `None` draws no cell.
    pub(super) value: &'a dyn Fn(usize, usize) -> Option<f64>,
    /// Whether a cell is struck through.
    pub(super) is_struck: &'a dyn Fn(usize, usize) -> bool,
    /// Whether the numbers stand in the cells, where there is room.
    pub(super) written: bool,
}

impl Heat<'_> {
    /// The drawing: a path for each shade, so that its size stays small.
    pub(super) fn draw(&self) -> String {
        let (rows, columns) = (self.rows.len(), self.columns.len());
        let longest = self.rows.iter().map(|name| name.chars().count()).max().unwrap_or(0) as f64;
        let (left, width) = (16.0 + 6.4 * longest, 620.0 / columns.max(1) as f64);
        let (width, height) = (width.min(48.0), if rows > 40 { 9.0 } else { 15.0 });
        let corner = |row: usize, column: usize| (left + width * column as f64, 4.0 + height * row as f64);
        let (right, bottom) = corner(rows, columns);
        let mut drawing = document((right + 24.0).max(300.0), bottom + 42.0);
        let cells = || (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let of = |(row, column)| (self.value)(row, column).map(f64::ln);
        let scale = range(cells().filter_map(of)).unwrap_or((0.0, 0.0));
        let (mut shades, mut struck) = (vec![String::new(); SHADES], String::new());
        for (row, column) in cells() {
            let (x, y) = corner(row, column);
            let (x, y) = (round(x), round(y));
            // A gap between cells, where it does not take the most of them.
            let (across, down) = (round(if width > 6.0 { width - 0.5 } else { width }), round(height - 0.5));
            if let Some(value) = of((row, column)) {
                shades[shade(value, scale)] += &format!("M{x} {y}h{across}v{down}h-{across}z");
            }
            if (self.is_struck)(row, column) {
                struck += &format!("M{x} {}h{}", round(y + down / 2.0), round(width));
            }
        }
        for (shade, data) in shades.into_iter().enumerate().filter(|(_, data)| !data.is_empty()) {
            drawing = drawing.add(Path::new().set("class", format!("q{shade}")).set("d", data));
        }
        drawing = drawing.add(Path::new().set("class", "struck").set("d", struck));
        for (row, name) in self.rows.iter().enumerate() {
            drawing = drawing.add(text((left - 6.0, corner(row, 0).1 + height - 4.0), "end", name));
        }
        let every = (30.0 / width).ceil() as usize;
        for (column, name) in self.columns.iter().enumerate().filter(|(column, _)| column % every == 0) {
            let place = (corner(0, column).0 + width / 2.0, bottom + 14.0);
            drawing = drawing.add(text(place, "middle", name));
        }
        if self.written && columns <= WRITTEN {
            for (row, column) in cells() {
                if let Some(value) = (self.value)(row, column) {
                    let (x, y) = corner(row, column);
                    let dark = shade(value.ln(), scale) >= SHADES / 2;
                    let number = text((x + width / 2.0, y + height - 4.0), "middle", &value.to_string());
                    drawing = drawing.add(number.set("class", if dark { "on" } else { "off" }));
                }
            }
        }
        let middle = f64::midpoint(left, right);
        drawing.add(text((middle, bottom + 32.0), "middle", self.title)).to_string()
    }
}

/// The shade of a number: 0 for the least and what is not finite, the last for the greatest.
fn shade(value: f64, (least, greatest): (f64, f64)) -> usize {
    let share = if greatest > least { (value - least) / (greatest - least) } else { 1.0 };
    if share.is_finite() { (share * (SHADES - 1) as f64).round().clamp(0.0, 9.0) as usize } else { 0 }
}

/// The scale of a map in words: what the faintest and the strongest cell mean.
pub(super) fn scale(values: impl IntoIterator<Item = f64>, digits: usize) -> String {
    match range(values) {
        Some((least, greatest)) => format!("faintest {least:.digits$}, strongest {greatest:.digits$}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_go_from_the_least_to_the_greatest_number() {
        assert_eq!([0.0, 0.5, 1.0].map(|value| shade(value, (0.0, 1.0))), [0, 5, 9]);
        assert_eq!(shade(f64::NAN, (0.0, 1.0)), 0);
        assert_eq!(shade(f64::NEG_INFINITY, (0.0, 1.0)), 0);
        assert_eq!(shade(3.0, (3.0, 3.0)), 9);
    }
}
