//! What a shard brings to a step and what it learns from it.

use std::sync::OnceLock;

use crate::kernel::Taps;
use crate::lane::Activations;

/// A shard: a micro-batch of a mini-batch, which one replica works on in one step. Its own statistics make
/// the batch norms ghost batch norms (Hoffer et al. 2017).
#[derive(Clone, Copy, Debug)]
pub struct Shard<'a> {
    /// Inputs, as [`Activations`] names them; lanes behind the last sample are ignored.
    pub inputs: &'a Activations,
    /// The class of each sample; their number is the number of samples.
    pub labels: &'a [u16],
    /// The weight of each sample in the loss.
    pub weights: &'a [f32],
    /// A number for each sample, by which dropout draws what it drops of it, and [`Sums::Signed`] its signs:
    /// another in each step. Where there is none, nothing is dropped, as in an evaluation.
    pub noise: &'a [u64],
    /// Samples of the whole mini-batch, over all shards: what the loss is divided by.
    pub batch_samples: usize,
}

/// What a training call writes beside the scores. What is not wanted is empty and costs nothing.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// [`Network::part_len`](crate::Network::part_len) numbers: the gradients of existing weights and of the
    /// other parameters of layers that are not frozen, and the statistics that the batch norms measured,
    /// weighted by the shard's share of the batch.
    pub part: &'a mut [f32],
    /// [`Network::observed_len`](crate::Network::observed_len) numbers, or none: the gradients of the
    /// existing weights of frozen layers, with which nothing is ever updated. The backward pass then goes on
    /// through the frozen blocks.
    pub observed: &'a mut [f32],
    /// What is wanted of layers beyond the gradients of existing weights: layers ascend, none is frozen.
    pub extra: &'a [Extra],
    /// [`Network::extra_len`](crate::Network::extra_len) numbers: for each layer the gradients, then sums.
    pub extra_gradients: &'a mut [f32],
}

/// How the inputs of a layer, and the gradients of its outputs, are added up over samples and positions: what
/// a weight multiplies is one sum, whatever output it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// Of magnitudes. The product of the two sums of a weight bounds its gradient: |Σ x g| ≤ Σ |x| Σ |g|.
    Magnitudes,
    /// With random signs, one for each sample and position of the output: the product of the two sums of a
    /// weight has its gradient as its mean (Alon, Matias and Szegedy 1996).
    Signed,
}

/// Weights of a layer whose gradients are wanted, whether or not they exist, and sums.
#[derive(Clone, Debug)]
pub struct Extra {
    layer: usize,
    indices: Vec<u32>,
    sums: Option<Sums>,
    /// What the kernel runs over, once a shard has needed it: to sort them costs as much as a shard.
    pub(crate) taps: OnceLock<Taps>,
}

impl Extra {
    /// Weights of `layer`, ascending: all that exist, and any others; or none.
    pub fn new(layer: usize, indices: Vec<u32>) -> Self {
        Self { layer, indices, sums: None, taps: OnceLock::new() }
    }

    /// The same with other sums, or none.
    pub fn with_sums(self, sums: Option<Sums>) -> Self {
        Self { sums, ..self }
    }

    /// The layer.
    pub fn layer(&self) -> usize {
        self.layer
    }

    /// The weights, ascending.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The sums that are wanted.
    pub fn sums(&self) -> Option<Sums> {
        self.sums
    }
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
    /// The class with the greatest logit, the first of equals; `None` if the logits are not finite.
    pub class: Option<u16>,
}

/// How a shard of a test set did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Sum of the samples' cross-entropies in nats.
    pub loss: f64,
    /// How many samples were right.
    pub correct: u32,
    /// The class that each sample is taken for, as in [`Score::class`].
    pub classes: Vec<Option<u16>>,
}
