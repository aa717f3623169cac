//! Pixels that are not in memory: they are read by need.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use super::{Images, Pixels};
use crate::StorageError;

/// Where images lie whose pixels are read by need.
pub trait PixelStore: Debug + Send + Sync {
    /// The pixels of these images, in this order; they are in memory.
    ///
    /// # Errors
    /// If they cannot be read, or are not what they were when the store was opened: names the file.
    fn read(&self, images: &[u32]) -> Result<Pixels, StorageError>;

    /// Whether the images are the rows of a table.
    fn is_table(&self) -> bool;
}

/// Pixels in a store.
#[derive(Clone, Debug)]
pub struct Stored {
    store: Arc<dyn PixelStore>,
    /// The number of each image in the store.
    images: Arc<Vec<u32>>,
    /// Values of one image.
    stride: usize,
}

impl Stored {
    /// The first `count` images of a store, of `stride` values each.
    pub fn new(store: Arc<dyn PixelStore>, count: u32, stride: usize) -> Self {
        Self { store, images: Arc::new((0..count).collect()), stride }
    }

    /// Those of the images, in that order.
    pub(super) fn selected(&self, samples: &[usize]) -> Self {
        let images = samples.iter().map(|sample| self.images[*sample]).collect();
        Self { store: Arc::clone(&self.store), images: Arc::new(images), stride: self.stride }
    }

    /// Whether the images are the rows of a table.
    pub(super) fn is_table(&self) -> bool {
        self.store.is_table()
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.images.len() * self.stride
    }
}

/// Whether they are the same images of the same store.
impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store) && self.images == other.images
    }
}

impl Images {
    /// Images in memory among which these samples are, and the place of each among them. Pixels that are in
    /// memory are not copied.
    ///
    /// # Errors
    /// If pixels that are elsewhere cannot be read, or have changed: names the file.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn at_hand<'a>(
        &'a self,
        samples: &'a [u32],
    ) -> Result<(Cow<'a, Self>, Cow<'a, [u32]>), StorageError> {
        let Pixels::Stored(stored) = &self.pixels else {
            return Ok((Cow::Borrowed(self), Cow::Borrowed(samples)));
        };
        let images: Vec<u32> = samples.iter().map(|sample| stored.images[*sample as usize]).collect();
        let pixels = stored.store.read(&images)?;
        let labels = samples.iter().map(|sample| self.labels[*sample as usize]).collect();
        let places = (0..samples.len() as u32).collect();
        Ok((Cow::Owned(Self { pixels, labels, ..*self }), Cow::Owned(places)))
    }

    /// Whether pixels are read by need.
    pub fn is_stored(&self) -> bool {
        matches!(self.pixels, Pixels::Stored(_))
    }
}
