//! Every layer has its gradient norms at every step at which it trains; if all are observed, at every other
//! step, too.

use std::fmt::Arguments;

use spfde_data::files::manifest::RESUMED_FROM;
use spfde_data::{GradientRow, counted};
use spfde_flow::Observe;

use super::{Epoch, Layer};
use crate::Result;

/// Compares the rows of `gradients` in one epoch with `steps`, at which samples were trained, ascending, and
/// with the layers that were frozen then and the weights that they had. The rows of a layer come step by
/// step, all from its owner.
pub(super) fn check(steps: &[u32], layers: &[Layer], epoch: &mut Epoch<'_>) -> Result<()> {
    let full = epoch.trace.observe == Observe::Full;
    // Runs of version 2 lack the column.
    let is_counted = epoch.trace.manifest.version >= RESUMED_FROM;
    let find = |epoch: &mut Epoch<'_>, steps: Arguments<'_>, what: Arguments<'_>| {
        epoch.findings.push(format_args!("gradients: epoch {}, {steps}: {what}", epoch.number + 1));
    };
    // The rows that lack between two places among the steps.
    let gap = |layer: usize, from: usize, to: usize, epoch: &mut Epoch<'_>| {
        let lacks = |step: &&u32| full || !layers[layer].frozen.at(**step);
        let steps: Vec<&u32> = steps[from..to].iter().filter(lacks).collect();
        let what = format_args!("layer {layer} has 0 rows, expected 1");
        match steps[..] {
            [] => {}
            [step] => find(epoch, format_args!("step {}", step + 1), what),
            [first, .., last] => find(epoch, format_args!("step {} to step {}", first + 1, last + 1), what),
        }
    };
    // The place among the steps of each layer's next row.
    let mut next = vec![0; layers.len()];
    epoch.visit(|epoch, row: GradientRow| {
        let (step, layer) = (row.step, usize::from(row.layer));
        let mut wrong = |what: Arguments<'_>| find(epoch, format_args!("step {}", u64::from(step) + 1), what);
        let frozen = layers.get(layer).map(|layer| layer.frozen.at(step));
        let fits = frozen == Some(!row.trained) && (row.trained || full);
        let Some(place) = steps.binary_search(&step).ok().filter(|_| fits) else {
            let what = if row.trained { "trained" } else { "observed" };
            return wrong(format_args!("a row of layer {layer}, which was not {what} then"));
        };
        let (found, exist) = (u64::from(row.nonzero), layers[layer].nonzero.at(step));
        if is_counted && found != exist {
            let found = counted(found, "weight");
            wrong(format_args!("layer {layer} has {found}, the mask deltas add up to {exist}"));
        }
        if place < next[layer] {
            return wrong(format_args!("layer {layer} has more than 1 row, or not in order"));
        }
        gap(layer, next[layer], place, epoch);
        next[layer] = place + 1;
    })?;
    for (layer, next) in next.into_iter().enumerate() {
        gap(layer, next, steps.len(), epoch);
    }
    Ok(())
}
