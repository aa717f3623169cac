//! When a step computes gradients of weights that do not exist.

use super::{MaskPolicy, Needs};
use crate::Spans;

/// What the step `when`, an epoch, a step and the steps of that epoch, computes of a layer for mask updates
/// beyond the gradients of existing weights, in a run of so many epochs: [`Needs::Candidates`],
/// [`Needs::DenseGradient`], or less, which is nothing.
pub fn extra(mask: &dyn MaskPolicy, layer: usize, frozen: &Spans, epochs: u32, when: [u32; 3]) -> Needs {
    let [epoch, step, steps] = when;
    let after = step + 1;
    let is_window = || after < steps && mask.steps().is_some_and(|window| after.is_multiple_of(window.get()));
    match mask.momentum_steps() {
        Some(kept) if gathers(mask, layer, frozen, epochs, when, kept) => Needs::DenseGradient,
        Some(_) => Needs::Nothing,
        None if after == steps => mask.needs(layer, epoch + 1, frozen),
        None if is_window() => mask.needs_within(layer, epoch, frozen),
        None => Needs::Nothing,
    }
}

/// Whether a step's dense gradient counts in the momentum that the layer's next update looks at, over the
/// last `kept` steps before it, or all if that is 0.
fn gathers(
    mask: &dyn MaskPolicy,
    layer: usize,
    frozen: &Spans,
    epochs: u32,
    [epoch, step, steps]: [u32; 3],
    kept: u32,
) -> bool {
    let looks = |needs: Needs| needs == Needs::DenseGradient;
    let within = |window: std::num::NonZeroU32| {
        let update = (step / window.get() + 1) * window.get();
        looks(mask.needs_within(layer, epoch, frozen))
            && update < steps
            && (kept == 0 || update - step <= kept)
    };
    let updates =
        |at: u32| looks(mask.needs(layer, at, frozen)) || looks(mask.needs_within(layer, at, frozen));
    let later = || match kept {
        0 => (epoch + 1..epochs).any(updates),
        _ => steps - step <= kept && looks(mask.needs(layer, epoch + 1, frozen)),
    };
    mask.steps().is_some_and(within) || later()
}
