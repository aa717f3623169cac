//! Augmentation: how training images are varied, a function of `(seed, epoch, sample)`.

use std::fmt;
use std::ops::RangeBounds;

use crate::parameter::Range;
use crate::{Purpose, Setting, Value, draw};

/// How the training images of a data set are varied: names joined by `+`, such as `crop-flip+cutout`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Augmentation {
    /// Images are padded, then cropped to their size at random.
    pub crop: bool,
    /// Half of the images are mirrored.
    pub flip: bool,
    /// A square of every image is replaced by the mean ([Cutout](https://arxiv.org/abs/1708.04552)).
    pub cutout: bool,
    /// Images are turned by a few degrees.
    pub rotate: bool,
    /// Brightness, contrast and saturation of RGB images change.
    pub colour: bool,
}

#[allow(non_upper_case_globals, reason = "they are used like the variants of an enum")]
impl Augmentation {
    /// Not at all.
    pub const None: Self = Self { crop: false, flip: false, cutout: false, rotate: false, colour: false };
    /// Half of the images are mirrored.
    pub const Flip: Self = Self { flip: true, ..Self::None };
    /// Images are padded, then cropped to their size at random.
    pub const Crop: Self = Self { crop: true, ..Self::None };
    /// Both.
    pub const CropFlip: Self = Self { flip: true, ..Self::Crop };
    /// The names that can be joined.
    pub const NAMES: [&'static str; 6] = ["flip", "crop", "crop-flip", "cutout", "rotate", "colour"];

    /// The augmentation of this name: `none`, or names joined by `+`.
    pub fn named(text: &str) -> Option<Self> {
        let mut all = Self::None;
        for name in text.split('+').filter(|_| text != "none") {
            match name {
                "flip" => all.flip = true,
                "crop" => all.crop = true,
                "crop-flip" => (all.crop, all.flip) = (true, true),
                "cutout" => all.cutout = true,
                "rotate" => all.rotate = true,
                "colour" => all.colour = true,
                _ => return None,
            }
        }
        Some(all)
    }
}

impl fmt::Display for Augmentation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let placed = match (self.crop, self.flip) {
            (false, false) => None,
            (false, true) => Some("flip"),
            (true, false) => Some("crop"),
            (true, true) => Some("crop-flip"),
        };
        let others = [(self.cutout, "cutout"), (self.rotate, "rotate"), (self.colour, "colour")];
        let others = others.into_iter().filter_map(|(is, name)| is.then_some(name));
        let names: Vec<&str> = placed.into_iter().chain(others).collect();
        if names.is_empty() { write!(formatter, "none") } else { write!(formatter, "{}", names.join("+")) }
    }
}

impl From<Augmentation> for String {
    fn from(augmentation: Augmentation) -> Self {
        augmentation.to_string()
    }
}

impl TryFrom<String> for Augmentation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let expected = || format!("unknown augmentation `{text}`, expected {}", Self::range(..));
        Self::named(&text).ok_or_else(expected)
    }
}

impl Setting for Augmentation {
    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Self::named(text) } else { None }
    }

    fn range(_: impl RangeBounds<Self>) -> Range {
        Range::Joined { alone: vec!["none"], names: Self::NAMES.to_vec() }
    }
}

/// How training images of a shape are varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augment {
    /// Mirror left to right with probability one half.
    pub flip: bool,
    /// Pixels of padding on each side from which a window of the original size is cropped; 0: no crop.
    pub padding: u8,
    /// Rows and columns of the square that is cut out; 0: none.
    pub hole: u16,
    /// Degrees by which images are turned at most, to either side.
    pub degrees: u8,
    /// Per cent by which brightness, contrast and saturation change at most.
    pub jitter: u8,
}

/// Where a sample's pixels come from in one epoch, and what becomes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Row of the image that lands in row 0; rows outside the image are padding.
    pub down: i32,
    /// Column of the image that lands in column 0 (before the flip).
    pub right: i32,
    /// Whether the window is mirrored.
    pub flip: bool,
    /// Thousandths of a degree by which the window is turned about its middle, clockwise, before the flip.
    pub turn: i32,
    /// A square whose values become the mean, if there is one.
    pub hole: Option<Hole>,
    /// Thousandths by which brightness, contrast and saturation differ from those of the image.
    pub jitter: [i32; 3],
}

/// A square that is cut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The row in its middle, from 0.
    pub row: u16,
    /// The column in its middle, from 0.
    pub column: u16,
    /// Rows and columns of it; what lies outside of the image is not there.
    pub side: u16,
}

impl Hole {
    /// Whether a pixel is cut out.
    pub fn covers(&self, row: usize, column: usize) -> bool {
        let inside = |at: usize, middle: u16| {
            let from = i64::from(middle) - i64::from(self.side / 2);
            (from..from + i64::from(self.side)).contains(&(at as i64))
        };
        inside(row, self.row) && inside(column, self.column)
    }
}

/// Which draw of a sample: none but the first are needed unless something is asked for.
#[derive(Clone, Copy)]
enum Part {
    Window = 0,
    Turn = 1,
    Hole = 2,
    Jitter = 3,
}

impl Augment {
    /// The degrees of `rotate`.
    const DEGREES: u8 = 10;
    /// The per cents of `colour`.
    const JITTER: u8 = 20;

