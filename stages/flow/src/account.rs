//! What an epoch costs, from what existed, was frozen and was active, and what a record lacks of it.
//! Training, replay and grid count alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spfde_data::{
    CensoredRow, CostRow, Densities, EpochRow, FreezeRow, FrozenBlocks, GradientRow, LayerRow, counted,
};
use spfde_policy::cost::{frozen_blocks, observed};
use spfde_policy::{Cost, Plan, Spans, count};

use crate::loader::batches;
use crate::{Observe, Settings};

/// The costs of `epoch`; its accuracies and losses are null.
pub(crate) fn epoch_row(
    settings: &Settings,
    epoch: u32,
    nonzero: &[u32],
    frozen: &FrozenBlocks,
    active: u32,
) -> EpochRow {
    let plan = &settings.plan;
    let architecture = &plan.architecture;
    let spent: Cost = plan.spent(epoch, nonzero, frozen, active).into_iter().sum();
    let rule = &settings.seams.learning_rate;
    let steps = active.div_ceil(settings.batch_size as u32).max(1);
    let (at, ends_at) = settings.policies.mask.phase(epoch, settings.epochs);
    let outside = plan.samples.saturating_sub(active);
    let asked = plan.extra_flops(epoch, frozen, nonzero, &batches(active, settings.batch_size));
    let probe = |samples: u32| count(architecture, nonzero, 0, samples.min(plan.samples)).forward;
    let probed = settings.probe.map_or(0, |of| probe(of.samples));
    let observed_flops = match settings.observe {
        Observe::Active => 0,
        Observe::Full => observed(architecture, nonzero, frozen, active, outside),
    };
    EpochRow {
        epoch,
        learning_rate: rule.rate(settings.learning_rate, at, 0, steps, ends_at),
        active_samples: active,
        nonzero: nonzero.iter().map(|count| u64::from(*count)).sum(),
        frozen_layers: architecture.layers.iter().filter(|layer| frozen.contains(layer.block)).count() as u16,
        forward_flops: spent.forward,
        backward_flops: spent.backward,
        observed_flops,
        dense_flops: plan.dense_cost.forward + plan.dense_cost.backward,
        activation_bytes: architecture.activation_bytes[frozen.prefix()] * settings.batch_size as u64,
        extra_flops: asked.saturating_add(probed),
        ..EpochRow::default()
    }
}

/// Where the layers of a replay stand: which weights exist, what is frozen.
pub(crate) struct Layers {
    plan: Arc<Plan>,
    densities: Densities,
    /// The sum of the mask deltas of each layer that has any.
    masks: BTreeMap<usize, i64>,
    /// When each block was frozen.
    blocks: Vec<Spans>,
    frozen: Vec<bool>,
}

impl Layers {
    /// Before the first epoch: no mask delta, nothing frozen.
    pub(crate) fn new(plan: &Arc<Plan>, densities: Densities) -> Self {
        let architecture = &plan.architecture;
        Self {
            densities,
            masks: BTreeMap::new(),
            blocks: vec![Spans::never(); architecture.blocks.len()],
            frozen: vec![false; architecture.layers.len()],
            plan: Arc::clone(plan),
        }
    }

    /// Adds mask deltas of a layer that sum to `sum`.
    pub(crate) fn mask(&mut self, layer: u16, sum: i64) {
        *self.masks.entry(usize::from(layer)).or_default() += sum;
    }

    /// A layer freezes or thaws.
    pub(crate) fn freeze(&mut self, row: &FreezeRow) {
        let layer = usize::from(row.layer);
        let freezes = row.diff > 0;
        self.frozen[layer] = freezes;
        // All layers of a block change together: the first of them says it.
        match self.blocks.get_mut(self.plan.architecture.layers[layer].block) {
            Some(spans) if spans.is_frozen(row.epoch) != freezes => match freezes {
                true => spans.freeze(row.epoch),
                false => spans.thaw(row.epoch),
            },
            _ => (),
        }
    }

    /// Whether each layer is frozen.
    pub(crate) fn frozen(&self) -> &[bool] {
        &self.frozen
    }

