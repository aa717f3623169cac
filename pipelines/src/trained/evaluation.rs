//! How right a trained network is, class by class, and how right it believes to be.

use std::collections::BTreeMap;

use spfde_data::{Images, Normalization};

use super::{Prediction, TrainedNetwork};
use crate::Result;

/// Bins of the calibration: equally wide parts of 0 to 1.
const BINS: usize = 15;

/// How a network does on labelled images.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Images.
    pub images: usize,
    /// How many of them are right.
    pub correct: usize,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Images by class.
    pub by_class: Vec<usize>,
    /// Images by class and predicted class: the pairs that occur. A prediction that is not finite is of no
    /// class.
    pub confusion: BTreeMap<(usize, usize), usize>,
    /// The bins of the calibration, by rising probability.
    pub bins: Vec<Bin>,
}

/// The images whose predicted class has a probability within one part of 0 to 1: above its lower bound, up to
/// its upper one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// How many.
    pub images: usize,
    /// How many of them are right.
    pub correct: usize,
    /// The sum of the probabilities of their predicted classes.
    pub confidence: f64,
}

/// How a network does on the images of one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassResult {
    /// Images of the class.
    pub images: usize,
    /// The share of them that is right (recall); `None` without images.
    pub accuracy: Option<f64>,
    /// The share of those that are predicted to be of the class and are (precision); `None` if there are
    /// none.
    pub precision: Option<f64>,
}

impl Evaluation {
    /// The evaluation of these predictions of images with these labels. A prediction that is not finite is
    /// wrong.
    ///
    /// # Panics
    /// If a label or a prediction is none of the `classes`.
    pub fn of(predictions: &[Prediction], labels: &[u16], classes: usize) -> Self {
        let mut evaluation = Self {
            images: labels.len(),
            correct: 0,
            loss: 0.0,
            by_class: vec![0; classes],
            confusion: BTreeMap::new(),
            bins: vec![Bin::default(); BINS],
        };
        for (prediction, label) in predictions.iter().zip(labels) {
            let label = usize::from(*label);
            let confidence = prediction.probabilities[prediction.class];
            evaluation.by_class[label] += 1;
            evaluation.loss -= prediction.probabilities[label].ln() / labels.len() as f64;
            if !prediction.is_finite() {
                continue;
            }
            let correct = usize::from(prediction.class == label);
            evaluation.correct += correct;
            *evaluation.confusion.entry((label, prediction.class)).or_default() += 1;
            let bin = &mut evaluation.bins[((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
            *bin = Bin {
                images: bin.images + 1,
                correct: bin.correct + correct,
                confidence: bin.confidence + confidence,
            };
        }
        evaluation
    }

    /// The share of images that is right: the number that the trace calls `test_accuracy`.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.images as f64
    }

    /// The expected calibration error (Guo et al. 2017, section 2): the mean over all images with a predicted
    /// class of the distance between accuracy and mean confidence of their bin, from 0 to 1.
    pub fn calibration_error(&self) -> f64 {
        let distance = |bin: &Bin| (bin.correct as f64 - bin.confidence).abs();
        let images: usize = self.bins.iter().map(|bin| bin.images).sum();
        self.bins.iter().map(distance).sum::<f64>() / images as f64
    }

    /// The results class by class.
    pub fn classes(&self) -> Vec<ClassResult> {
        let share = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
        let mut predicted = vec![0; self.by_class.len()];
        self.confusion.iter().for_each(|((_, class), images)| predicted[*class] += images);
        let result = |(class, (images, predicted)): (usize, (&usize, usize))| {
            let right = self.confusion.get(&(class, class)).copied().unwrap_or(0);
            ClassResult {
                images: *images,
                accuracy: share(right, *images),
                precision: share(right, predicted),
            }
        };
        self.by_class.iter().zip(predicted).enumerate().map(result).collect()
    }

    /// Images that are predicted to be of no class, since their numbers are not finite.
    pub fn lost(&self) -> usize {
        self.images - self.confusion.values().sum::<usize>()
    }
}

impl TrainedNetwork {
    /// Evaluates the network on labelled images.
    ///
    /// # Errors
    /// If images that are read by need cannot be read.
    ///
    /// # Panics
    /// If the images have another shape than the network's input, or a label is none of its classes.
    pub fn evaluate(&self, images: &Images, normalization: &Normalization) -> Result<Evaluation> {
        let logits = self.logits(images, normalization)?;
        let predictions: Vec<Prediction> = logits.iter().map(|logits| Prediction::of(logits)).collect();
        Ok(Evaluation::of(&predictions, &images.labels, self.network.description().task().1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(probabilities: &[f64]) -> Prediction {
        let logits: Vec<f64> = probabilities.iter().map(|share| share.ln()).collect();
        Prediction::of(&logits)
    }

    #[test]
    fn four_images_by_hand() {
        let said = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]].map(|shares| prediction(&shares));
        let found = Evaluation::of(&said, &[0, 1, 1, 0], 2);
        assert_eq!((found.images, found.correct, found.accuracy()), (4, 2, 0.5));
        let pairs = [((0, 0), 1), ((0, 1), 1), ((1, 0), 1), ((1, 1), 1)];
        assert_eq!((found.confusion.clone(), found.lost()), (pairs.into(), 0));
        let loss = -(0.9f64.ln() + 0.4f64.ln() + 0.8f64.ln() + 0.3f64.ln()) / 4.0;
        assert!((found.loss - loss).abs() < 1e-12);
        // Each image has a bin of its own.
        let error = ((1.0f64 - 0.9).abs() + 0.6 + (1.0 - 0.8) + 0.7) / 4.0;
        assert!((found.calibration_error() - error).abs() < 1e-12);
        let class = ClassResult { images: 2, accuracy: Some(0.5), precision: Some(0.5) };
        assert_eq!(found.classes(), [class, class]);
    }

    #[test]
    fn bins_are_a_fifteenth_wide_and_classes_may_be_empty() {
        let said = [prediction(&[1.0, 0.0, 0.0]), prediction(&[0.38, 0.31, 0.31])];
        let found = Evaluation::of(&said, &[0, 0], 3);
        let filled: Vec<usize> = (0..BINS).filter(|bin| found.bins[*bin].images > 0).collect();
        // 0.38 · 15 = 5.7 lies in the sixth.
        assert_eq!(filled, [5, 14]);
        assert_eq!(found.classes()[2], ClassResult { images: 0, accuracy: None, precision: None });
        let lost = Prediction::of(&[f64::NAN, 0.0]);
        // It is of no class, also not of the first.
        let found = Evaluation::of(&[lost, prediction(&[0.25, 0.75])], &[0, 1], 2);
        assert_eq!((found.correct, found.lost(), found.images), (1, 1, 2));
        assert_eq!(found.confusion, [((1, 1), 1)].into());
        let [first, second] = found.classes()[..] else { panic!("{found:?}") };
        assert_eq!((first.accuracy, first.precision), (Some(0.0), None));
        assert_eq!((second.accuracy, second.precision), (Some(1.0), Some(1.0)));
        assert!((found.calibration_error() - 0.25).abs() < 1e-12);
    }

    #[test]
    fn as_many_classes_as_there_may_be_take_little_memory() {
        const CLASSES: usize = 65_535;
        let one = Prediction { class: CLASSES - 1, probabilities: vec![0.5; CLASSES] };
        let found = Evaluation::of(&[one], &[7], CLASSES);
        assert_eq!(found.confusion, [((7, CLASSES - 1), 1)].into());
        assert_eq!((found.classes().len(), found.classes()[7].images), (CLASSES, 1));
    }
}
