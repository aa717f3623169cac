//! What both variants of MEST share ([arXiv 2110.14032](https://arxiv.org/abs/2110.14032), section 3): how
//! large the soft part is at an update, and how weights are pruned and grown.

use super::selection::{absent_by_draw, without};
use super::{MaskDelta, MaskUpdate, Moment};

/// The share of the soft part that is in use at an update (or at the start): all of it before 9/16 of the
/// run, half of it before 3/4, then none. It is none, too, at the layer's last update, and at the start if
/// there is no update: what is grown without a later pruning would stay for ever.
pub(super) fn phase(moment: &Moment) -> f64 {
    let (epoch, epochs) = (u64::from(moment.epoch), u64::from(moment.epochs));
    match () {
        () if moment.last => 0.0,
        () if 16 * epoch < 9 * epochs => 1.0,
        () if 4 * epoch < 3 * epochs => 0.5,
        () => 0.0,
    }
}

/// The existing weights by importance, magnitude plus `gradient_weight` times the gradient's magnitude.
pub(super) fn importance(update: &MaskUpdate<'_>, gradient_weight: f64) -> Vec<(f64, u32)> {
    // Without weight the gradient does not count at all, not even an infinite one.
    let gradient = |at: usize| match gradient_weight > 0.0 {
        true => gradient_weight * f64::from(update.gradients[at].abs()),
        false => 0.0,
    };
    let score = |(at, value): (usize, &f32)| f64::from(value.abs()) + gradient(at);
    update.values.iter().enumerate().map(score).zip(update.indices.iter().copied()).collect()
}

/// Prunes to `prune_to` weights, the least important first, and grows to `grow_to` at random.
///
/// A weight that is pruned is not grown again by the same update: it would lose its value and momentum. Where
/// fewer weights are absent than have to grow, correspondingly fewer are pruned, so that `grow_to` holds.
pub(super) fn mutate(
    update: &MaskUpdate<'_>,
    importance: Vec<(f64, u32)>,
    prune_to: u32,
    grow_to: u32,
) -> MaskDelta {
    let (existing, units) = (update.indices.len(), update.moment.units);
    let kept = existing.min(prune_to as usize);
    let missing = (grow_to as usize).saturating_sub(kept);
    let growing = missing.min(units.room(existing));
    let pruning = (existing - kept).saturating_sub(missing - growing);
    let dropped = units.least(importance.into_iter(), pruning);
    let grown = match growing {
        0 => Vec::new(),
        growing => units.drawn(&without(update.indices, &dropped), absent_by_draw(update), growing),
    };
    MaskDelta { dropped, grown }
}
