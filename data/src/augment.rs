//! Augmentation: padded random crop and horizontal flip, a function of `(seed, epoch, sample)`.

use crate::{Purpose, draw};

crate::choice! {
    /// How the training images of a data set are varied, by name.
    #[derive(Default)]
    pub enum Augmentation {
        /// Not at all.
        #[default]
        None = "none",
        /// Half of the images are mirrored.
        Flip = "flip",
        /// Images are padded, then cropped to their size at random.
        Crop = "crop",
        /// Both.
        CropFlip = "crop-flip",
    }
}

/// How training images are varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augment {
    /// Mirror left to right with probability one half.
    pub flip: bool,
    /// Pixels of padding on each side from which a window of the original size is cropped; 0: no crop.
    pub padding: u8,
}

/// Where a sample's pixels come from in one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Row of the image that lands in row 0; rows outside the image are padding.
    pub down: i32,
    /// Column of the image that lands in column 0 (before the flip).
    pub right: i32,
    /// Whether the window is mirrored.
    pub flip: bool,
}

impl Augment {
    /// The augmentation of this name, cropping from `padding` pixels.
    pub fn of(augmentation: Augmentation, padding: u8) -> Self {
        use Augmentation::{Crop, CropFlip, Flip};
        let crop = matches!(augmentation, Crop | CropFlip);
        Self { flip: matches!(augmentation, Flip | CropFlip), padding: if crop { padding } else { 0 } }
    }

    /// The placement of `sample` in `epoch`: each of the `(2 · padding + 1)²` windows is equally likely.
    pub fn place(&self, seed: u64, epoch: u32, sample: u32) -> Placement {
        let bits = draw(seed, Purpose::Augment, u64::from(epoch), u64::from(sample));
        let windows = 2 * u64::from(self.padding) + 1;
        // Multiply-shift of 21 bits each; the bias is below windows / 2²¹.
        let offset = |bits: u64| (((bits & 0x1F_FFFF) * windows) >> 21) as i32 - i32::from(self.padding);
        Placement { down: offset(bits), right: offset(bits >> 21), flip: self.flip && bits >> 63 == 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placements_cover_every_window_and_both_orientations() {
        let augment = Augment::of(Augmentation::CropFlip, 2);
        let mut seen = std::collections::BTreeMap::new();
        for sample in 0..5000 {
            let placement = augment.place(3, 1, sample);
            *seen.entry((placement.down, placement.right, placement.flip)).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 50);
        assert!(seen.values().all(|count| (50..=150).contains(count)), "{seen:?}");
    }

    #[test]
    fn none_leaves_images_alone() {
        assert_eq!(Augment::of(Augmentation::None, 4).place(1, 2, 3), Placement::default());
        assert_eq!(Augmentation::default(), Augmentation::None);
    }
}
