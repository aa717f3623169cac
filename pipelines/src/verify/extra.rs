//! What policies asked for beyond training: the dense gradients of the steps before an update, which the mask
//! policy of the configuration says it needs.

use std::sync::Arc;

use spfde_data::EpochRow;
use spfde_policy::{MaskPolicy, Needs, Spans};

use super::{Epoch, Findings, Layer};

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
    /// FLOPs of the dense gradient of each layer in the last step, where it trains and is asked for.
    layers: Vec<Option<u64>>,
    /// FLOPs of all dense gradients of earlier steps.
    within: u64,
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
        let until = |step: u64| active * step / steps;
        // Any step may have asked what a policy that is not known does.
        let earlier = if self.mask.is_some() && steps > 0 { until(steps - 1) } else { 0 };
        let samples = active - earlier;
        let window = self.mask.as_ref().and_then(|mask| mask.steps());
        let updates = window.map(|window| (u64::from(window.get())..steps).step_by(window.get() as usize));
        let samples_within: u64 =
            updates.into_iter().flatten().map(|step| until(step) - until(step - 1)).sum();
        let shapes = &epoch.trace.architecture.layers;
        let next = row.epoch + 1;
        let (mask, never) = (self.mask.as_ref(), Spans::never());
        let is_asked =
            |layer: usize| mask.is_none_or(|mask| mask.needs(layer, next, &never) == Needs::DenseGradient);
        let is_asked_within = |layer: &usize| {
            mask.is_some_and(|mask| mask.needs_within(*layer, row.epoch, &never) == Needs::DenseGradient)
        };
        let trains = |layer: &usize| !layers[*layer].frozen.last();
        let flops = |layer: usize, samples: u64| {
            (2 * shapes[layer].weights() as u64 * shapes[layer].positions).saturating_mul(samples)
        };
        let asked = |layer: usize| (trains(&layer) && is_asked(layer)).then(|| flops(layer, samples));
        let within = (0..shapes.len()).filter(trains).filter(is_asked_within);
        let within = within.map(|layer| flops(layer, samples_within)).fold(0, u64::saturating_add);
        let layers = (0..shapes.len()).map(asked).collect();
        self.before = Some(Before { epoch: row.epoch, found: row.extra_flops, layers, within });
    }

    /// Compares the epoch before with what it may have: all that was asked for; but a layer that freezes
    /// right after it may be asked for or not, depending on whether that was planned. `layers` are those of
    /// the next epoch, if there is one.
    pub(super) fn check(&mut self, layers: Option<&[Layer]>, findings: &mut Findings) {
        let Some(Before { epoch: number, found, layers: asked, within }) = self.before.take() else { return };
        let most = asked.iter().flatten().fold(within, |sum, flops| sum.saturating_add(*flops));
        let sure = layers.filter(|_| self.mask.is_some()).unwrap_or_default();
        let sure = asked.iter().zip(sure).filter(|(_, layer)| !layer.frozen.last());
        let least =
            self.mask.as_ref().map_or(0, |_| within) + sure.filter_map(|(flops, _)| *flops).sum::<u64>();
        if !(least..=most).contains(&found) {
            let expected = if least == most { most.to_string() } else { format!("{least} to {most}") };
            findings.push(format_args!(
                "epochs: epoch {}: extra_flops is {found}, the mask policy asks for {expected}",
                number + 1
            ));
        }
    }
}
