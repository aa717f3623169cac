//! The seams of a training step: where later methods plug in, free of cost when empty.
//!
//! draw batch → [perturb inputs](Perturbation) → forward → [loss](Loss) → backward → [transform
//! gradients](GradientTransform) → update by the [learning-rate rule](LearningRate) and the
//! [optimiser](Optimiser) → apply deltas. A [precision](Precision) wraps forward and backward of a layer.

use std::sync::Arc;

use spfde_model::{Loss, MomentumSgd, Network, Optimiser, Perturbation, Precision};
use spfde_policy::{Cosine, LearningRate};

use crate::tick::Tick;

/// What is plugged in. Every worker has the same, and all of it has to be a function of its arguments, so that all replicas
/// keep the same bits.
#[derive(Clone)]
pub struct Seams {
    /// Changes a shard's inputs before the forward pass.
    pub perturbation: Option<Arc<dyn Perturbation>>,
    /// The loss; cross-entropy unless said otherwise.
    pub loss: Option<Arc<dyn Loss>>,
    /// What products of layers multiply; f32 unless said otherwise.
    pub precision: Option<Arc<dyn Precision>>,
    /// Changes gradients before the update.
    pub gradient: Option<Arc<dyn GradientTransform>>,
    /// How the learning rate of a block goes on from the first step.
    pub learning_rate: Arc<dyn LearningRate>,
    /// How parameters follow their gradients.
    pub optimiser: Arc<dyn Optimiser>,
}

impl Seams {
    /// Momentum SGD along a cosine, and nothing else.
    pub fn new(momentum: f32, weight_decay: f32) -> Self {
        let optimiser = Arc::new(MomentumSgd { momentum, weight_decay });
        let (perturbation, loss, precision, gradient) = (None, None, None, None);
        Self { perturbation, loss, precision, gradient, learning_rate: Arc::new(Cosine), optimiser }
    }

    /// Plugs into a fresh network what belongs there.
    pub(crate) fn plug(&self, network: &mut Network) {
        if let Some(loss) = &self.loss {
            network.set_loss(Arc::clone(loss));
        }
        if let Some(precision) = &self.precision {
            network.set_precision(precision);
        }
    }
}

/// Changes gradients before they are applied. Norms in the trace are those before the change.
pub trait GradientTransform: Send + Sync {
    /// One shard's part, before the parts of all shards are added.
    fn shard(&self, _tick: Tick, _network: &Network, _part: &mut [f32]) {}

    /// The sum of all shards' parts, before the update.
    fn reduced(&self, _tick: Tick, _network: &Network, _part: &mut [f32]) {}
}