    /// The account of `epoch`.
    ///
    /// # Errors
    /// If the masks add up to no number of weights, in words.
    pub(crate) fn account(&self, epoch: u32) -> Result<Account<'_>, String> {
        let frozen = frozen_blocks(&self.blocks, epoch);
        Ok(Account { layers: self, epoch, nonzero: self.nonzero(epoch)?, frozen })
    }

    /// The existing weights of every layer in `epoch`, or why there is no such number.
    fn nonzero(&self, epoch: u32) -> Result<Vec<u32>, String> {
        if self.densities == Densities::Scheduled {
            return Ok(self.plan.nonzero_given(epoch, &self.blocks));
        }
        let layers = self.plan.architecture.layers.iter().enumerate();
        let nonzero = layers.map(|(index, layer)| {
            let Some(sum) = self.masks.get(&index) else { return Ok(layer.weights() as u32) };
            let fits = u32::try_from(*sum).ok().filter(|sum| *sum as usize <= layer.weights());
            fits.ok_or_else(|| {
                let weights = counted(layer.weights(), "weight");
                format!("stream masks: the deltas of layer {index} add up to {sum} of {weights}")
            })
        });
        nonzero.collect()
    }
}

/// What an epoch costs.
pub(crate) struct Account<'a> {
    layers: &'a Layers,
    epoch: u32,
    nonzero: Vec<u32>,
    frozen: FrozenBlocks,
}

impl Account<'_> {
    /// With `active` samples.
    pub(crate) fn epoch(&self, settings: &Settings, active: u32) -> EpochRow {
        epoch_row(settings, self.epoch, &self.nonzero, &self.frozen, active)
    }

    /// Layer by layer.
    pub(crate) fn by_layer(&self, active: u32) -> Vec<CostRow> {
        let Layers { plan, frozen, .. } = self.layers;
        let costs = plan.spent(self.epoch, &self.nonzero, &self.frozen, active);
        let layers = costs.into_iter().zip(&self.nonzero).zip(frozen).zip(0..);
        let row = |(((cost, nonzero), frozen), layer): (((Cost, &u32), &bool), u16)| CostRow {
            epoch: self.epoch,
            layer,
            nonzero: *nonzero,
            frozen: *frozen,
            forward_flops: cost.forward,
            backward_flops: cost.backward,
        };
        layers.map(row).collect()
    }

    /// What a record lacks of it: scores of so many active samples, and of layers that train their norms, or,
    /// for a policy that `needs_unfrozen` layers, that they trained.
    pub(crate) fn censored(&self, samples: u32, norms: &Norms, needs_unfrozen: bool) -> CensoredRow {
        let frozen = self.layers.frozen.iter().enumerate();
        let training = frozen.filter(|(_, frozen)| !**frozen).map(|(layer, _)| layer as u16);
        let lacks = |layer: &u16| norms.lacking(*layer) > 0 || needs_unfrozen && norms.frozen.contains(layer);
        let lacking: Vec<u64> = training.filter(lacks).map(|layer| norms.lacking(layer)).collect();
        let (layers, norms) = (lacking.len() as u16, lacking.iter().sum());
        CensoredRow { epoch: self.epoch, samples, layers, norms }
    }
}

/// Which norms a record has of one epoch.
#[derive(Default)]
pub(crate) struct Norms {
    steps: BTreeSet<u32>,
    by_layer: BTreeMap<u16, BTreeSet<u32>>,
    /// The layers that were frozen, as far as their rows were read.
    frozen: BTreeSet<u16>,
}

impl Norms {
    /// Those of the rows of one epoch, at whose end layers were as `ends` says.
    pub(crate) fn of<'a>(rows: impl IntoIterator<Item = &'a GradientRow>, ends: &[LayerRow]) -> Self {
        let frozen = ends.iter().filter(|row| row.frozen).map(|row| row.layer).collect();
        let mut norms = Self { frozen, ..Self::default() };
        for row in rows {
            norms.steps.insert(row.step);
            norms.by_layer.entry(row.layer).or_default().insert(row.step);
        }
        norms
    }

    /// The recorded steps at which a layer has no norm.
    fn lacking(&self, layer: u16) -> u64 {
        (self.steps.len() - self.by_layer.get(&layer).map_or(0, BTreeSet::len)) as u64
    }
}
