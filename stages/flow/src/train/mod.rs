//! Training: gradients, their reduce, the update, and what they report.
//!
//! One step, on every worker:
//!
//! ```text
//! batch ─► Gradients: apply deltas ≤ tick │ forward, loss, backward, shard by shard ─► scores
//!              │ one part per worker, to all
//!              ▼
//!          Apply: add parts along the tree │ test │ update ─► gradients, steps
//!                 last step of an epoch: evaluate, report ─► layers, weights, epochs, timings
//! ```
//!
//! Both operators work on one [`Replica`](replica::Replica), which never leaves its worker. Inside a step
//! they synchronise by counting parts; they wait for frontiers only where deltas may arrive, at the start of
//! an epoch.

mod apply;
mod compute;
mod diagnose;
mod evaluate;
mod explored;
mod extra;
mod gradients;
mod ledger;
mod masks;
mod prefix;
mod presented;
mod probe;
mod replica;
mod rewind;
mod similarity;
mod weights;

use std::cell::RefCell;
use std::rc::Rc;

use spfde_data::{
    EpochRow, FreezeRow, GradientRow, LayerRow, MaskRow, PredictionRow, ScoreRow, SimilarityRow, TimingRow,
};

use crate::{Batch, Flow, Run, StepReport};

pub(crate) use ledger::norms;
pub(crate) use presented::Presented;
pub use weights::LayerWeights;

/// The streams that training produces; a replay produces the same from a recorded trace.
#[derive(Clone)]
pub struct Trained<'s> {
    /// Loss and correctness of every presented or observed sample, on the worker that computed it.
    pub scores: Flow<'s, ScoreRow>,
    /// Predicted classes of the samples of the test set and of the validation set, and of the training set if
    /// all of it is observed, on the worker that computed them; none unless the settings ask for them.
    pub predictions: Flow<'s, PredictionRow>,
    /// Gradient norms of every unfrozen layer at every step, and of frozen ones that are observed, on the
    /// layer's owner.
    pub gradients: Flow<'s, GradientRow>,
    /// Every layer at the end of every epoch, on the layer's owner.
    pub layers: Flow<'s, LayerRow>,
    /// How much each layer still changes, at the end of every epoch, on the layer's owner; none unless the
    /// settings ask for a probe.
    pub similarity: Flow<'s, SimilarityRow>,
    /// The existing weights of the layers of which the mask policy needs them, at the end of an epoch: on the
    /// layer's owner.
    pub weights: Flow<'s, LayerWeights>,
    /// One row for every epoch that is complete, on worker 0.
    pub epochs: Flow<'s, EpochRow>,
    /// Wall-clock time of the stages, on every worker.
    pub timings: Flow<'s, TimingRow>,
    /// Progress after every step, on worker 0.
    pub steps: Flow<'s, StepReport>,
}

/// Trains a replica of the network on this worker's shards.
///
/// At one tick mask deltas apply first, then freeze deltas. Gradients of all shards are added in one fixed
/// order, whichever worker computed them. All workers test the sum before the update. If it is not finite, or
/// a shard failed, all refuse the same step, nothing reaches the weights, and the run stops.
///
/// With [`Observe::Full`](crate::Observe::Full) samples outside the active set are scored after the last
/// step. Every worker takes these steps, and they change nothing. The backward pass of every step then goes
/// on through the frozen blocks, with the gradients of their weights.
///
/// # Panics
/// If the settings name a model that cannot be built: check them before.
pub fn train<'s>(
    run: &Run<'s>,
    batches: Flow<'s, Batch>,
    frozen: Flow<'s, FreezeRow>,
    masked: Flow<'s, MaskRow>,
) -> Trained<'s> {
    let replica = Rc::new(RefCell::new(replica::Replica::new(run)));
    let gradients = gradients::gradients(run, &replica, batches, frozen, masked);
    apply::apply(run, replica, gradients)
}
