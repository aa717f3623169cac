//! Layers as plain vectors of all weights, trained by a policy and by a slow reference side by side.

use spfde_data::random::{Purpose, draw};

use super::{apply, values};
use crate::Spans;
use crate::mask::{Candidates, MaskContext, MaskDelta, MaskPolicy, MaskUpdate, Needs};

/// What a reference sees of a layer at an update.
pub(super) struct Seen {
    pub(super) layer: usize,
    /// The value of each weight, none if it is absent.
    pub(super) weights: Vec<Option<f64>>,
    /// The dense gradient.
    pub(super) gradients: Vec<f64>,
    /// The candidates that the policy named.
    pub(super) candidates: Vec<u32>,
}

impl Seen {
    /// The existing weights with their magnitudes, least first, ties by index.
    pub(super) fn by_magnitude(&self) -> Vec<(f64, u32)> {
        let mut existing: Vec<(f64, u32)> =
            self.existing().map(|index| (self.weights[index as usize].unwrap().abs(), index)).collect();
        existing.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        existing
    }

    pub(super) fn existing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.weights.len() as u32).filter(|index| self.weights[*index as usize].is_some())
    }

    pub(super) fn absent(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.weights.len() as u32).filter(|index| self.weights[*index as usize].is_none())
    }

    /// The absent weights with their draws, lowest first.
    pub(super) fn by_draw(&self, seed: u64, epoch: u32) -> Vec<(u64, u32)> {
        let key = u64::from(epoch) * (1 << 32) + self.layer as u64;
        let drawn = |index: u32| (draw(seed, Purpose::Grow, key, u64::from(index)), index);
        let mut absent: Vec<(u64, u32)> = self.absent().map(drawn).collect();
        absent.sort_unstable();
        absent
    }

    /// Of these weights the `count` with the steepest gradients, ties by index.
    pub(super) fn steepest(&self, among: impl Iterator<Item = u32>, count: usize) -> Vec<u32> {
        let steepness = |index: u32| self.gradients[index as usize].abs();
        let mut among: Vec<u32> = among.collect();
        among.sort_by(|a, b| steepness(*b).total_cmp(&steepness(*a)).then(a.cmp(b)));
        among.truncate(count);
        among
    }
}

/// A change in the order in which a policy states it.
pub(super) fn delta(mut dropped: Vec<u32>, mut grown: Vec<u32>) -> MaskDelta {
    dropped.sort_unstable();
    grown.sort_unstable();
    MaskDelta { dropped, grown }
}

/// Deals `count` by the `parts`, to each at most what there is `room` for: whole quotas, then one more each
/// by the largest remainder, and what does not fit once more over the others.
pub(super) fn deal(mut count: u64, parts: &[u64], room: &[u64]) -> Vec<usize> {
    let mut given = vec![0; parts.len()];
    while count > 0 && (0..parts.len()).any(|at| given[at] < room[at]) {
        let open: Vec<usize> = (0..parts.len()).filter(|at| given[*at] < room[*at]).collect();
        let whole = open.iter().map(|at| parts[*at]).sum::<u64>().max(1);
        let dealt = count;
        for at in &open {
            let quota = (dealt * parts[*at] / whole).min(room[*at] - given[*at]);
            given[*at] += quota;
            count -= quota;
        }
        let mut others: Vec<usize> = open.into_iter().filter(|at| given[*at] < room[*at]).collect();
        others.sort_by_key(|at| (u64::MAX - dealt * parts[*at] % whole, *at));
        for at in others {
            if count > 0 {
                given[at] += 1;
                count -= 1;
            }
        }
    }
    given.into_iter().map(|given| given as usize).collect()
}

