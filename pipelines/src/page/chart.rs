//! What all plots with two axes share: the place of a number, ticks, titles. Colours are classes of the style
//! sheet, so that one drawing serves light, dark and paper.

use svg::Document;
use svg::node::element::{Line, Rectangle, Text, Title};

/// Width and height of a plot, in units of the drawing.
const SIZE: (f64, f64) = (540.0, 270.0);

/// The plane of a plot: its left, right, upper and lower edge.
const PLANE: [f64; 4] = [58.0, 528.0, 12.0, 228.0];

/// The title of an axis of epochs, whose ticks are whole numbers.
pub(super) const EPOCH: &str = "epoch";

/// The axes of a plot.
#[derive(Clone, Debug)]
pub(super) struct Axes {
    /// The numbers at both ends of the horizontal axis.
    pub(super) x: (f64, f64),
    /// The numbers at both ends of the vertical axis.
    pub(super) y: (f64, f64),
    /// What the horizontal axis tells, with its unit.
    pub(super) x_title: &'static str,
    /// What the vertical axis tells, with its unit.
    pub(super) y_title: &'static str,
}

impl Axes {
    /// Where a number of the horizontal axis is.
    pub(super) fn across(&self, x: f64) -> f64 {
        place(x, self.x, (PLANE[0], PLANE[1]))
    }

    /// Where a number of the vertical axis is.
    pub(super) fn down(&self, y: f64) -> f64 {
        place(y, self.y, (PLANE[3], PLANE[2]))
    }

    /// The plot without what it is about.
    pub(super) fn draw(&self) -> Document {
        let [left, right, top, bottom] = PLANE;
        let mut drawing = document(SIZE.0, SIZE.1);
        for tick in ticks(self.y, 0.0) {
            let y = self.down(tick);
            drawing = drawing
                .add(line((left, y), (right, y), if tick == 0.0 { "zero" } else { "rule" }))
                .add(text((left - 6.0, y + 4.0), "end", &short(tick)));
        }
        for tick in ticks(self.x, if self.x_title == EPOCH { 1.0 } else { 0.0 }) {
            let x = self.across(tick);
            drawing = drawing.add(line((x, bottom), (x, bottom + 4.0), "zero")).add(text(
                (x, bottom + 17.0),
                "middle",
                &short(tick),
            ));
        }
        let turned = format!("rotate(-90 12 {})", f64::midpoint(top, bottom));
        drawing
            .add(line((left, bottom), (right, bottom), "zero"))
            .add(text((f64::midpoint(left, right), SIZE.1 - 8.0), "middle", self.x_title))
            .add(text((12.0, f64::midpoint(top, bottom)), "middle", self.y_title).set("transform", turned))
    }
}

/// An empty drawing of a width and a height.
pub(super) fn document(width: f64, height: f64) -> Document {
    let size = format!("0 0 {} {}", round(width), round(height));
    Document::new().set("viewBox", size).set("role", "img").set("style", format!("max-width:{width}px"))
}

/// A line of a class.
pub(super) fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Line {
    Line::new()
        .set("class", class)
        .set("x1", round(from.0))
        .set("y1", round(from.1))
        .set("x2", round(to.0))
        .set("y2", round(to.1))
}

/// A text whose `anchor` (start, middle, end) is at a place.
pub(super) fn text(at: (f64, f64), anchor: &str, content: &str) -> Text {
    Text::new(content).set("x", round(at.0)).set("y", round(at.1)).set("text-anchor", anchor)
}

/// A rectangle of a class between two corners, which tells what it is when pointed at.
pub(super) fn rectangle(from: (f64, f64), to: (f64, f64), class: &str, told: &str) -> Rectangle {
    Rectangle::new()
        .set("class", class)
        .set("x", round(from.0.min(to.0)))
        .set("y", round(from.1.min(to.1)))
        .set("width", round((to.0 - from.0).abs()))
        .set("height", round((to.1 - from.1).abs()))
        .add(Title::new(told))
}

/// As many digits as a drawing shows.
pub(super) fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The least and the greatest of some numbers, those that are not finite left out; `None` without any.
pub(super) fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |range, value| {
        let (least, greatest) = range.unwrap_or((value, value));
        Some((value.min(least), value.max(greatest)))
    })
}

fn place(value: f64, (from, to): (f64, f64), (start, end): (f64, f64)) -> f64 {
    if to == from { f64::midpoint(start, end) } else { start + (value - from) / (to - from) * (end - start) }
}

/// Round numbers within a range: about five, 1, 2 or 5 times a power of ten apart, and not less than `least`.
fn ticks((from, to): (f64, f64), least: f64) -> Vec<f64> {
    let rough = (to - from) / 5.0;
    if !(rough > 0.0 && rough.is_finite()) {
        return vec![from];
    }
    let rough = rough.max(least);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let (first, last) = ((from / step).ceil() as i64, (to / step + 1e-9).floor() as i64);
    (first..=last).map(|count| count as f64 * step).collect()
}

/// The number at a tick.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1e4.. if value < 0.0 => format!("-{}", short(-value)),
        1e4.. => crate::report::table::short(value).replace(".0 ", " "),
        0.01.. => format!("{}", (value * 1e4).round() / 1e4),
        _ => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(ticks((0.0, 100.0), 0.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks((1.0, 6.0), 0.0), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(ticks((-3.0, 4.0), 0.0), [-2.0, 0.0, 2.0, 4.0]);
        assert_eq!(ticks((2.0, 2.0), 0.0), [2.0]);
    }

    #[test]
    fn epochs_have_whole_numbers() {
        assert_eq!(ticks((1.0, 3.0), 0.0), [1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(ticks((1.0, 3.0), 1.0), [1.0, 2.0, 3.0]);
        assert_eq!(ticks((0.5, 1.5), 1.0), [1.0]);
        assert_eq!(ticks((0.5, 160.5), 1.0), [50.0, 100.0, 150.0]);
    }

    #[test]
    fn numbers_lie_between_the_edges_and_what_is_not_finite_widens_no_range() {
        let axes = Axes { x: (0.0, 10.0), y: (-1.0, 1.0), x_title: "", y_title: "" };
        assert_eq!((axes.across(0.0), axes.across(10.0), axes.down(0.0)), (58.0, 528.0, 120.0));
        assert_eq!(range([f64::NAN, 2.0, f64::INFINITY, -1.0]), Some((-1.0, 2.0)));
        assert_eq!(range([f64::NAN]), None);
    }
}
