//! Labelled images, in memory or read by need: values as stored, normalised only where a batch is built.

mod normalization;
mod stored;

use std::sync::Arc;

pub use normalization::{Histograms, Normalization};
pub use stored::{PixelStore, Stored};

use crate::Augmentation;

/// The values of images.
#[derive(Clone, Debug, PartialEq)]
pub enum Pixels {
    /// Bytes, as pictures have them.
    U8(Vec<u8>),
    /// Numbers, as tables have them: rows of one channel, each of whose columns has a scale of its own. They
    /// are never varied.
    F32(Vec<f32>),
    /// Not in memory, but read by need: [`Images::at_hand`].
    Stored(Stored),
}

impl Pixels {
    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::Stored(stored) => stored.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the values take, in memory or not.
    pub fn bytes(&self) -> usize {
        self.width() * self.len()
    }

    /// Bytes that a value takes.
    pub fn width(&self) -> usize {
        if self.is_table() { size_of::<f32>() } else { 1 }
    }

    /// Whether they are the rows of a table.
    fn is_table(&self) -> bool {
        match self {
            Self::U8(_) => false,
            Self::F32(_) => true,
            Self::Stored(stored) => stored.is_table(),
        }
    }
}

impl Default for Pixels {
    fn default() -> Self {
        Self::U8(Vec::new())
    }
}

impl From<Vec<u8>> for Pixels {
    fn from(values: Vec<u8>) -> Self {
        Self::U8(values)
    }
}

impl From<Vec<f32>> for Pixels {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

impl FromIterator<u8> for Pixels {
    fn from_iter<I: IntoIterator<Item = u8>>(values: I) -> Self {
        Self::U8(values.into_iter().collect())
    }
}

/// Labelled images of one shape, values in `(sample, channel, row, column)` order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images {
    /// Colour planes: 1 for grey, 3 for RGB.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `len() · channels · height · width` values.
    pub pixels: Pixels,
    /// The class of each image, from 0.
    pub labels: Vec<u16>,
}

impl Images {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Values of one image.
    pub fn stride(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Those images, in that order.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn selected(&self, samples: &[usize]) -> Self {
        let stride = self.stride();
        let pixels = match &self.pixels {
            Pixels::U8(values) => Pixels::U8(rows(values, stride, samples)),
            Pixels::F32(values) => Pixels::F32(rows(values, stride, samples)),
            Pixels::Stored(stored) => Pixels::Stored(stored.selected(samples)),
        };
        let labels = samples.iter().map(|sample| self.labels[*sample]).collect();
        Self { pixels, labels, ..*self }
    }

    /// The bytes of one image.
    ///
    /// # Panics
    /// If there is no such image, or its values are no bytes in memory.
    pub fn image(&self, sample: usize) -> &[u8] {
        let Pixels::U8(values) = &self.pixels else { panic!("the values are no bytes in memory") };
        &values[sample * self.stride()..][..self.stride()]
    }

    /// Whether they are the rows of a table.
    pub fn is_table(&self) -> bool {
        self.pixels.is_table()
    }
}

/// Those of the `values`, `stride` for each sample.
fn rows<T: Copy>(values: &[T], stride: usize, samples: &[usize]) -> Vec<T> {
    samples.iter().flat_map(|sample| &values[sample * stride..][..stride]).copied().collect()
}

/// A data set: what is trained on, what is tested on, and which bytes it was.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Name for people and for the manifest, such as `fashion-mnist`.
    pub name: String,
    /// Number of classes; labels are below it.
    pub classes: usize,
    /// The name of each class; empty if they are unknown.
    pub class_names: Vec<String>,
    /// The name of each column of a table; empty if they are unknown, and for images.
    pub column_names: Vec<String>,
    /// Training images; sample `i` of the trace is image `i`.
    pub train: Arc<Images>,
    /// Training images that are set aside, to validate on; none unless asked for.
    pub validation: Arc<Images>,
    /// Test images.
    pub test: Arc<Images>,
    /// How bytes become activations: as the files state it, or else as measured on the training images.
    pub normalization: Normalization,
    /// BLAKE3 of the content, in hexadecimal: tells one data set from another whatever its file.
    pub fingerprint: String,
    /// How its training images are varied unless a run says otherwise.
    pub augment: Augmentation,
    /// The first sample of each row group of the training images, ascending; empty if there are no groups.
    pub row_groups: Vec<u32>,
}
