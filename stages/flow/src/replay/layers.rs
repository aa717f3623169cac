//! Where the layers stand: which weights exist, what is frozen.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde_data::rows::{CostRow, FreezeRow};
use spfde_data::segment::Densities;
use spfde_data::words::counted;
use spfde_policy::Plan;
use spfde_policy::cost::count_layers;

/// Where the layers stand.
pub(crate) struct Layers {
    plan: Arc<Plan>,
    densities: Densities,
    /// The sum of the mask deltas of each layer that has any.
    masks: BTreeMap<usize, i64>,
    /// When each block froze.
    frozen_at: Vec<Option<u32>>,
    frozen: Vec<bool>,
}

impl Layers {
    /// Before the first epoch: no mask delta, nothing frozen.
    pub(crate) fn new(plan: &Arc<Plan>, densities: Densities) -> Self {
        let architecture = &plan.architecture;
        Self {
            densities,
            masks: BTreeMap::new(),
            frozen_at: vec![None; architecture.blocks.len()],
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
        self.frozen[layer] = row.diff > 0;
        if let Some(at) = self.frozen_at.get_mut(self.plan.architecture.layers[layer].block) {
            *at = (row.diff > 0).then_some(row.epoch);
        }
    }

    /// Whether each layer is frozen.
    pub(crate) fn frozen(&self) -> &[bool] {
        &self.frozen
    }

    /// How many blocks of the front are frozen.
    pub(crate) fn frozen_blocks(&self) -> usize {
        self.frozen_at.iter().take_while(|at| at.is_some()).count()
    }

    /// The existing weights of every layer in `epoch`, or why there is no such number.
    pub(crate) fn nonzero(&self, epoch: u32) -> Result<Vec<u32>, String> {
        if self.densities == Densities::Scheduled {
            return Ok(self.plan.nonzero_given(epoch, &self.frozen_at));
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
