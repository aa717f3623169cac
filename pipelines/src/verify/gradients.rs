//! Every layer that trains has its gradient norms at every step; every other layer too, if all are observed, and none
//! otherwise.

use spfde_data::rows::GradientRow;
use spfde_flow::Observe;

use super::masks::Sums;
use super::{Findings, Trace};
use crate::error::Error;

/// What the rows of one epoch should be, and how far they are.
struct Expected<'a> {
    epoch: u32,
    /// The steps at which samples were trained, ascending.
    steps: &'a [u32],
    /// Whether each layer is frozen.
    frozen: &'a [bool],
    observe: Observe,
    /// The step of each layer's next row, by its place among the steps.
    next: Vec<usize>,
}

impl Expected<'_> {
    /// Whether a layer has rows.
    fn recorded(&self, layer: usize) -> bool {
        !self.frozen[layer] || self.observe == Observe::Full
    }

    /// Takes the next row: a layer's come step by step, all from its owner.
    fn take(&mut self, row: &GradientRow, findings: &mut Findings) {
        let (epoch, step, layer) = (self.epoch, row.step, usize::from(row.layer));
        let place = self.steps.binary_search(&step).ok();
        let fits = layer < self.frozen.len() && self.recorded(layer) && row.trained != self.frozen[layer];
        let Some(place) = place.filter(|_| fits) else {
            let what = if row.trained { "trained" } else { "observed" };
            findings.push(|| {
                format!(
                    "gradients: epoch {epoch}, step {step}: a row of layer {layer}, which was not {what} then"
                )
            });
            return;
        };
        if place < self.next[layer] {
            findings.push(|| {
                format!("gradients: epoch {epoch}, step {step}: layer {layer} has more than 1 row, or not in order")
            });
            return;
        }
        self.skip_to(layer, place, findings);
        self.next[layer] = place + 1;
    }

    /// The rows of a layer before the step in place `place` that have not come.
    fn skip_to(&mut self, layer: usize, place: usize, findings: &mut Findings) {
        let epoch = self.epoch;
        let gap = match &self.steps[self.next[layer]..place] {
            [] => return,
            [step] => format!("step {step}"),
            [first, .., last] => format!("step {first} to step {last}"),
        };
        findings.push(|| format!("gradients: epoch {epoch}, {gap}: layer {layer} has 0 rows, expected 1"));
    }
}

/// Compares the rows of `gradients` in one epoch with `steps`, at which samples were trained, and the layers that were not
/// frozen.
pub(super) fn check(
    trace: &Trace<'_>,
    epoch: u32,
    observe: Observe,
    sums: &Sums,
    steps: &[u32],
    findings: &mut Findings,
) -> Result<(), Error> {
    let layers = sums.frozen.len();
    let mut expected = Expected { epoch, steps, frozen: &sums.frozen, observe, next: vec![0; layers] };
    trace.visit::<GradientRow>(epoch, |row| expected.take(&row, findings))?;
    for layer in 0..layers {
        if expected.recorded(layer) {
            expected.skip_to(layer, steps.len(), findings);
        }
    }
    Ok(())
}
