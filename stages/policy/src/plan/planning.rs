//! Plans a run: the one place where the three policies meet before the first step.

use std::sync::Arc;

use spfde_data::architecture::Architecture;
use spfde_data::parameter::ParameterError;

use super::{Course, Courses, Plan};
use crate::Spans;
use crate::cost::{Costs, count, frozen_blocks};
use crate::freeze::FreezePolicy;
use crate::mask::MaskPolicy;
use crate::sieve::SievePolicy;

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
        mask: &dyn MaskPolicy,
        freeze: &dyn FreezePolicy,
        sieve: &dyn SievePolicy,
    ) -> Result<Self, ParameterError> {
        let active_samples: Vec<u32> = (0..epochs).map(|epoch| sieve.active_samples(epoch)).collect();
        let costs = Costs { architecture: &architecture, mask, active_samples: &active_samples };
        let blocks = architecture.blocks.len();
        let layers = architecture.layers.len();
        let freeze = freeze.plan(&costs)?;
        let frozen = freeze.frozen;
        check(&frozen, blocks, epochs);
        let never = vec![Spans::never(); blocks];
        let weights = |layer: usize| architecture.layers[layer].weights() as u32;
        let dense: Vec<u32> = (0..layers).map(weights).collect();
        let course = |frozen: &[Spans]| Course {
            frozen: frozen.to_vec(),
            nonzero: (0..epochs).map(|epoch| costs.nonzero(epoch, frozen)).collect(),
            needs: (0..epochs).map(|epoch| costs.needs(epoch, frozen)).collect(),
        };
        let kept = |epoch: u32| costs.nonzero(epoch, &vec![Spans::from(epoch); blocks]);
        let courses = Courses {
            planned: course(&frozen),
            unfrozen: course(&never),
            kept: (0..epochs).map(kept).collect(),
        };
        Ok(Self {
            cost: (0..epochs).map(|epoch| costs.epoch(epoch, &frozen)).collect(),
            unfrozen_cost: costs.total(&never),
            dense_cost: count(&architecture, &dense, 0, samples),
            masked: (0..layers).map(|layer| mask.masked(layer)).collect(),
            note: freeze.note,
            courses: Arc::new(courses),
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
        let prefix = frozen_blocks(frozen, epoch);
        let behind = frozen[prefix..].iter().any(|spans| spans.is_frozen(epoch));
        assert!(!behind, "blocks freeze front to back: {frozen:?}");
    }
}