    /// The augmentation of this name for images of so many rows and columns, cropping from `padding` pixels.
    /// A hole has half the rows or columns, whichever are fewer.
    pub fn of(augmentation: Augmentation, padding: u8, [height, width]: [usize; 2]) -> Self {
        let Augmentation { crop, flip, cutout, rotate, colour } = augmentation;
        Self {
            flip,
            padding: if crop { padding } else { 0 },
            hole: if cutout { u16::try_from(height.min(width).div_ceil(2)).unwrap_or(u16::MAX) } else { 0 },
            degrees: if rotate { Self::DEGREES } else { 0 },
            jitter: if colour { Self::JITTER } else { 0 },
        }
    }

    /// The placement of `sample` in `epoch`, in an image of so many rows and columns. Each of the
    /// `(2 · padding + 1)²` windows is equally likely; so is every angle, every middle of a hole and every
    /// jitter.
    pub fn place(&self, seed: u64, epoch: u32, sample: u32, [height, width]: [usize; 2]) -> Placement {
        let draw = |part: Part| {
            draw(seed, Purpose::Augment, u64::from(epoch), (part as u64) << 32 | u64::from(sample))
        };
        // Multiply-shift of 21 bits each; the bias is below count / 2²¹.
        let below = |bits: u64, count: u64| (((bits & 0x1F_FFFF) * count) >> 21) as i32;
        let around = |bits: u64, most: i32| below(bits, 2 * most as u64 + 1) - most;
        let (bits, padding) = (draw(Part::Window), i32::from(self.padding));
        let (down, right) = (around(bits, padding), around(bits >> 21, padding));
        let mut placement =
            Placement { down, right, flip: self.flip && bits >> 63 == 1, ..Placement::default() };
        if self.degrees > 0 {
            placement.turn = around(draw(Part::Turn), 1000 * i32::from(self.degrees));
        }
        if self.hole > 0 {
            let bits = draw(Part::Hole);
            let (row, column) = (below(bits, height as u64) as u16, below(bits >> 21, width as u64) as u16);
            placement.hole = Some(Hole { row, column, side: self.hole });
        }
        if self.jitter > 0 {
            let bits = draw(Part::Jitter);
            placement.jitter = [0, 21, 42].map(|shift| around(bits >> shift, 10 * i32::from(self.jitter)));
        }
        placement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 2] = [8, 6];

    #[test]
    fn placements_cover_every_window_and_both_orientations() {
        let augment = Augment::of(Augmentation::CropFlip, 2, SHAPE);
        let mut seen = std::collections::BTreeMap::new();
        for sample in 0..5000 {
            let placement = augment.place(3, 1, sample, SHAPE);
            *seen.entry((placement.down, placement.right, placement.flip)).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 50);
        assert!(seen.values().all(|count| (50..=150).contains(count)), "{seen:?}");
    }

    #[test]
    fn none_leaves_images_alone() {
        assert_eq!(Augment::of(Augmentation::None, 4, SHAPE).place(1, 2, 3, SHAPE), Placement::default());
        assert_eq!(Augmentation::default(), Augmentation::None);
    }

    #[test]
    fn turns_holes_and_jitter_cover_their_ranges_evenly() {
        let all = Augment::of(Augmentation::named("cutout+rotate+colour").unwrap(), 2, SHAPE);
        let places: Vec<Placement> = (0..4800).map(|sample| all.place(3, 1, sample, SHAPE)).collect();
        assert!(places.iter().all(|place| (place.down, place.right, place.flip) == (0, 0, false)));
        let turned = |low: i32| places.iter().filter(|place| (low..low + 1000).contains(&place.turn)).count();
        assert!((-10..10).all(|degree| (160..=320).contains(&turned(1000 * degree))));
        assert!(places.iter().all(|place| place.turn.abs() <= 10_000));
        let mut holes = std::collections::BTreeMap::new();
        for Hole { row, column, side } in places.iter().filter_map(|place| place.hole) {
            assert_eq!(side, 3);
            *holes.entry((row, column)).or_insert(0) += 1;
        }
        assert!(holes.len() == 48 && holes.values().all(|count| (50..=150).contains(count)), "{holes:?}");
        for part in 0..3 {
            let jitter: Vec<i32> = places.iter().map(|place| place.jitter[part]).collect();
            let mean = jitter.iter().sum::<i32>() as f64 / 4800.0;
            assert!(mean.abs() < 10.0 && jitter.iter().all(|jitter| jitter.abs() <= 200), "{mean}");
            assert!(jitter.iter().any(|jitter| *jitter < -190) && jitter.iter().any(|jitter| *jitter > 190));
        }
        // One that is asked for does not change what another draws.
        let crop = Augment::of(Augmentation::CropFlip, 2, SHAPE);
        let both = Augment { hole: 3, ..crop };
        let (alone, beside) = (crop.place(3, 1, 7, SHAPE), both.place(3, 1, 7, SHAPE));
        assert_eq!(Placement { hole: None, ..beside }, alone);
    }

    #[test]
    fn names_are_joined_and_read_again() {
        for text in ["none", "flip", "crop", "crop-flip", "cutout", "crop-flip+cutout+rotate+colour"] {
            assert_eq!(Augmentation::named(text).unwrap().to_string(), text);
        }
        assert_eq!(Augmentation::named("rotate+flip+crop").unwrap().to_string(), "crop-flip+rotate");
        for text in ["", "mirror", "none+flip", "flip+", "crop+auto"] {
            assert_eq!(Augmentation::named(text), None);
        }
    }

    #[test]
    fn a_hole_is_cut_at_the_border() {
        let hole = Hole { row: 0, column: 5, side: 4 };
        let covered = |row: usize| (0..6).filter(|column| hole.covers(row, *column)).collect::<Vec<_>>();
        assert_eq!([0, 1, 2].map(covered), [vec![3, 4, 5], vec![3, 4, 5], vec![]]);
    }
}
