//! What both variants of MEST share ([arXiv 2110.14032](https://arxiv.org/abs/2110.14032), section 3): when a
//! mask changes, how large the soft part is then, and how weights are pruned and grown.

use spfde_data::parameter::{Parameter, ParameterError, Parameters};
use spfde_data::random::{Purpose, draw};

use super::distribution::{self, Targets};
use super::selection::{lowest, order_of, random_mask};
use super::{MaskContext, MaskDelta, MaskUpdate};

/// The keys of both variants; `soft` is the one that differs.
pub(crate) fn parameters(soft: Parameter) -> Vec<Parameter> {
    let mut parameters = distribution::parameters();
    parameters.extend([
        Parameter::integer(
            "mask.interval",
            2,
            1,
            i64::from(u32::MAX),
            "epochs between two updates of a mask",
        ),
        soft,
        Parameter::number(
            "mask.gradient_weight",
            0.0,
            0.0,
            1e6,
            "importance of a weight is its magnitude plus this times its gradient's magnitude",
        ),
    ]);
    parameters
}

/// Schedule and mutation of a layer's mask.
#[derive(Clone, Debug)]
pub(crate) struct Mest {
    seed: u64,
    epochs: u32,
    interval: u32,
    soft: f64,
    gradient_weight: f64,
    /// What the layers end with.
    pub(crate) targets: Targets,
}

impl Mest {
    /// From the keys of [`parameters`].
    pub(crate) fn new(parameters: &Parameters, context: &MaskContext) -> Result<Self, ParameterError> {
        Ok(Self {
            seed: context.seed,
            epochs: context.epochs,
            interval: parameters.integer("mask.interval"),
            soft: parameters.number("mask.soft"),
            gradient_weight: parameters.number("mask.gradient_weight"),
            targets: Targets::new(parameters, &context.architecture)?,
        })
    }

    /// The last update before the layer freezes or the run ends, if there is any.
    fn last_update(&self, frozen_at: Option<u32>) -> Option<u32> {
        let end = frozen_at.unwrap_or(self.epochs).min(self.epochs);
        let last = end.saturating_sub(1) / self.interval * self.interval;
        (last > 0).then_some(last)
    }

    /// Whether the layer is updated at `(epoch, 0)`.
    pub(crate) fn updates(&self, layer: usize, epoch: u32, frozen_at: Option<u32>) -> bool {
        let last = self.last_update(frozen_at);
        self.targets.masked[layer]
            && epoch > 0
            && epoch.is_multiple_of(self.interval)
            && last.is_some_and(|last| epoch <= last)
    }

    /// The start of the mask in force during `epoch`: 0 or its latest update.
    pub(crate) fn in_force(&self, epoch: u32, frozen_at: Option<u32>) -> u32 {
        let latest = epoch / self.interval * self.interval;
        latest.min(self.last_update(frozen_at).unwrap_or(0))
    }

    /// The soft part of a layer's density as read at update `epoch` (0: at the start): all of it before 9/16 of
    /// the run, half of it before 3/4, then none. It is none, too, at the layer's last update, and at the start
    /// if there is no update: what is grown without a later pruning would stay for ever.
    pub(crate) fn soft_density(&self, layer: usize, epoch: u32, frozen_at: Option<u32>) -> f64 {
        let phase = match self.last_update(frozen_at) {
            None => 0.0,
            Some(last) if epoch >= last => 0.0,
            _ => self.phase(epoch),
        };
        phase * self.soft * self.targets.densities[layer]
    }

    /// How much of the soft part is in use at `epoch`, by the run's length alone.
    fn phase(&self, epoch: u32) -> f64 {
        let (epoch, epochs) = (u64::from(epoch), u64::from(self.epochs));
        match () {
            () if 16 * epoch < 9 * epochs => 1.0,
            () if 4 * epoch < 3 * epochs => 0.5,
            () => 0.0,
        }
    }

    /// A random mask of `count` weights; empty for a layer that is not masked.
    pub(crate) fn random(&self, layer: usize, count: u32) -> Vec<u32> {
        if !self.targets.masked[layer] {
            return Vec::new();
        }
        random_mask(self.seed, layer, self.targets.weights[layer], count)
    }

    /// Prunes to `prune_to` weights, the least important first, and grows to `grow_to` at random.
    ///
    /// A weight that is pruned is not grown again by the same update: it would lose its value and momentum, and
    /// the two changes would cancel as deltas. Where fewer weights are absent than have to grow, correspondingly
    /// fewer are pruned, so that `grow_to` holds.
    pub(crate) fn mutate(&self, update: &MaskUpdate<'_>, prune_to: u32, grow_to: u32) -> MaskDelta {
        let existing = update.indices.len();
        assert_eq!(update.values.len(), existing, "one value per existing weight");
        assert_eq!(update.gradients.len(), existing, "one gradient per existing weight");
        let weights = self.targets.weights[update.layer] as usize;
        let kept = existing.min(prune_to as usize);
        let missing = (grow_to as usize).saturating_sub(kept);
        let absent = weights - existing;
        let growing = missing.min(absent);
        let pruning = (existing - kept).saturating_sub(missing - growing);
        let dropped = match pruning {
            0 => Vec::new(),
            pruning => lowest(self.importance(update), pruning),
        };
        let grown = match growing {
            0 => Vec::new(),
            growing => lowest(self.candidates(update, weights), growing),
        };
        MaskDelta { dropped, grown }
    }

    /// The existing weights by importance, magnitude plus `mask.gradient_weight` times the gradient's magnitude.
    fn importance(&self, update: &MaskUpdate<'_>) -> Vec<(u64, u32)> {
        let score = |value: f32, gradient: f32| {
            let magnitude = f64::from(value.abs());
            // Without weight the gradient does not count at all, not even an infinite one.
            match self.gradient_weight > 0.0 {
                true => magnitude + self.gradient_weight * f64::from(gradient.abs()),
                false => magnitude,
            }
        };
        let scores = update.values.iter().zip(update.gradients);
        let scores = scores.map(|(value, gradient)| order_of(score(*value, *gradient)));
        scores.zip(update.indices.iter().copied()).collect()
    }

    /// The absent weights by a draw of this update.
    fn candidates(&self, update: &MaskUpdate<'_>, weights: usize) -> Vec<(u64, u32)> {
        let key = u64::from(update.epoch) << 32 | update.layer as u64;
        let mut existing = update.indices.iter().copied().peekable();
        let absent = (0..weights as u32).filter(move |index| existing.next_if_eq(index).is_none());
        absent.map(|index| (draw(self.seed, Purpose::Grow, key, u64::from(index)), index)).collect()
    }
}
