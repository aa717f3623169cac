//! The streams of the trace, as row types: the one place that fixes their names, columns and types. Eight are
//! those of training; a replay has its decisions among them, and two of its own.
//!
//! A row is written once, by its owner, whatever the number of workers. The tick of a delta is the one at
//! which it takes effect; a row of `layers` or `epochs` states the epoch's end.

mod freeze_evidence;
mod mask_updates;
mod similarity;

pub use freeze_evidence::FreezeEvidenceRow;
pub use mask_updates::MaskUpdateRow;
pub use similarity::SimilarityRow;

/// Version of the names and types below, stored in every file under the key `spfde.schema`.
pub const SCHEMA_VERSION: u32 = 1;

/// The names of the streams that every run records.
pub const STREAMS: [&str; 8] =
    ["scores", "gradients", "layers", "masks", "freezes", "sieves", "epochs", "timings"];

/// The names of streams that earlier versions did not record: a run that one of them began has them from
/// where a later one went on.
pub const ADDED_STREAMS: [&str; 2] = ["mask_updates", "freeze_evidence"];

/// The names of the streams that every replay of a run records.
pub const REPLAY_STREAMS: [&str; 7] =
    ["masks", "freezes", "sieves", "epochs", "costs", "censored", "timings"];

crate::row! {
    /// What one presentation of one sample showed.
    pub struct ScoreRow in "scores" by (epoch, step, sample) {
        /// Epoch, from 0.
        pub epoch: u32,
        /// Step within the epoch, from 0.
        pub step: u32,
        /// The sample: its row in the data set.
        pub sample: u32,
        /// Cross-entropy of the sample, unweighted, in nats.
        pub loss: f32,
        /// Whether the largest logit was the label's.
        pub correct: bool,
        /// L2 norm of softmax − one-hot.
        pub error_norm: f32,
        /// Whether the sample took part in the update (false: only observed).
        pub trained: bool,
    }
}

impl ScoreRow {
    /// The number that no training records, and its column: of a sample that took part in an update loss and
    /// norm are finite, because a step that comes to another is refused. One that was only observed may have
    /// any.
    pub fn not_finite(&self) -> Option<(&'static str, f32)> {
        let numbers = [("loss", self.loss), ("error_norm", self.error_norm)];
        numbers.into_iter().find(|(_, number)| self.trained && !number.is_finite())
    }
}

crate::row! {
    /// Norms of one layer's gradient of the batch's mean loss, after the reduce, before weight decay, over
    /// existing weights.
    pub struct GradientRow in "gradients" by (epoch, step, layer) {
        /// Epoch, from 0.
        pub epoch: u32,
        /// Step within the epoch, from 0.
        pub step: u32,
        /// Layer, from 0 in forward order.
        pub layer: u16,
        /// Euclidean norm.
        pub l2: f32,
        /// Sum of absolute values.
        pub l1: f32,
        /// Whether the layer was updated with it (false: frozen, only observed).
        pub trained: bool,
        /// Existing weights of the layer at this step. Runs of version 2 lack it; it follows from their mask
        /// deltas.
        pub nonzero: u32 = added,
    }
}

crate::row! {
    /// A layer at the end of an epoch.
    pub struct LayerRow in "layers" by (epoch, layer) {
        /// Epoch, from 0.
        pub epoch: u32,
        /// Layer, from 0 in forward order.
        pub layer: u16,
        /// The layer's name in the network.
        pub name: String,
        /// Weights of the dense layer.
        pub weights: u32,
        /// Weights that exist.
        pub nonzero: u32,
        /// Whether it is frozen.
        pub frozen: bool,
        /// L1 norm of the gradient accumulated over the epoch's steps; 0 when frozen.
        pub gradient_sum_l1: f64,
        /// L2 norm of the gradient accumulated over the epoch's steps; 0 when frozen.
        pub gradient_sum_l2: f64,
        /// L2 norm of the weights.
        pub weight_l2: f64,
        /// Sum of the absolute differences between the weights at the epoch's end and after the deltas at its
        /// start.
        pub weight_change_l1: f64,
    }
}

crate::row! {
    /// A weight that begins (+1) or ceases (−1) to exist, in a masked layer.
    pub struct MaskRow in "masks" by (epoch, step, layer, index) {
        /// Epoch at whose step `step` it takes effect.
        pub epoch: u32,
        /// Step, from 0.
        pub step: u32,
        /// Layer, from 0 in forward order.
        pub layer: u16,
        /// Row-major index in (out, in, ky, kx); linear: (out, in).
        pub index: u32,
        /// +1 or −1.
        pub diff: i8,
    }
}

crate::row! {
    /// A layer that freezes (+1) or thaws (−1).
    pub struct FreezeRow in "freezes" by (epoch, step, layer) {
        /// Epoch at whose step `step` it takes effect.
        pub epoch: u32,
        /// Step, from 0.
        pub step: u32,
        /// Layer, from 0 in forward order.
        pub layer: u16,
        /// +1 frozen, −1 thawed.
        pub diff: i8,
        /// Why, in words.
        pub reason: String,
    }
}

