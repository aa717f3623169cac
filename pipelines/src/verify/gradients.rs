//! Every layer has its gradient norms at every step at which it trains; if all are observed, at every other
//! step, too.

use spfde_data::files::manifest::RESUMED_FROM;
use spfde_data::rows::GradientRow;
use spfde_data::words::counted;
use spfde_flow::Observe;

use super::Findings;
use super::layers::Layer;
use super::trace::Epoch;
use crate::error::Error;

/// Compares the rows of `gradients` in one epoch with `steps`, at which samples were trained, ascending, and
/// with the layers that were frozen then and the weights that they had. The rows of a layer come step by
/// step, all from its owner.
pub(super) fn check(steps: &[u32], layers: &[Layer], epoch: &mut Epoch<'_>) -> Result<(), Error> {
    let (epoch, trace, findings) = (epoch.number, epoch.trace, &mut *epoch.findings);
    let full = trace.observe == Observe::Full;
    // Runs of version 2 lack the column.
    let is_counted = trace.manifest.version >= RESUMED_FROM;
    // The rows that lack between two places among the steps.
    let gap = |layer: usize, from: usize, to: usize, findings: &mut Findings| {
        let lacks = |step: &&u32| full || !layers[layer].frozen.at(**step);
        let steps: Vec<&u32> = steps[from..to].iter().filter(lacks).collect();
        let steps = match steps[..] {
            [] => return,
            [step] => format!("step {step}"),
            [first, .., last] => format!("step {first} to step {last}"),
        };
        findings
            .push(format_args!("gradients: epoch {epoch}, {steps}: layer {layer} has 0 rows, expected 1"));
    };
    // The place among the steps of each layer's next row.
    let mut next = vec![0; layers.len()];
    trace.visit::<GradientRow>(epoch, |row| {
        let (step, layer) = (row.step, usize::from(row.layer));
        let frozen = layers.get(layer).map(|layer| layer.frozen.at(step));
        let fits = frozen == Some(!row.trained) && (row.trained || full);
        let Some(place) = steps.binary_search(&step).ok().filter(|_| fits) else {
            let what = if row.trained { "trained" } else { "observed" };
            return findings.push(format_args!(
                "gradients: epoch {epoch}, step {step}: a row of layer {layer}, which was not {what} then"
            ));
        };
        let (found, exist) = (u64::from(row.nonzero), layers[layer].nonzero.at(step));
        if is_counted && found != exist {
            let found = counted(found, "weight");
            findings.push(format_args!(
                "gradients: epoch {epoch}, step {step}: layer {layer} has {found}, the mask deltas add up to \
                 {exist}"
            ));
        }
        if place < next[layer] {
            return findings.push(format_args!(
                "gradients: epoch {epoch}, step {step}: layer {layer} has more than 1 row, or not in order"
            ));
        }
        gap(layer, next[layer], place, findings);
        next[layer] = place + 1;
    })?;
    for (layer, next) in next.into_iter().enumerate() {
        gap(layer, next, steps.len(), findings);
    }
    Ok(())
}