/// Trains all layers to the end. Values are few, so that most comparisons are ties: those of 0 to 10 with a
/// sign, modulo `ties`. A layer that does not `take part` in an epoch is not asked. The state is saved and
/// restored all the time. Returns the number of weights by epoch and layer.
pub(super) fn train(
    policy: &dyn MaskPolicy,
    context: &MaskContext,
    ties: u32,
    takes_part: impl Fn(usize, u32) -> bool,
    mut reference: impl FnMut(u32, &[Seen]) -> Vec<MaskDelta>,
) -> Vec<Vec<u32>> {
    let never = Spans::never();
    let all = 0..context.architecture.layers.len();
    let mut masks: Vec<Vec<u32>> = all.clone().map(|layer| policy.initial(layer, &never)).collect();
    let sizes = |masks: &[Vec<u32>]| masks.iter().map(|mask| mask.len() as u32).collect::<Vec<_>>();
    let total: u32 = sizes(&masks).iter().sum();
    let (mut state, mut counts) = (policy.start(), Vec::new());
    for epoch in 0..context.epochs {
        let asks = |layer: &usize| policy.needs(*layer, epoch, &never) > Needs::Nothing;
        let asked = all.clone().filter(asks).filter(|layer| takes_part(*layer, epoch));
        let look = |layer: usize| {
            let weights = 0..context.architecture.layers[layer].weights() as u32;
            let salt = |purpose| draw(context.seed, Purpose::User, purpose, layer as u64);
            let coarse = |purpose: u64| -> Vec<f64> {
                let values = values(salt(purpose), epoch, &weights.clone().collect::<Vec<_>>());
                values.into_iter().map(|value| f64::from(value % ties as f32)).collect()
            };
            let mask = &masks[layer];
            let existing = |(index, value): (u32, f64)| mask.contains(&index).then_some(value);
            let asked = Candidates {
                seed: context.seed,
                layer,
                tick: (epoch, 0),
                units: policy.moment(layer, epoch, &never).units,
                indices: mask,
                sums: [&[]; 2],
            };
            Seen {
                layer,
                weights: weights.clone().zip(coarse(1)).map(existing).collect(),
                gradients: coarse(2),
                candidates: policy.candidates(&asked),
            }
        };
        let seen: Vec<Seen> = asked.map(look).collect();
        let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect::<Vec<_>>();
        let values: Vec<[Vec<f32>; 3]> = seen
            .iter()
            .map(|seen| {
                let of =
                    |indices: &[u32]| indices.iter().map(|index| seen.gradients[*index as usize]).collect();
                let weights = seen.weights.iter().flatten().copied().collect();
                [weights, seen.gradients.clone(), of(&seen.candidates)].map(narrow)
            })
            .collect();
        let mut updates = Vec::new();
        for (seen, [values, dense_gradients, candidate_gradients]) in seen.iter().zip(&values) {
            updates.push(MaskUpdate {
                moment: policy.moment(seen.layer, epoch, &never),
                freezing: false,
                seed: context.seed,
                indices: &masks[seen.layer],
                values,
                gradients: &[],
                dense_gradients,
                stored: &[],
                candidates: &seen.candidates,
                candidate_gradients,
            });
        }
        let deltas = state.decide(&updates);
        let expected = if seen.is_empty() { Vec::new() } else { reference(epoch, &seen) };
        assert_eq!(deltas, expected, "epoch {epoch}, {:?}", sizes(&masks));
        for (seen, delta) in seen.iter().zip(&deltas) {
            let again = policy.name() == "granet";
            masks[seen.layer] = apply(&masks[seen.layer], delta, seen.weights.len() as u32, again);
        }
        for layer in all.clone().filter(|layer| policy.masked(*layer)) {
            assert!(!masks[layer].is_empty(), "layer {layer} is empty at epoch {epoch}");
            if policy.is_scheduled() {
                assert_eq!(masks[layer].len() as u32, policy.nonzero(layer, epoch, &never), "epoch {epoch}");
            }
        }
        if !policy.is_scheduled() {
            assert_eq!(sizes(&masks).iter().sum::<u32>(), total, "epoch {epoch}");
        }
        counts.push(sizes(&masks));
        let saved = state.save(epoch + 1);
        state = policy.start();
        state.restore(&saved).expect("it fits");
    }
    counts
}
