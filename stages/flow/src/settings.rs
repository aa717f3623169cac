//! What a run is told: settings, policies, and where it meets the outside world.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use spfde_data::augment::Augment;
use spfde_data::images::DataSet;
use spfde_data::parameter::{ParameterError, Parameters};
use spfde_data::rows::{EpochRow, TimingRow};
use spfde_data::segment::{Commit, SegmentStore};
use spfde_model::{InputShape, Kernel, Network};
use spfde_policy::{FreezePolicy, MaskPolicy, Plan, SievePolicy};

use crate::train::StepReport;

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
    /// The model's parameters.
    pub model_parameters: Parameters,
    /// Instruction set of the kernels.
    pub kernel: Kernel,
    /// Learning rate at the first step.
    pub learning_rate: f64,
    /// Momentum of the gradient descent.
    pub momentum: f64,
    /// Decay of the weights of convolutions and linear layers.
    pub weight_decay: f64,
    /// How training images are varied.
    pub augment: Augment,
    /// The data.
    pub data: Arc<DataSet>,
    /// Who decides on masks, freezing and the active set.
    pub policies: Policies,
    /// Densities, sizes, freezing times and costs, known before the first step.
    pub plan: Arc<Plan>,
}

impl Settings {
    /// A fresh network with its initial weights, all layers dense.
    ///
    /// # Errors
    /// If the model does not fit the images or its parameters.
    pub fn network(&self) -> Result<Network, ParameterError> {
        let images = &self.data.train;
        let input = InputShape { channels: images.channels, height: images.height, width: images.width };
        Network::new(&self.model, &self.model_parameters, input, self.data.classes, self.seed, self.kernel)
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

/// Where a run's rows go and from where it is told to stop.
#[derive(Clone)]
pub struct Services {
    /// Opens trace segments.
    pub store: Arc<dyn SegmentStore>,
    /// Makes finished epochs count.
    pub commit: Arc<dyn Commit>,
    /// Set from outside to end the run after the step in flight.
    pub interrupted: Arc<AtomicBool>,
    /// Is shown how the run goes.
    pub observer: Arc<dyn Observer>,
}

/// Is shown how a run goes, on the workers' own threads: be quick.
pub trait Observer: Send + Sync {
    /// A step has been applied.
    fn step(&self, _: &StepReport) {}
    /// An epoch is complete.
    fn epoch(&self, _: &EpochRow) {}
    /// A worker's clock at the end of an epoch.
    fn timing(&self, _: &TimingRow) {}
}

/// Looks away.
impl Observer for () {}
