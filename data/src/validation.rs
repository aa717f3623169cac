//! A validation set: training images that are set aside.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::{DataSet, Purpose, draw};

impl DataSet {
    /// The same data set with a share of its training images set aside as the validation set, drawn from
    /// `seed`.
    ///
    /// The share is the same in every class, as far as whole images allow; every class keeps an image to
    /// train on. Both parts keep their order: sample `i` is the `i`-th image that is not in the validation
    /// set. The normalization and the fingerprint stay those of all images. A share of 0 sets nothing aside.
    pub fn with_validation(self, share: f64, seed: u64) -> Self {
        let wanted = (self.train.len() as f64 * share).round() as usize;
        let aside = aside(&self.train.labels, wanted, |sample| draw(seed, Purpose::Validation, 0, sample));
        let part = |wanted: bool| {
            let chosen: Vec<usize> = (0..aside.len()).filter(|sample| aside[*sample] == wanted).collect();
            Arc::new(self.train.selected(&chosen))
        };
        if !aside.contains(&true) {
            return self;
        }
        let (train, validation) = (part(false), part(true));
        let before = |sum: &mut u32, aside: &bool| Some(std::mem::replace(sum, *sum + u32::from(!aside)));
        let places: Vec<u32> = aside.iter().scan(0, before).collect();
        let row_groups = self.row_groups.iter().map(|first| places[*first as usize]).collect();
        Self { train, validation, row_groups, ..self }
    }
}

/// Which of the samples of these classes are set aside, `wanted` in all: the same share of each class, those
/// of the smallest draws, but never all of a class.
pub(crate) fn aside(labels: &[u16], wanted: usize, draw: impl Fn(u64) -> u64) -> Vec<bool> {
    let mut classes: Vec<Vec<(u64, usize)>> = Vec::new();
    for (sample, label) in labels.iter().enumerate() {
        classes.resize(classes.len().max(usize::from(*label) + 1), Vec::new());
        classes[usize::from(*label)].push((draw(sample as u64), sample));
    }
    let count = labels.len();
    let mut shares: Vec<usize> = classes.iter().map(|class| class.len() * wanted / count.max(1)).collect();
    // What rounding down left over goes to the largest remainders.
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.sort_by_key(|class| (Reverse(classes[*class].len() * wanted % count.max(1)), *class));
    let left = wanted - shares.iter().sum::<usize>();
    order.iter().take(left).for_each(|class| shares[*class] += 1);
    let mut aside = vec![false; count];
    for (class, share) in classes.iter_mut().zip(shares) {
        class.sort_unstable();
        let most = class.len().saturating_sub(1);
        class[..share.min(most)].iter().for_each(|(_, sample)| aside[*sample] = true);
    }
    aside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Augmentation, Images, Normalization};

    fn set() -> DataSet {
        let labels: Vec<u16> = (0..120_u16).map(|sample| if sample < 60 { 0 } else { sample % 4 }).collect();
        let pixels = (0..120_u8).collect();
        let train = Arc::new(Images { channels: 1, height: 1, width: 1, pixels, labels });
        DataSet {
            name: "numbers".into(),
            classes: 4,
            class_names: Vec::new(),
            column_names: Vec::new(),
            row_groups: Vec::new(),
            test: Arc::clone(&train),
            validation: Arc::default(),
            normalization: Normalization::of(&train),
            fingerprint: "x".into(),
            augment: Augmentation::None,
            train,
        }
    }

    #[test]
    fn a_validation_set_has_the_same_share_of_every_class_and_no_image_twice() {
        let whole = set();
        let split = whole.clone().with_validation(0.2, 7);
        let of = |images: &Images, class: u16| images.labels.iter().filter(|label| **label == class).count();
        for class in 0..4 {
            assert_eq!(of(&split.validation, class) * 5, of(&whole.train, class));
        }
        let numbers =
            |images: &Images| -> Vec<u8> { (0..images.len()).map(|row| images.image(row)[0]).collect() };
        let (trained, validated) = (numbers(&split.train), numbers(&split.validation));
        assert!(trained.is_sorted() && validated.is_sorted());
        let mut all = [trained, validated].concat();
        all.sort_unstable();
        assert_eq!(all, numbers(&whole.train));
        assert_eq!(split.normalization, whole.normalization);
        assert_eq!(whole.clone().with_validation(0.2, 7).validation, split.validation);
        assert_ne!(whole.clone().with_validation(0.2, 8).validation, split.validation);
        assert!(whole.with_validation(0.0, 7).validation.is_empty());
    }
}
