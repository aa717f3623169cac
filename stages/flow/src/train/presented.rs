//! Samples as a step presents them to the network.

use std::sync::Arc;

use spfde_data::random::{Purpose, draw};
use spfde_data::{Placement, StorageError};
use spfde_model::{Activations, Network, Shard, Workspace, input};

use crate::{Cache, CacheSettings, Drawn, PrefixCache, Settings, Tick};

/// What comes of images, unless they cannot be read.
pub(super) type Read<T> = Result<T, StorageError>;

/// The room in which shards are put together and worked on.
pub(crate) struct Presented {
    pub(super) workspace: Workspace,
    pub(super) inputs: Activations,
    /// The gradient of the inputs, if a perturbation asks for it.
    input_gradients: Activations,
    /// Keeps outputs of the frozen prefix.
    pub(super) cache: Option<Arc<PrefixCache>>,
    /// Whether something is drawn for each sample: dropout, or signs.
    pub(super) draws: bool,
}

impl Presented {
    pub(crate) fn new(network: &Network) -> Self {
        let nothing = || Activations::default((0, 0, 0, 0, 0));
        Self {
            workspace: Workspace::new(network),
            inputs: nothing(),
            input_gradients: nothing(),
            cache: None,
            draws: network.description().drops(),
        }
    }

    /// Gathers the images of some samples, of a batch of so many, as step `tick` sees them, perturbed if
    /// something is plugged in that does it, and does `work` on that shard.
    ///
    /// # Errors
    /// If images cannot be read.
    pub(crate) fn show<T>(
        &mut self,
        network: &Network,
        settings: &Settings,
        tick: Tick,
        batch_samples: usize,
        samples: &[Drawn],
        work: impl FnOnce(&Network, &mut Workspace, &Shard<'_>) -> T,
    ) -> Read<T> {
        let ids: Vec<u32> = samples.iter().map(|(sample, _)| *sample).collect();
        self.gather(network, settings, tick.epoch, &ids)?;
        let Self { workspace, inputs, input_gradients, draws, .. } = self;
        let lists = Lists::new(settings, tick, samples, *draws);
        if let Some(perturbation) = &settings.seams.perturbation {
            let gradient = perturbation.needs_gradient().then(|| {
                network.input_gradient(workspace, &lists.shard(inputs, batch_samples), input_gradients);
                &*input_gradients
            });
            perturbation.perturb(inputs, gradient);
        }
        Ok(work(network, workspace, &lists.shard(inputs, batch_samples)))
    }

    /// Gathers the images of these samples of the training set as `epoch` sees them.
    ///
    /// # Errors
    /// If images cannot be read.
    pub(super) fn gather(
        &mut self,
        network: &Network,
        settings: &Settings,
        epoch: u32,
        ids: &[u32],
    ) -> Read<()> {
        let images = &settings.data.train;
        let (seed, shape) = (settings.seed, [images.height, images.width]);
        let place = |position: usize| {
            let sample = ids[position];
            settings.augment.place(seed, shown_as(network, settings, epoch, sample), sample, shape)
        };
        let (held, places) = images.at_hand(ids)?;
        let normalization = &settings.data.normalization;
        input::gather(network.kernel(), &held, normalization, &places, place, &mut self.inputs);
        Ok(())
    }

    /// What layers put out for samples of the training set that are not varied, for each layer sample by
    /// sample.
    ///
    /// # Errors
    /// If images cannot be read.
    pub(super) fn outputs(
        &mut self,
        network: &Network,
        settings: &Settings,
        ids: &[u32],
        layers: &[usize],
    ) -> Read<Vec<Vec<Vec<f32>>>> {
        let (held, places) = settings.data.train.at_hand(ids)?;
        let (place, normalization) = (|_| Placement::default(), &settings.data.normalization);
        input::gather(network.kernel(), &held, normalization, &places, place, &mut self.inputs);
        Ok(network.outputs(&mut self.workspace, &self.inputs, ids.len(), layers))
    }
}

/// As which epoch shows a sample `epoch` does: as itself. Where the frozen prefix is kept there are only as
/// many variants as are kept, and an epoch shows one of them: number v is as epoch v shows the sample.
pub(super) fn shown_as(network: &Network, settings: &Settings, epoch: u32, sample: u32) -> u32 {
    let CacheSettings { cache, variants, .. } = settings.prefix_cache;
    if cache == Cache::Off || network.front() == 0 {
        return epoch;
    }
    (draw(settings.seed, Purpose::Variant, u64::from(epoch), u64::from(sample)) % u64::from(variants)) as u32
}

/// What there is to know of the samples of a shard beside their images.
pub(super) struct Lists {
    labels: Vec<u16>,
    weights: Vec<f32>,
    noise: Vec<u64>,
}

impl Lists {
    pub(super) fn new(settings: &Settings, tick: Tick, samples: &[Drawn], draws: bool) -> Self {
        let labels = &settings.data.train.labels;
        let moment = u64::from(tick.epoch) << 32 | u64::from(tick.step);
        let key = |sample: u32| draw(settings.seed, Purpose::Dropout, moment, u64::from(sample));
        Self {
            labels: samples.iter().map(|(sample, _)| labels[*sample as usize]).collect(),
            weights: samples.iter().map(|(_, weight)| *weight).collect(),
            noise: samples.iter().filter(|_| draws).map(|(sample, _)| key(*sample)).collect(),
        }
    }

    pub(super) fn shard<'a>(&'a self, inputs: &'a Activations, batch_samples: usize) -> Shard<'a> {
        let Self { labels, weights, noise } = self;
        Shard { inputs, labels, weights, noise, batch_samples }
    }
}
