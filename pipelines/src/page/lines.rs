//! Plots of lines.

use svg::node::element::{Path, Title};

use super::chart::{Axes, range, round};

/// Runs that are drawn together at most: each has a colour of its own.
pub(super) const COLOURS: usize = 16;

/// That of so many runs some are not drawn, in words; nothing if all are.
pub(super) fn left_out(runs: usize) -> String {
    match runs > COLOURS {
        true => format!(" Of {runs} runs the first {COLOURS} are drawn; all have a table."),
        false => String::new(),
    }
}

/// A line: its classes, what it is, and its points from left to right.
pub(super) struct Curve {
    pub(super) class: String,
    pub(super) told: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// The drawing of some lines; `None` if there is no point. The vertical axis begins at 0 if `from_zero`.
pub(super) fn lines(
    curves: &[Curve],
    x_title: &'static str,
    y_title: &'static str,
    from_zero: bool,
) -> Option<String> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let x = range(points().map(|point| point.0))?;
    let (least, greatest) = range(points().map(|point| point.1))?;
    let y = if from_zero { (0.0, greatest.max(f64::MIN_POSITIVE)) } else { (least, greatest) };
    let axes = Axes { x, y, x_title, y_title };
    let mut drawing = axes.draw();
    for Curve { class, told, points } in curves {
        let (mut data, mut mark) = (String::new(), 'M');
        for (x, y) in points {
            if !(x.is_finite() && y.is_finite()) {
                mark = 'M';
                continue;
            }
            data += &format!("{mark}{} {}", round(axes.across(*x)), round(axes.down(*y)));
            // A point that stands alone is a dot.
            data += if mark == 'M' { "h0" } else { "" };
            mark = 'L';
        }
        let path = Path::new().set("class", format!("line {class}")).set("d", data);
        drawing = drawing.add(path.add(Title::new(told.as_str())));
    }
    Some(drawing.to_string())
}
