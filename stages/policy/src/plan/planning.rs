//! Plans a run: the one place where the three policies meet before the first step.

use std::sync::Arc;

use spfde_data::{Architecture, ParameterError};

use super::Plan;
use crate::cost::frozen_blocks;
use crate::{Costs, FreezePolicy, MaskPolicy, SievePolicy, Spans, count};

impl Plan {
    /// Plans a run of `epochs` epochs on a data set of `samples` samples.
    ///
    /// # Errors
    /// If the freezing that was asked for cannot be reached.
    ///
    /// # Panics
    /// If a policy breaks its promises: a plan that freezes blocks out of order or after the end.
    pub fn new(
        architecture: Arc<Architecture>,
        epochs: u32,
        samples: u32,
        mask: &Arc<dyn MaskPolicy>,
        freeze: &dyn FreezePolicy,
        sieve: &dyn SievePolicy,
    ) -> Result<Self, ParameterError> {
        let active_samples: Vec<u32> = (0..epochs).map(|epoch| sieve.active_samples(epoch)).collect();
        let costs = Costs { architecture: &architecture, mask: &**mask, active_samples: &active_samples };
        let (blocks, layers) = (architecture.blocks.len(), architecture.layers.len());
        let freeze = freeze.plan(&costs)?;
        let frozen = freeze.frozen;
        check(&frozen, blocks, epochs);
        let dense: Vec<u32> = architecture.layers.iter().map(|layer| layer.weights() as u32).collect();
        Ok(Self {
            cost: (0..epochs).map(|epoch| costs.epoch(epoch, &frozen)).collect(),
            unfrozen_cost: costs.total(&vec![Spans::never(); blocks]),
            dense_cost: count(&architecture, &dense, 0, samples),
            masked: (0..layers).map(|layer| mask.masked(layer)).collect(),
            note: freeze.note,
            nonzero: (0..epochs).map(|epoch| costs.nonzero(epoch, &frozen)).collect(),
            mask: Arc::clone(mask),
            architecture,
            epochs,
            samples,
            frozen,
            active_samples,
        })
    }
}

/// Panics unless the frozen blocks are a prefix in every epoch, and freeze before the end.
fn check(frozen: &[Spans], blocks: usize, epochs: u32) {
    assert_eq!(frozen.len(), blocks, "freezing times for each block");
    assert!(
        frozen.iter().flat_map(Spans::iter).all(|(from, _)| from < epochs),
        "a block freezes before the end: {frozen:?} of {epochs} epochs"
    );
    for epoch in 0..epochs {
        let blocks = frozen_blocks(frozen, epoch);
        assert_eq!(blocks.count(), blocks.prefix(), "blocks freeze front to back: {frozen:?}");
    }
}
