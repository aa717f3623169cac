//! Sets images aside as the test set of a data set that has none.

use std::path::Path;

use crate::files::{DataError, Result};
use crate::validation::aside;
use crate::{Images, Purpose, draw};

/// Sets a share of the images aside as the test set: the same share of every class, as far as whole images
/// allow. In each class those of the smallest draws are set aside. Both sets keep their order. Every class
/// keeps an image to train on. `path` is for messages.
///
/// # Errors
/// If there is nothing that could be set aside.
pub(super) fn split(path: &Path, images: &Images, fraction: f64, seed: u64) -> Result<(Images, Images)> {
    let count = images.len();
    let wanted = ((count as f64 * fraction).round() as usize).max(1);
    let is_test = aside(&images.labels, wanted, |sample| draw(seed, Purpose::TestSet, 0, sample));
    if !is_test.contains(&true) {
        let what = "has no class of two images or more, and cannot be split";
        return Err(DataError::refused(path, what, "a data set needs images to train and images to test"));
    }
    let part = |wanted: bool| {
        let chosen: Vec<usize> = (0..count).filter(|sample| is_test[*sample] == wanted).collect();
        images.selected(&chosen)
    };
    Ok((part(false), part(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images whose one pixel is their number.
    fn numbered(labels: &[u16]) -> Images {
        let pixels = (0..labels.len()).map(|sample| sample as u8).collect();
        Images { channels: 1, height: 1, width: 1, pixels, labels: labels.to_vec() }
    }

    fn sizes(images: &Images, classes: usize) -> Vec<usize> {
        let of = |class: usize| images.labels.iter().filter(|label| usize::from(**label) == class).count();
        (0..classes).map(of).collect()
    }

    #[test]
    fn every_class_gives_the_same_share() {
        let labels: Vec<u16> = (0..200_u16).map(|sample| if sample < 100 { 0 } else { sample % 4 }).collect();
        let images = numbered(&labels);
        let (train, test) = split(Path::new("x"), &images, 0.2, 0).unwrap();
        assert_eq!(sizes(&test, 4), [25, 5, 5, 5]);
        assert_eq!(sizes(&train, 4), [100, 20, 20, 20]);
        let numbers =
            |images: &Images| (0..images.len()).map(|row| images.image(row)[0]).collect::<Vec<u8>>();
        let (left, right) = (numbers(&train), numbers(&test));
        assert!(left.is_sorted() && right.is_sorted());
        let mut all = [left, right].concat();
        all.sort_unstable();
        assert_eq!(all, numbers(&images));
        assert_eq!(split(Path::new("x"), &images, 0.2, 0).unwrap().1, test);
        assert_ne!(split(Path::new("x"), &images, 0.2, 1).unwrap().1, test);
    }

    #[test]
    fn what_rounding_leaves_is_dealt_out_and_no_class_is_emptied() {
        let labels: Vec<u16> = (0..50).map(|sample| sample % 10).collect();
        // 0.1 of 50 are five, half an image of every class.
        let (train, test) = split(Path::new("x"), &numbered(&labels), 0.1, 0).unwrap();
        assert_eq!(sizes(&test, 10), [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
        assert_eq!(train.len(), 45);
        let (train, test) = split(Path::new("x"), &numbered(&[0, 1, 1, 2]), 0.9, 0).unwrap();
        assert_eq!((sizes(&train, 3), sizes(&test, 3)), (vec![1, 1, 1], vec![0, 1, 0]));
        let error = split(Path::new("x"), &numbered(&[0, 1, 2]), 0.5, 0).unwrap_err().to_string();
        let expected = "x: has no class of two images or more, and cannot be split; a data set needs \
                        images to train and images to test";
        assert_eq!(error, expected);
    }
}
