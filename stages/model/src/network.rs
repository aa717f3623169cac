//! A replica of a model: its state, and the calls of a training step.

use std::sync::Arc;

use spfde_data::FrozenBlocks;
use spfde_data::architecture::Architecture;

use crate::description::{Description, Reach};
use crate::kernel::{Form, Kernel};
use crate::layer::Layer;
use crate::loss::{CrossEntropy, Loss};
use crate::optimiser::Optimiser;
use crate::precision::Precision;
use crate::schedule::Schedule;
use crate::storage::Storage;
use crate::weights::Growth;

/// Evaluates an expression in which `$stored` is the type that `$storage` names.
macro_rules! in_storage {
    ($storage:expr, $stored:ident => $body:expr) => {
        match $storage {
            crate::storage::Storage::F32 => {
                type $stored = f32;
                $body
            }
            crate::storage::Storage::Bf16 => {
                type $stored = crate::kernel::Bf16;
                $body
            }
        }
    };
}
mod front;
mod observe;
mod part;
mod start;
mod state;
mod train;
mod update;

pub use part::NonFinite;
use part::PartLayout;
pub use start::LayerStart;
pub use state::{DENSE_MOMENTA, REWOUND, STORED, is_beside};

/// One replica of a model: masked and dense weights, batch norms, biases and momenta.
///
/// All calls that change it are deterministic, so replicas that get the same calls stay equal, bit for bit.
#[derive(Clone, Debug)]
pub struct Network {
    description: Arc<Description>,
    kernel: Kernel,
    storage: Storage,
    layers: Vec<Layer>,
    frozen: FrozenBlocks,
    /// The front of the frozen blocks, in operations.
    front: usize,
    part: PartLayout,
    training: Schedule,
    /// For training that observes frozen blocks, too.
    observing: Schedule,
    /// For the front alone.
    fronting: Schedule,
    /// For scores of samples that do not train.
    scoring: Schedule,
    /// For evaluation, where nothing measures.
    evaluating: Schedule,
    /// For gradients of inputs.
    perturbing: Schedule,
    loss: Arc<dyn Loss>,
}

impl Network {
    /// The network that `description` describes, with dense layers and initial weights drawn from `seed`.
    pub fn from_description(description: Description, seed: u64, kernel: Kernel) -> Self {
        Self::with_masks(description, seed, kernel, |_| None)
    }

    /// As [`Network::from_description`], with those layers masked and empty that have a `density`, as
    /// [`Network::mask`] makes them: they are never dense.
    ///
    /// # Panics
    /// If a density is not above 0 and at most 1.
    pub fn with_masks(
        description: Description,
        seed: u64,
        kernel: Kernel,
        density: impl Fn(usize) -> Option<f64>,
    ) -> Self {
        let layers = description.layers.iter().enumerate();
        let layers =
            layers.map(|(number, layer)| Layer::new(seed, number, layer, kernel.lanes(), density(number)));
        let layers: Vec<Layer> = layers.collect();
        let frozen = FrozenBlocks::default();
        let part = PartLayout::new(&description, &layers, &frozen);
        let training = Schedule::training(&description, Reach::Block(0));
        Self {
            kernel,
            storage: Storage::F32,
            layers,
            frozen,
            front: 0,
            part,
            observing: training.clone(),
            training,
            fronting: Schedule::front(&description, 0),
            scoring: Schedule::forward(&description, 0),
            evaluating: Schedule::forward(&description, description.architecture.blocks.len() + 1),
            perturbing: Schedule::training(&description, Reach::Input),
            loss: Arc::new(CrossEntropy),
            description: Arc::new(description),
        }
    }

    /// The network without its weights.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Layers and blocks.
    pub fn architecture(&self) -> &Arc<Architecture> {
        &self.description.architecture
    }

    /// The kernels that it runs.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Makes `layer` masked and empty. Weights that are grown with [`Growth::Initial`] have initial values
    /// drawn for `density`. To be called before the first step.
    ///
    /// # Panics
    /// If there is no such layer, or `density` is not above 0 and at most 1.
    pub fn mask(&mut self, layer: usize, density: f64) {
        self.layers[layer].weights.mask(density);
        self.lay_out();
    }

    /// Lets weights of a masked layer cease and begin to exist. Indices ascend and count row-major in
    /// (output, input that it can read, kernel row, kernel column). The momentum of a grown weight is 0; an
    /// index may be dropped and grown at once, and then begins anew.
    ///
    /// # Panics
    /// If the layer is not masked, an index is out of range, a dropped weight does not exist or a grown one
    /// does.
    pub fn apply_mask(&mut self, layer: usize, dropped: &[u32], grown: &[u32], growth: Growth) {
        self.layers[layer].weights.apply_mask(dropped, grown, growth);
        self.lay_out();
    }

    /// Lets values and gradients be stored in another way than as f32.
    pub fn set_storage(&mut self, storage: Storage) {
        self.storage = storage;
    }

    /// Lets a fresh network keep what this optimiser keeps of each parameter.
    pub fn set_optimiser(&mut self, optimiser: &dyn Optimiser) {
        self.layers.iter_mut().for_each(|layer| layer.keep_squares(optimiser.keeps_squares()));
    }

    /// Lets another loss than cross-entropy train and score.
    pub fn set_loss(&mut self, loss: Arc<dyn Loss>) {
        self.loss = loss;
    }

    /// Lets all layers compute in another precision than f32, or again in that.
    pub fn set_precision(&mut self, precision: Option<&Arc<dyn Precision>>) {
        for layer in &mut self.layers {
            layer.weights.rounding = precision.cloned();
            layer.weights.refresh();
        }
    }

    /// Freezes these blocks, or so many leading ones, and thaws all others: frozen blocks use the running
    /// statistics of their batch norms, have no place in a part, and are not updated. The backward pass ends
    /// at the leading ones; through others it goes on, without gradients of weights. A block that thaws goes
    /// on with the momenta, running statistics and mask that it had when it froze.
    ///
    /// # Panics
    /// If there are fewer blocks.
    pub fn freeze(&mut self, frozen: impl Into<FrozenBlocks>) {
        let frozen = frozen.into();
        assert!(frozen.end() <= self.architecture().blocks.len(), "the classifier never freezes");
        let prefix = frozen.prefix();
        self.frozen = frozen;
        self.front = self.description.front(prefix);
        self.training = Schedule::training(&self.description, Reach::Block(prefix));
        self.fronting = Schedule::front(&self.description, prefix);
        self.scoring = Schedule::forward(&self.description, prefix);
        self.lay_out();
    }

    /// The frozen blocks.
    pub fn frozen_blocks(&self) -> &FrozenBlocks {
        &self.frozen
    }

    /// The kernel that serves the density of `layer`.
    pub fn form(&self, layer: usize) -> Form {
        self.layers[layer].weights.form()
    }

    /// The ascending indices of the weights of `layer` that exist.
    pub fn indices(&self, layer: usize) -> &[u32] {
        &self.layers[layer].weights.indices
    }

    /// The values of the weights of `layer` that exist, in the order of [`Network::indices`].
    pub fn values(&self, layer: usize) -> &[f32] {
        &self.layers[layer].weights.values
    }

    /// How many weights of `layer` exist, whatever their values.
    pub fn nonzero(&self, layer: usize) -> usize {
        self.layers[layer].weights.indices.len()
    }

    /// Whether `layer` has a mask.
    pub fn is_masked(&self, layer: usize) -> bool {
        self.layers[layer].weights.masked
    }

    fn lay_out(&mut self) {
        self.part = PartLayout::new(&self.description, &self.layers, &self.frozen);
    }
}
