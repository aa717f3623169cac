//! What policies asked for beyond training: the dense gradients of the last step of an epoch, which the mask
//! policy of the configuration says it needs.

use std::sync::Arc;

use spfde_data::rows::EpochRow;
use spfde_policy::{MaskPolicy, Needs, Spans};

use super::Findings;
use super::layers::Layer;
use super::trace::Epoch;

/// By what the extra FLOPs of an epoch are judged.
pub(super) struct Extra {
    /// The run's mask policy; `None` of one that no registry knows: it may have asked for any layer.
    mask: Option<Arc<dyn MaskPolicy>>,
    /// Samples of a batch, at most.
    batch_size: u64,
    /// The epoch before, until it is known what freezes after it.
    before: Option<Before>,
}

/// What is known of an epoch at its end.
struct Before {
    epoch: u32,
    found: u64,
    /// FLOPs of the dense gradient of each layer, where it trains and is asked for.
    layers: Vec<Option<u64>>,
}

impl Extra {
    /// Before the first epoch.
    pub(super) fn new(mask: Option<Arc<dyn MaskPolicy>>, batch_size: u64) -> Self {
        Self { mask, batch_size, before: None }
    }

    /// Takes the row of an epoch, whose end `layers` are at.
    pub(super) fn add(&mut self, row: &EpochRow, layers: &[Layer], epoch: &Epoch<'_>) {
        let active = u64::from(row.active_samples);
        let steps = active.div_ceil(self.batch_size);
        // Sizes of batches differ by one at most, and the last is none of the smaller ones.
        let samples = if steps == 0 { 0 } else { active.div_ceil(steps) };
        let shapes = &epoch.trace.architecture.layers;
        let next = row.epoch + 1;
        let is_asked = |layer: usize| match &self.mask {
            Some(mask) => mask.needs(layer, next, &Spans::never()) == Needs::DenseGradient,
            None => next < epoch.trace.manifest.epochs,
        };
        let flops = |index: usize| {
            let (shape, asked) = (&shapes[index], !layers[index].frozen.last() && is_asked(index));
            asked.then(|| 2 * shape.weights() as u64 * shape.positions * samples)
        };
        let layers = (0..shapes.len()).map(flops).collect();
        self.before = Some(Before { epoch: row.epoch, found: row.extra_flops, layers });
    }

    /// Compares the epoch before with what it may have: all that was asked for; but a layer that freezes
    /// right after it may be asked for or not, depending on whether that was planned. `layers` are those of
    /// the next epoch, if there is one.
    pub(super) fn check(&mut self, layers: Option<&[Layer]>, findings: &mut Findings) {
        let Some(Before { epoch: number, found, layers: asked }) = self.before.take() else { return };
        let most: u64 = asked.iter().flatten().sum();
        let sure = layers.filter(|_| self.mask.is_some()).unwrap_or_default();
        let sure = asked.iter().zip(sure).filter(|(_, layer)| !layer.frozen.last());
        let least: u64 = sure.filter_map(|(flops, _)| *flops).sum();
        if !(least..=most).contains(&found) {
            let expected = if least == most { most.to_string() } else { format!("{least} to {most}") };
            findings.push(format_args!(
                "epochs: epoch {number}: extra_flops is {found}, the mask policy asks for {expected}"
            ));
        }
    }
}
