//! What a run does: settings and policies.

use std::sync::Arc;

use spfde_data::{Augment, DataSet};
use spfde_model::{Description, Growth, Kernel, Network, Storage};
use spfde_policy::{FreezePolicy, MaskPolicy, Plan, SievePolicy};

use crate::Seams;

/// What a run does, resolved and checked; the same on every worker.
#[derive(Clone)]
pub struct Settings {
    /// Seed of every draw.
    pub seed: u64,
    /// Epochs to train.
    pub epochs: u32,
    /// Samples in a batch, at most.
    pub batch_size: usize,
    /// Slices of every batch; never the number of workers.
    pub shards: usize,
    /// Name of the model.
    pub model: String,
    /// The network, without its weights.
    pub network: Arc<Description>,
    /// Instruction set of the kernels.
    pub kernel: Kernel,
    /// How values and gradients are kept between operations.
    pub storage: Storage,
    /// Learning rate at the first step.
    pub learning_rate: f64,
    /// What is plugged into a training step.
    pub seams: Seams,
    /// How training images are varied.
    pub augment: Augment,
    /// What is recorded of what does not train.
    pub observe: Observe,
    /// The data; a replay has its name and shape only.
    pub data: Arc<DataSet>,
    /// Who decides on masks, freezing and the active set.
    pub policies: Policies,
    /// Densities, sizes, freezing times and costs, known before the first step.
    pub plan: Arc<Plan>,
}

impl Settings {
    /// A fresh network with its initial weights, all layers dense.
    pub fn fresh_network(&self) -> Network {
        self.set_up(Network::from_description(Description::clone(&self.network), self.seed, self.kernel))
    }

    /// As [`Settings::fresh_network`], with masked layers empty: the initial masks are still to be grown.
    pub(crate) fn masked_network(&self) -> Network {
        let (mask, layers) = (&self.policies.mask, &self.network.architecture().layers);
        // Initial weights are drawn for the inputs that exist at the start, maybe more than the target.
        let first = self.plan.nonzero(0);
        let density = |layer: usize| f64::from(first[layer]) / layers[layer].weights() as f64;
        let masked = |layer: usize| mask.masked(layer).then(|| density(layer));
        self.set_up(Network::with_masks(Description::clone(&self.network), self.seed, self.kernel, masked))
    }

    /// Lets a new network store and compute as the run does.
    fn set_up(&self, mut network: Network) -> Network {
        network.set_storage(self.storage);
        self.seams.plug(&mut network);
        network
    }

    /// A network as the first step of a run finds it: initial weights under the initial masks, and the blocks
    /// frozen that the plan freezes from the start. For profiles.
    pub fn initial_network(&self) -> Network {
        let mut network = self.masked_network();
        let mask = &self.policies.mask;
        for layer in (0..network.architecture().layers.len()).filter(|layer| mask.masked(*layer)) {
            let kept = mask.initial(layer, self.plan.spans(layer));
            network.apply_mask(layer, &[], &kept, Growth::Initial);
        }
        network.freeze(self.plan.frozen_blocks(0));
        network
    }
}

spfde_data::choice! {
    /// What a run records besides what it trains with.
    pub enum Observe {
        /// Nothing: scores are those of the active samples, norms those of the layers that train.
        Active = "active",
        /// Everything: samples outside the active set are scored after the last step of each epoch, and the
        /// backward pass of every step goes on through the frozen blocks. Training itself is the same, bit
        /// for bit.
        Full = "full",
    }
}

/// The three policies of a run.
#[derive(Clone)]
pub struct Policies {
    /// Which weights exist.
    pub mask: Arc<dyn MaskPolicy>,
    /// Which blocks freeze, and when.
    pub freeze: Arc<dyn FreezePolicy>,
    /// Which samples are trained.
    pub sieve: Arc<dyn SievePolicy>,
}
