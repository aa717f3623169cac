//! What a shard brings to a step and what it learns from it.

use crate::lane::Activations;

/// A shard of a mini-batch: the samples one replica works on in one step.
#[derive(Clone, Copy, Debug)]
pub struct Shard<'a> {
    /// Inputs, sample `n` in group `n / 8`, lane `n % 8`; lanes behind the last sample are ignored.
    pub inputs: &'a Activations,
    /// The class of each sample; their number is the number of samples.
    pub labels: &'a [u16],
    /// The weight of each sample in the loss.
    pub weights: &'a [f32],
    /// Samples of the whole mini-batch, over all shards: what the loss is divided by.
    pub batch_samples: usize,
}

/// How a sample did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Cross-entropy in nats, not weighted.
    pub loss: f32,
    /// Whether the class with the greatest logit (the first of equals) is the label.
    pub correct: bool,
    /// Euclidean norm of softmax − one-hot, from 0 to √2.
    pub error_norm: f32,
}

/// How a shard of a test set did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Sum of the samples' cross-entropies in nats.
    pub loss: f64,
    /// How many samples were right.
    pub correct: u32,
}
