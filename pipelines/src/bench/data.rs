//! Random images: every byte a keyed draw, so that the same settings always have the same ones.

use std::sync::Arc;

use spfde_data::augment::Augmentation;
use spfde_data::images::{DataSet, Images, Normalization, Pixels};
use spfde_data::random::{Purpose, draw};
use spfde_model::InputShape;

/// Classes of the random labels, as many as the embedded data set has.
pub(super) const CLASSES: usize = 10;

/// So many random images with random labels to train on, none to test with.
pub(super) fn random(seed: u64, shape: InputShape, images: usize) -> DataSet {
    let InputShape { channels, height, width } = shape;
    let stride = channels * height * width;
    let mut pixels = Vec::with_capacity(images * stride);
    for image in 0..images as u64 {
        let words = (0..stride.div_ceil(8) as u64).map(|word| draw(seed, Purpose::Synthetic, image, word));
        pixels.extend(words.flat_map(u64::to_le_bytes).take(stride));
    }
    // No image has so many words that the key would be one of theirs.
    let label = |image: u64| (draw(seed, Purpose::Synthetic, image, u64::MAX) % CLASSES as u64) as u16;
    let train = Images {
        channels,
        height,
        width,
        pixels: pixels.into(),
        labels: (0..images as u64).map(label).collect(),
    };
    DataSet {
        name: "random".to_owned(),
        classes: CLASSES,
        class_names: Vec::new(),
        column_names: Vec::new(),
        row_groups: Vec::new(),
        normalization: Normalization::of(&train),
        test: Arc::new(Images { pixels: Pixels::default(), labels: Vec::new(), ..train }),
        train: Arc::new(train),
        validation: Arc::default(),
        fingerprint: "random".to_owned(),
        augment: Augmentation::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_as_many_and_as_large_as_asked_for_and_differ() {
        let shape = InputShape { channels: 3, height: 5, width: 3 };
        let data = random(1, shape, 400);
        assert_eq!((data.train.len(), data.train.stride(), data.train.pixels.len()), (400, 45, 400 * 45));
        assert!((1..400).all(|image| data.train.image(image) != data.train.image(image - 1)));
        let classes: std::collections::BTreeSet<u16> = data.train.labels.iter().copied().collect();
        assert_eq!(classes.into_iter().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        assert_eq!(random(1, shape, 400).train, data.train);
        assert_ne!(random(2, shape, 400).train, data.train);
        assert_eq!((data.test.len(), data.test.height), (0, 5));
        // Uniform bytes have mean 127.5 and deviation 73.9.
        assert!(data.normalization.scale.iter().all(|scale| (1.0 / scale - 73.9).abs() < 2.0));
    }

    #[test]
    fn the_default_shape_is_that_of_the_embedded_data() {
        let data = spfde_data::files::data_set::embedded().unwrap();
        let shape =
            crate::configuration::Configuration::resolve_bench(&crate::registry::Registry::standard(), &[])
                .unwrap()
                .shape();
        let images = &data.train;
        assert_eq!(
            [images.channels, images.height, images.width],
            [shape.channels, shape.height, shape.width]
        );
        assert_eq!(data.classes, CLASSES);
    }
}
