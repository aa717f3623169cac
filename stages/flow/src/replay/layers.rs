//! Where the layers stand: which weights exist, what is frozen.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde_data::rows::{CostRow, FreezeRow};
use spfde_data::segment::Densities;
use spfde_data::words::counted;
use spfde_policy::cost::{self, count_layers};
use spfde_policy::{Plan, Spans};

/// Where the layers stand.
pub(crate) struct Layers {
    plan: Arc<Plan>,
    densities: Densities,
    /// The sum of the mask deltas of each layer that has any.
    masks: BTreeMap<usize, i64>,
    /// When each block was frozen.
    blocks: Vec<Spans>,
    frozen: Vec<bool>,
    /// The epoch of the latest change.
    epoch: u32,
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
            epoch: 0,
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
        self.epoch = row.epoch;
    }

    /// Whether each layer is frozen.
    pub(crate) fn frozen(&self) -> &[bool] {
        &self.frozen
    }

    /// How many blocks of the front are frozen.
    pub(crate) fn frozen_blocks(&self) -> usize {
        cost::frozen_blocks(&self.blocks, self.epoch)
    }

    /// The existing weights of every layer in `epoch`, or why there is no such number.
    pub(crate) fn nonzero(&self, epoch: u32) -> Result<Vec<u32>, String> {
        if self.densities == Densities::Scheduled {
            return Ok(self.plan.nonzero_given(epoch, &self.blocks));
        }
        let layers = self.plan.architecture.layers.iter().enumerate();
        let nonzero = layers.map(|(index, layer)| match self.masks.get(&index) {
            None => Ok(layer.weights() as u32),
            Some(sum) => {
                u32::try_from(*sum).ok().filter(|sum| *sum as usize <= layer.weights()).ok_or_else(|| {
                    let weights = layer.weights();
                    format!(
                        "stream masks: the deltas of layer {index} add up to {sum} of {}",
                        counted(weights, "weight")
                    )
                })
            }
        });
        nonzero.collect()
    }

    /// What each layer costs in `epoch`, with `nonzero` weights, for `active` samples.
    pub(crate) fn costs(&self, epoch: u32, nonzero: &[u32], active: u32) -> Vec<CostRow> {
        let costs = count_layers(&self.plan.architecture, nonzero, self.frozen_blocks(), active);
        let rows = costs.into_iter().zip(nonzero).zip(&self.frozen).enumerate();
        let row =
            |(layer, ((cost, nonzero), frozen)): (usize, ((spfde_policy::Cost, &u32), &bool))| CostRow {
                epoch,
                layer: layer as u16,
                nonzero: *nonzero,
                frozen: *frozen,
                forward_flops: cost.forward,
                backward_flops: cost.backward,
            };
        rows.map(row).collect()
    }
}
