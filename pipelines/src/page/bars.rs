//! Plots of bars.

use std::collections::BTreeMap;

use super::chart::{Axes, EPOCH, document, range, rectangle, text};
use super::epochs::Epochs;
use super::figure::{Figure, Table};

/// A part of a bar: its class, where it begins and ends, and what it is.
pub(super) type Part = (&'static str, f64, f64, String);

/// The drawing of upright bars, if there are some: each of an epoch, as wide as the group that it stands for.
pub(super) fn upright(bars: &[(u32, Vec<Part>)], epochs: Epochs, y_title: &'static str) -> Vec<String> {
    // The number of an epoch is in the middle of its place.
    let sides = |epoch: u32| (f64::from(epochs.first(epoch)) + 0.5, f64::from(epoch) + 1.5);
    let ends = bars.iter().flat_map(|bar| &bar.1).flat_map(|part| [part.1, part.2]).chain([0.0]);
    let x = range(bars.iter().flat_map(|bar| <[f64; 2]>::from(sides(bar.0))));
    let Some((x, y)) = x.zip(range(ends)).filter(|(_, (least, greatest))| least < greatest) else {
        return Vec::new();
    };
    let axes = Axes { x, y, x_title: EPOCH, y_title };
    let mut drawing = axes.draw();
    for (epoch, parts) in bars {
        let (from, to) = sides(*epoch);
        let (left, right) = (axes.across(from), axes.across(to));
        // A gap between bars, where it does not take the most of them.
        let gap = if right - left > 6.0 { 0.08 * (right - left) } else { 0.0 };
        let (left, right) = (left + gap, right - gap);
        for (class, from, to, told) in parts.iter().filter(|part| part.1 != part.2) {
            drawing = drawing.add(rectangle((left, axes.down(*from)), (right, axes.down(*to)), class, told));
        }
    }
    vec![drawing.to_string()]
}

/// A figure of what comes (above) and goes (below) in epochs: their numbers, by the last epoch of each group.
/// It is told by a title, a caption, and another caption if nothing comes or goes.
pub(super) fn opposed(
    epochs: Epochs,
    counts: &BTreeMap<u32, (u64, u64)>,
    [title, caption, nothing]: [&'static str; 3],
    [comes, goes]: [&'static str; 2],
    y_title: &'static str,
    table: Table,
) -> Figure {
    if counts.is_empty() {
        return Figure::absent(title, nothing);
    }
    let bars: Vec<(u32, Vec<Part>)> = epochs
        .shown()
        .map(|epoch| {
            let (above, below) = counts.get(&epoch).copied().unwrap_or_default();
            let told = |count: u64, what: &str| format!("epoch {}: {count} {what}", epoch + 1);
            let parts = [
                ("f2", 0.0, above as f64, told(above, comes)),
                ("f1", 0.0, -(below as f64), told(below, goes)),
            ];
            (epoch, parts.into())
        })
        .collect();
    Figure {
        title,
        caption: caption.to_owned(),
        legend: [("f2", comes), ("f1", goes)].map(|(class, words)| (class.into(), words.into())).into(),
        drawings: upright(&bars, epochs, y_title),
        tables: vec![table],
        ..Figure::default()
    }
}

/// The drawing of bars that lie below each other, each with its name, its number, and that as it is read.
pub(super) fn lying(bars: &[(String, f64, String)]) -> String {
    const ROW: f64 = 20.0;
    const ROOM: f64 = 450.0;
    let longest = bars.iter().map(|bar| bar.0.chars().count()).max().unwrap_or(0) as f64;
    let (left, greatest) = (16.0 + 6.6 * longest, range(bars.iter().map(|bar| bar.1)).map_or(0.0, |of| of.1));
    let mut drawing = document(left + ROOM + 90.0, ROW * bars.len() as f64 + 4.0);
    for (row, (name, value, told)) in bars.iter().enumerate() {
        let top = ROW * row as f64 + 3.0;
        let right = left + if greatest > 0.0 { ROOM * value / greatest } else { 0.0 };
        drawing = drawing
            .add(text((left - 8.0, top + 12.0), "end", name))
            .add(rectangle((left, top), (right, top + ROW - 5.0), "f0", told))
            .add(text((right + 6.0, top + 12.0), "start", told));
    }
    drawing.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_of_groups_lie_side_by_side_and_a_shorter_group_is_narrower() {
        // Eighty groups of two epochs, and one of one.
        let epochs = Epochs::new(161);
        let bars: Vec<_> =
            epochs.shown().map(|epoch| (epoch, vec![("f0", 0.0, 1.0, String::new())])).collect();
        let drawing = &upright(&bars, epochs, "samples")[0];
        let number = |text: &str, name: &str| -> f64 {
            let after = text.split(&format!(" {name}=\"")).nth(1).unwrap();
            after.split('"').next().unwrap().parse().unwrap()
        };
        let places: Vec<(f64, f64)> =
            drawing.split("<rect").skip(1).map(|bar| (number(bar, "x"), number(bar, "width"))).collect();
        // Places and widths are drawn to a tenth: three of them are off by less than this.
        const OFF: f64 = 0.151;
        assert!(places.windows(2).all(|pair| (pair[0].0 + pair[0].1 - pair[1].0).abs() < OFF), "{places:?}");
        let last = places.last().unwrap();
        assert!((places[0].1 - 2.0 * last.1).abs() < OFF && (last.0 + last.1 - 528.0).abs() < OFF);
    }
}
