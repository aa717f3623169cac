//! Predictions of a trained network.

use std::ops::Range;

use spfde_data::{Images, Normalization, Placement, StorageError};
use spfde_model::{Activations, Workspace, input};

use super::TrainedNetwork;
use crate::{Error, Result};

/// Images that a thread computes at once.
const CHUNK: usize = 64;

/// What a network says of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The class with the greatest logit, the first of equals.
    pub class: usize,
    /// The probability of each class, the softmax of the logits. Not numbers, if the logits are none.
    pub probabilities: Vec<f64>,
}

impl Prediction {
    /// The prediction of these logits.
    ///
    /// ```
    /// use spfde::trained::Prediction;
    /// let prediction = Prediction::of(&[0.0, 3f64.ln(), f64::NEG_INFINITY]);
    /// assert_eq!(prediction.class, 1);
    /// assert!((prediction.probabilities[1] - 0.75).abs() < 1e-12);
    /// ```
    pub fn of(logits: &[f64]) -> Self {
        let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let class = logits.iter().position(|logit| *logit == greatest).unwrap_or(0);
        let shares: Vec<f64> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
        let sum: f64 = shares.iter().sum();
        Self { class, probabilities: shares.iter().map(|share| share / sum).collect() }
    }

    /// Whether the probabilities are numbers.
    pub fn is_finite(&self) -> bool {
        self.probabilities.iter().all(|share| share.is_finite())
    }
}

impl TrainedNetwork {
    /// The logits of all images, on all cores: image by image, a number for each class. Each image's are the
    /// same whatever is computed beside it.
    ///
    /// # Errors
    /// If images that are read by need cannot be read.
    ///
    /// # Panics
    /// If the images have another shape than the network's input.
    pub fn logits(&self, images: &Images, normalization: &Normalization) -> Result<Vec<Vec<f64>>> {
        let network = &self.network;
        let classes = network.description().task().1;
        let chunks = images.len().div_ceil(CHUNK);
        let found = on_all_cores(chunks, |chunks| {
            let (mut workspace, mut inputs) =
                (Workspace::new(network), Activations::default((0, 0, 0, 0, 0)));
            let mut found = Vec::new();
            for chunk in chunks {
                let samples = (chunk * CHUNK) as u32..images.len().min((chunk + 1) * CHUNK) as u32;
                let (samples, place) = (samples.collect::<Vec<_>>(), |_: usize| Placement::default());
                let (held, places) = match images.at_hand(&samples) {
                    Ok(at_hand) => at_hand,
                    Err(unread) => return vec![Err(unread)],
                };
                input::gather(network.kernel(), &held, normalization, &places, place, &mut inputs);
                let logits = network.logits(&mut workspace, &inputs, samples.len());
                found.extend(logits.chunks_exact(classes).map(|logits| Ok(logits.to_vec())));
            }
            found
        });
        let found: Result<_, StorageError> = found.into_iter().collect();
        found.map_err(|unread| Error::failed(unread.to_string()))
    }
}

/// What `work` finds in the parts of `0..count`, one for each core, in their order.
pub(crate) fn on_all_cores<T: Send>(count: usize, work: impl Fn(Range<usize>) -> Vec<T> + Sync) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let part = count.div_ceil(cores).max(1);
    let parts = (0..count).step_by(part).map(|start| start..count.min(start + part));
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<T>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().flat_map(join).collect()
    })
}