crate::row! {
    /// A sample that enters (+1) or leaves (−1) the active set at the start of an epoch.
    pub struct SieveRow in "sieves" by (epoch, sample) {
        /// Epoch from which it holds.
        pub epoch: u32,
        /// The sample: its row in the data set.
        pub sample: u32,
        /// +1 enters, −1 leaves.
        pub diff: i8,
        /// By what it was ranked; 0 at the start and for those who enter.
        pub key: u32,
        /// Its weight in the loss; the row that retracts repeats it.
        pub weight: f32,
    }
}

crate::row! {
    /// What one epoch cost and reached. Null where there is none: accuracy and loss of a replay.
    pub struct EpochRow in "epochs" by (epoch) {
        /// Epoch, from 0.
        pub epoch: u32,
        /// Mean loss of the presented samples, as they were presented.
        pub train_loss: Option<f64>,
        /// Share of presented samples that were right, as they were presented.
        pub train_accuracy: Option<f64>,
        /// Mean loss on the test set after the epoch's last step.
        pub test_loss: Option<f64>,
        /// Share of the test set that is right after the epoch's last step.
        pub test_accuracy: Option<f64>,
        /// Learning rate of a block that never freezes, at the epoch's first step.
        pub learning_rate: f64,
        /// Samples trained in the epoch.
        pub active_samples: u32,
        /// Existing weights of all convolution and linear layers.
        pub nonzero: u64,
        /// Frozen layers.
        pub frozen_layers: u16,
        /// FLOPs of the forward passes: 2 per multiply-add on existing weights.
        pub forward_flops: u64,
        /// FLOPs of the backward passes that were computed.
        pub backward_flops: u64,
        /// FLOPs of what was only observed.
        pub observed_flops: u64,
        /// FLOPs of the same epoch on the full data set without mask or freezing.
        pub dense_flops: u64,
        /// Bytes kept for the backward pass of one whole batch, counted from shapes.
        pub activation_bytes: u64,
        /// FLOPs of what policies asked for beyond training, such as dense gradients.
        pub extra_flops: u64 = added,
        /// Seconds of wall-clock time since the end of the epoch before, evaluation included; null in a
        /// replay. It differs from run to run: no comparison of runs looks at it.
        pub seconds: Option<f64> = added,
        /// FLOPs of `forward_flops` that were not computed: a cache of the frozen prefix answered them. Null
        /// in a replay and in runs of before; no comparison of runs looks at it.
        pub cached_flops: Option<u64> = added,
        /// Mean loss on the validation set after the epoch's last step; null if there is none.
        pub validation_loss: Option<f64> = added,
        /// Share of the validation set that is right after the epoch's last step; null if there is none.
        pub validation_accuracy: Option<f64> = added,
    }
}

crate::row! {
    /// The class that a network takes a sample for, of a run that records it (`trace.predictions`).
    pub struct PredictionRow in "predictions" by (epoch, set, sample) {
        /// Epoch, from 0.
        pub epoch: u32,
        /// Which set the sample is of: [`PredictionRow::TEST`], [`PredictionRow::TRAIN`] or
        /// [`PredictionRow::VALIDATION`].
        pub set: String,
        /// The sample: its row in that set.
        pub sample: u32,
        /// The class with the greatest logit, the first of equals; [`PredictionRow::NONE`] if the logits are
        /// not finite.
        pub class: u16,
    }
}

impl PredictionRow {
    /// The test set, after the epoch's last step.
    pub const TEST: &'static str = "test";
    /// The training set, as the epoch scored its samples.
    pub const TRAIN: &'static str = "train";
    /// The validation set, after the epoch's last step.
    pub const VALIDATION: &'static str = "validation";
    /// No class: there are at most 65 535, from 0.
    pub const NONE: u16 = u16::MAX;
}

crate::row! {
    /// Wall-clock time of a stage: the only stream that is not deterministic.
    pub struct TimingRow in "timings" by (epoch, worker) {
        /// Epoch, from 0.
        pub epoch: u32,
        /// Worker, from 0.
        pub worker: u16,
        /// The stage.
        pub stage: String,
        /// Seconds spent in it.
        pub seconds: f64,
        /// How often it was entered.
        pub calls: u64,
    }
}

crate::row! {
    /// That a run has reached what it was for and need not go on after an epoch.
    pub struct EndingRow in "endings" by (epoch) {
        /// The last epoch, from 0.
        pub epoch: u32,
        /// Why, in words.
        pub reason: String,
    }
}

crate::row! {
    /// What one layer costs in one epoch of a replay.
    pub struct CostRow in "costs" by (epoch, layer) {
        /// Epoch, from 0.
        pub epoch: u32,
        /// Layer, from 0 in forward order.
        pub layer: u16,
        /// Weights that exist.
        pub nonzero: u32,
        /// Whether it is frozen.
        pub frozen: bool,
        /// FLOPs of its forward passes.
        pub forward_flops: u64,
        /// FLOPs of its backward passes.
        pub backward_flops: u64,
    }
}

crate::row! {
    /// What a replay asks for in one epoch and the record lacks.
    pub struct CensoredRow in "censored" by (epoch) {
        /// Epoch, from 0.
        pub epoch: u32,
        /// Samples that are active in the replay and have no score in the record's epoch.
        pub samples: u32,
        /// Layers that train in the replay and lack a norm at one recorded step of the epoch or more, or, for
        /// a freeze policy that reads `layers`, were frozen when it was recorded.
        pub layers: u16,
        /// Norms that these layers lack: pairs of a recorded step and a layer.
        pub norms: u64,
    }
}
