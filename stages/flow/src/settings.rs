//! What a run does: settings and policies.

use std::sync::{Arc, OnceLock};

use spfde_data::{Augment, DataSet, Order};
use spfde_model::{Description, Kernel, LayerStart, Network, Storage};
use spfde_policy::mask::selection::sign;
use spfde_policy::{FreezePolicy, MaskPolicy, Plan, SievePolicy};

use crate::{CacheSettings, Seams};

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
    /// How the samples of an epoch are ordered.
    pub order: Order,
    /// What is recorded of what does not train.
    pub observe: Observe,
    /// Whether the predicted class of every sample is recorded.
    pub predictions: bool,
    /// How outputs of the frozen prefix are kept.
    pub prefix_cache: CacheSettings,
    /// By which samples layers are compared with themselves at the end of every epoch; `None`: not at all. A
    /// freeze policy that reads `similarity` needs them.
    pub probe: Option<ProbeSettings>,
    /// The data; a replay has its name and shape only.
    pub data: Arc<DataSet>,
    /// Who decides on masks, freezing and the active set.
    pub policies: Policies,
    /// Epochs after which a run ends if the accuracy on the validation set has not risen; 0: it does not.
    pub patience: u32,
    /// Densities, sizes, freezing times and costs, known before the first step.
    pub plan: Arc<Plan>,
    /// What each layer begins with, in place of what would be drawn; `None` if all of it is drawn.
    pub start: Option<Arc<Vec<LayerStart>>>,
    /// The initial masks that the mask policy chooses by looking at the network, once a worker has asked.
    pub chosen: Arc<OnceLock<Option<Vec<Vec<u32>>>>>,
}

impl Settings {
    /// A fresh network with its initial weights, all layers dense.
    pub fn fresh_network(&self) -> Network {
        self.set_up(Network::from_description(Description::clone(&self.network), self.seed, self.kernel))
    }

    /// As [`Settings::fresh_network`], with masked layers empty: the initial masks are still to be grown.
    pub(crate) fn masked_network(&self) -> Network {
        self.network_for(self.plan.nonzero(0))
    }

    /// The same, for so many weights of each layer: initial weights are drawn for the inputs that exist at
    /// the start, maybe more than the target.
    pub(crate) fn network_for(&self, weights: &[u32]) -> Network {
        let (mask, layers) = (&self.policies.mask, &self.network.architecture().layers);
        let density = |layer: usize| f64::from(weights[layer]) / layers[layer].weights() as f64;
        let masked = |layer: usize| mask.masked(layer).then(|| density(layer));
        let description = Description::clone(&self.network);
        let mut network = self.set_up(Network::with_masks(description, self.seed, self.kernel, masked));
        self.begin(&mut network);
        network
    }

    /// The weights that exist get the signs that the mask policy fixes, if it does; then all that is taken
    /// over gets its values.
    pub(crate) fn begin(&self, network: &mut Network) {
        let mask = &self.policies.mask;
        let layers = 0..network.architecture().layers.len();
        for layer in layers.filter(|layer| mask.fixes_signs() && mask.masked(*layer)) {
            network.take_signs(layer, |index| sign(self.seed, layer, index));
        }
        let layers = self.start.iter().flat_map(|start| start.iter()).enumerate();
        layers.for_each(|(layer, start)| network.begin(layer, start));
    }

    /// How outputs of the frozen prefix are kept: images that are not varied have one variant.
    pub fn kept_of_prefix(&self) -> CacheSettings {
        let variants = if self.is_augmented() { self.prefix_cache.variants } else { 1 };
        CacheSettings { variants, ..self.prefix_cache }
    }

    /// Whether epochs show training images in different ways.
    pub fn is_augmented(&self) -> bool {
        self.augment != Augment::default()
    }

    /// Lets a new network store and compute as the run does.
    fn set_up(&self, mut network: Network) -> Network {
        network.set_storage(self.storage);
        self.seams.plug(&mut network);
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

/// Which samples layers are compared by, and how often what they are compared with moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// Samples of the probe, at most.
    pub samples: u32,
    /// Epochs of a window, at least 1.
    pub interval: u32,
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
