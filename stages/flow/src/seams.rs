//! The seams of a training step: where later methods plug in, free of cost when empty.
//!
//! draw batch → [perturb inputs](Perturbation) → forward → [loss](Loss) → backward → [transform
//! gradients](GradientTransform) → update by the [learning-rate rule](LearningRate) and the
//! [optimiser](Optimiser) → apply deltas. A [precision](Precision) wraps forward and backward of a layer.

use std::sync::Arc;

use spfde_model::{Loss, MomentumSgd, Network, Optimiser, Perturbation, Precision};
use spfde_policy::{Cosine, LearningRate};

use crate::Tick;

/// What is plugged into a training step, one value for each seam.
///
/// ```text
/// draw a batch ─► perturbation ─► forward ─► loss ─► backward ─► gradient.shard ─► all-reduce
///   ─► gradient.reduced ─► update by learning_rate and optimiser ─► deltas of masks and freezing
/// ```
///
/// `precision` wraps forward and backward of each layer. An empty seam costs nothing. Every worker has the
/// same values, and each has to be a function of its arguments: only then all replicas keep the same bits.
///
/// ```
/// use std::sync::Arc;
///
/// use spfde_flow::Seams;
/// use spfde_model::{Activations, Optimiser, Perturbation, State};
/// use spfde_policy::LearningRate;
///
/// /// The rate halves every four epochs.
/// struct Halving;
///
/// impl LearningRate for Halving {
///     fn rate(&self, base: f64, epoch: u32, _step: u32, _steps: u32, _ends_at: u32) -> f64 {
///         base * 0.5f64.powi((epoch / 4) as i32)
///     }
/// }
///
/// /// Every parameter moves by the rate, against the sign of its gradient.
/// #[derive(Debug)]
/// struct SignDescent;
///
/// impl Optimiser for SignDescent {
///     fn step(&self, values: &mut [f32], _: State<'_>, gradients: &[f32], rate: f32, _decay: f32) {
///         values.iter_mut().zip(gradients).for_each(|(value, gradient)| *value -= rate * gradient.signum());
///     }
/// }
///
/// /// The fast gradient sign method: inputs of a greater loss.
/// #[derive(Debug)]
/// struct FastSign(f32);
///
/// impl Perturbation for FastSign {
///     fn needs_gradient(&self) -> bool {
///         true
///     }
///
///     fn perturb(&self, inputs: &mut Activations, gradient: Option<&Activations>) {
///         for (input, gradient) in inputs.iter_mut().zip(gradient.expect("it is asked for")) {
///             *input += self.0 * gradient.signum();
///         }
///     }
/// }
///
/// let seams = Seams {
///     learning_rate: Arc::new(Halving),
///     optimiser: Arc::new(SignDescent),
///     perturbation: Some(Arc::new(FastSign(0.03))),
///     ..Seams::new(0.9, 1e-4)
/// };
/// # assert!(seams.loss.is_none() && seams.gradient.is_none() && seams.precision.is_none());
/// ```
///
/// `spfde::Experiment::with_seams` takes the value. A configuration does not say what is plugged in: a
/// program that resumes a run has to plug in the same.
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
        let optimiser = Arc::new(MomentumSgd { momentum, weight_decay, nesterov: false });
        let (perturbation, loss, precision, gradient) = (None, None, None, None);
        Self { perturbation, loss, precision, gradient, learning_rate: Arc::new(Cosine), optimiser }
    }

    /// Plugs into a fresh network what belongs there: loss, precision, what the optimiser keeps.
    pub fn plug(&self, network: &mut Network) {
        if let Some(loss) = &self.loss {
            network.set_loss(Arc::clone(loss));
        }
        network.set_precision(self.precision.as_ref());
        network.set_optimiser(&*self.optimiser);
    }
}

/// Changes gradients before they are applied. Norms in the trace are those before the change.
///
/// A part holds, layer by layer, the gradients of the existing weights
/// ([`Network::gradient_mut`](spfde_model::Network::gradient_mut)). Then come the gradients of the biases, or
/// those of gains and offsets followed by the means and unbiased variances that the batch norm measured.
/// These last two are no gradients: leave them as they are. Frozen layers have no numbers in a part.
pub trait GradientTransform: Send + Sync {
    /// One shard's part, before the parts of all shards are added.
    fn shard(&self, _tick: Tick, _network: &Network, _part: &mut [f32]) {}

    /// The sum of all shards' parts, before the update.
    fn reduced(&self, _tick: Tick, _network: &Network, _part: &mut [f32]) {}
}
