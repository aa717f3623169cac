//! What a run is told: settings, policies, and where it meets the outside world.

use std::sync::Arc;

use spfde_data::augment::Augment;
use spfde_data::images::DataSet;
use spfde_data::rows::{CensoredRow, EpochRow, TimingRow};
use spfde_data::segment::{Commit, Densities, Recording, SegmentStore};
use spfde_model::{Description, Growth, Kernel, Network};
use spfde_policy::{FreezePolicy, MaskPolicy, Plan, SievePolicy};

use crate::checkpoint::{Checkpoints, Snapshot};
use crate::stop::Stop;
use crate::train::{Seams, StepReport};

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
        let mut network =
            Network::from_description(Description::clone(&self.network), self.seed, self.kernel);
        self.seams.plug(&mut network);
        network
    }

    /// As [`Settings::fresh_network`], with masked layers made empty: the initial masks are still to be
    /// grown.
    pub(crate) fn masked_network(&self) -> Network {
        let mut network = self.fresh_network();
        let mask = &self.policies.mask;
        for layer in (0..network.architecture().layers.len()).filter(|layer| mask.masked(*layer)) {
            // Initial weights are drawn for the inputs that exist at the start, which may be more than the
            // target.
            let weights = network.architecture().layers[layer].weights();
            network.mask(layer, f64::from(self.plan.nonzero(0)[layer]) / weights as f64);
        }
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

/// What a run records besides what it trains with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Observe {
    /// Nothing: scores are those of the active samples, norms those of the layers that train.
    #[default]
    Active,
    /// Everything: samples outside the active set are scored after the last step of each epoch, and the
    /// backward pass of every step goes on through the frozen blocks. Training itself is the same, bit for
    /// bit.
    Full,
}

impl Observe {
    /// The names by which a configuration chooses.
    pub const NAMES: [&str; 2] = ["active", "full"];

    /// The choice of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "active" => Some(Self::Active),
            "full" => Some(Self::Full),
            _ => None,
        }
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
    /// Ends the run after the step in flight, if somebody wants it to.
    pub stop: Stop,
    /// Where checkpoints go; `None` for a run that keeps none.
    pub checkpoints: Option<Checkpoints>,
    /// The checkpoint from which the run goes on; `None` for a run from its beginning.
    pub resumed: Option<Arc<Snapshot>>,
    /// The recorded run that [`replay`](crate::replay) reads; `None` in a run that trains.
    pub recorded: Option<Recorded>,
    /// Is shown how the run goes.
    pub observer: Arc<dyn Observer>,
}

/// A recorded run that stands in for training.
#[derive(Clone)]
pub struct Recorded {
    /// Its streams.
    pub recording: Arc<dyn Recording>,
    /// Whose weights are counted.
    pub densities: Densities,
    /// Whether the record may still go on.
    pub follows: bool,
}

/// Is shown how a run goes, on the workers' own threads: be quick.
pub trait Observer: Send + Sync {
    /// A step has been applied.
    fn step(&self, _: &StepReport) {}
    /// An epoch is complete.
    fn epoch(&self, _: &EpochRow) {}
    /// What the record lacks of a replayed epoch.
    fn censored(&self, _: &CensoredRow) {}
    /// A worker's clock at the end of an epoch.
    fn timing(&self, _: &TimingRow) {}
    /// A worker has just spent `seconds` of wall-clock time in a stage. Every step has one call of
    /// `gradients` and one of `update` on every worker, in this order; other stages come as there is work for
    /// them.
    fn worked(&self, _worker: usize, _stage: &'static str, _seconds: f64) {}
}

/// Looks away.
impl Observer for () {}
