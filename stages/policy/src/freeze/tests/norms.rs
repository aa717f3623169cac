//! Rules of papers that judge by gradients, against literal references of these, over random records.

use std::collections::BTreeMap;

use proptest::prelude::*;
use spfde_data::FrozenBlocks;
use spfde_data::rows::{FreezeEvidenceRow, GradientRow, LayerRow};

use super::plan_with;
use crate::Plan;
use crate::freeze::{
    self, AutoFreeze, Change, EffectivePerturbation, FreezeRule, FreezeState, PipeTransformer,
};

/// A network of five blocks of one layer each, and a classifier.
const SIZES: [usize; 7] = [6, 6, 6, 6, 6, 6, 6];
pub(super) const BLOCKS: usize = 5;
pub(super) const STEPS: u32 = 3;

/// What one epoch shows of each layer.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// Norms at each step.
    pub(super) l1: Vec<f32>,
    /// Of the accumulated gradient.
    pub(super) sum_l1: f64,
    pub(super) sum_l2: f64,
    pub(super) change: f64,
}

/// Eleven epochs of six layers.
pub(super) fn records() -> impl Strategy<Value = Vec<Vec<Shown>>> {
    let shown = (prop::collection::vec(0.0..1.0_f32, STEPS as usize), prop::array::uniform3(0.0..1.0));
    let shown = shown.prop_map(|(l1, [sum_l1, sum_l2, change])| Shown { l1, sum_l1, sum_l2, change });
    prop::collection::vec(prop::collection::vec(shown, 6), 11)
}

fn start(rule: impl FreezeRule) -> (Plan, Box<dyn FreezeState>) {
    let (plan, policy) = plan_with(&SIZES, "dense", 2, |context| freeze::policy(rule, context).unwrap());
    let state = policy.start(&plan);
    (plan, state)
}

/// Shows an epoch, of which frozen layers have no gradients; the decision.
fn show(state: &mut dyn FreezeState, epoch: u32, shown: &[Shown]) -> Vec<Change> {
    let frozen = |layer: usize, state: &dyn FreezeState| {
        state.frozen().get(layer).is_some_and(|spans| spans.is_frozen(epoch))
    };
    for step in 0..STEPS {
        for (layer, shown) in
            shown.iter().enumerate().filter(|(layer, _)| !frozen(*layer, &*state)).collect::<Vec<_>>()
        {
            let l1 = shown.l1[step as usize];
            let row =
                GradientRow { epoch, step, layer: layer as u16, l2: l1, l1, trained: true, nonzero: 36 };
            state.observe(&row);
        }
    }
    for (layer, shown) in shown.iter().enumerate() {
        let frozen = frozen(layer, &*state);
        let or_zero = |value: f64| if frozen { 0.0 } else { value };
        state.observe_layer(&LayerRow {
            epoch,
            layer: layer as u16,
            name: String::new(),
            weights: 36,
            nonzero: 36,
            frozen,
            gradient_sum_l1: or_zero(shown.sum_l1),
            gradient_sum_l2: or_zero(shown.sum_l2),
            weight_l2: 1.0,
            weight_change_l1: or_zero(shown.change),
        });
    }
    state.decide(epoch + 1)
}

/// By epoch and block the measure and the threshold that were compared.
pub(super) type Evidence = BTreeMap<(u32, u16), (f64, f64)>;

/// How many blocks of the front are frozen after each decision, and no others; and what was judged.
fn run(rule: impl FreezeRule + Clone, record: &[Vec<Shown>]) -> (Vec<usize>, Evidence) {
    let (frozen, judged) = run_anywhere(rule, record);
    assert!(frozen.iter().all(|frozen| frozen.count() == frozen.prefix()), "frozen blocks are a prefix");
    (frozen.iter().map(FrozenBlocks::prefix).collect(), judged)
}

/// Which blocks are frozen after each decision, and what was judged. Every state that is saved and restored
/// on the way goes on alike.
pub(super) fn run_anywhere(
    rule: impl FreezeRule + Clone,
    record: &[Vec<Shown>],
) -> (Vec<FrozenBlocks>, Evidence) {
    let (plan, mut state) = start(rule.clone());
    let (mut frozen, mut judged) = (Vec::new(), BTreeMap::new());
    for (epoch, shown) in (0..).zip(record) {
        let (_, mut restored) = start(rule.clone());
        restored.restore(state.frozen().to_vec(), &state.save(epoch)).unwrap();
        let changes = show(&mut *state, epoch, shown);
        assert_eq!(show(&mut *restored, epoch, shown), changes, "restored at {epoch}");
        assert_eq!(restored.evidence(), state.evidence(), "restored at {epoch}");
        for row in state.evidence() {
            let FreezeEvidenceRow { block, measure, threshold, budget_left, .. } = *row;
            assert_eq!(row.epoch, epoch);
            assert!((0.0..=1.0).contains(&budget_left), "{row:?}");
            assert!(judged.insert((epoch, block), (measure, threshold)).is_none(), "{row:?}");
        }
        frozen.push(crate::cost::frozen_blocks(state.frozen(), epoch + 1));
    }
    assert_eq!(plan.frozen.len(), BLOCKS);
    (frozen, judged)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn autofreeze_is_the_authors_program(
        record in records(), interval in 1..4_u32, percentile in 0.0..=100.0,
    ) {
        let (counts, judged) = run(AutoFreeze { interval, percentile }, &record);
        let (mut start, mut last, mut expected) = (0, None::<Vec<f64>>, Vec::new());
        let mut window = vec![0.0; BLOCKS];
        for (epoch, shown) in record.iter().enumerate() {
            for block in start..BLOCKS {
                window[block] += shown[block].sum_l1;
            }
            if (epoch as u32 + 1).is_multiple_of(interval) {
                let now = std::mem::replace(&mut window, vec![0.0; BLOCKS]);
                if let Some(last) = &last {
                    let ratio: Vec<f64> =
                        (0..BLOCKS).map(|block| (last[block] - now[block]).abs() / last[block]).collect();
                    // numpy.percentile of the layers that train.
                    let mut sorted = ratio[start..].to_vec();
                    sorted.sort_by(f64::total_cmp);
                    let place = percentile * (sorted.len() - 1) as f64 / 100.0;
                    let low = sorted[place as usize];
                    let high = sorted[(place as usize + 1).min(sorted.len() - 1)];
                    let threshold = low + (high - low) * (place - place.floor());
                    for block in start..BLOCKS {
                        let (measure, found) = judged[&(epoch as u32, block as u16)];
                        prop_assert!((measure - ratio[block]).abs() < 1e-12);
                        prop_assert!((found - threshold).abs() < 1e-9);
                    }
                    start = (start..BLOCKS).find(|block| ratio[*block] >= threshold).unwrap();
                }
                last = Some(now);
            }
            expected.push(start);
        }
        prop_assert_eq!(counts, expected);
    }

    #[test]
    fn pipetransformer_is_the_minimum_of_bound_and_place(record in records(), share in 0.0..=1.0) {
        let (counts, judged) = run(PipeTransformer { interval: 1, share }, &record);
        let mut frozen = 0;
        for (epoch, shown) in record.iter().enumerate() {
            let bound = (frozen as f64 + share * (BLOCKS - frozen) as f64).floor() as usize;
            let norms: Vec<f64> = shown.iter().take(BLOCKS).map(|shown| shown.sum_l2).collect();
            let place = (frozen..BLOCKS).min_by(|a, b| norms[*a].total_cmp(&norms[*b])).unwrap();
            prop_assert_eq!(judged[&(epoch as u32, place as u16)].1, norms[place]);
            frozen = bound.min(place);
            prop_assert_eq!(counts[epoch], frozen);
        }
    }

    #[test]
    fn effective_perturbation_is_apf_over_a_prefix(
        record in records(), threshold in 0.1..0.9, memory in 0.0..0.9,
    ) {
        let rule = EffectivePerturbation { interval: 1, threshold, smoothing: memory };
        let (counts, judged) = run(rule, &record);
        let mut e = [0.0; BLOCKS];
        let mut a = [0.0; BLOCKS];
        let mut period = [0_u32; BLOCKS];
        let mut until = [0_u32; BLOCKS];
        let (mut frozen, mut limit) = (0, threshold);
        for (epoch, shown) in (0_u32..).zip(&record) {
            for block in frozen..BLOCKS {
                e[block] = memory * e[block] + (1.0 - memory) * shown[block].sum_l1;
                let total: f64 = shown[block].l1.iter().map(|l1| f64::from(*l1)).sum();
                a[block] = memory * a[block] + (1.0 - memory) * total;
            }
            if let Some(thawed) = (0..frozen).find(|block| until[*block] <= epoch + 1) {
                frozen = thawed;
            } else {
                if frozen as f64 >= 0.8 * BLOCKS as f64 {
                    limit /= 2.0;
                }
                while frozen < BLOCKS {
                    let p = e[frozen] / a[frozen];
                    prop_assert_eq!(judged[&(epoch, frozen as u16)], (p, limit));
                    if p >= limit {
                        period[frozen] /= 2;
                        break;
                    }
                    period[frozen] += 1;
                    until[frozen] = epoch + 1 + period[frozen];
                    frozen += 1;
                }
            }
            prop_assert_eq!(counts[epoch as usize], frozen, "after epoch {}", epoch);
        }
    }
}

/// An epoch in which every layer shows the same.
fn same(sums: [f64; BLOCKS]) -> Vec<Shown> {
    let shown = |sum: f64| Shown { l1: vec![1.0; STEPS as usize], sum_l1: sum, sum_l2: sum, change: sum };
    sums.into_iter().chain([1.0]).map(shown).collect()
}

#[test]
fn autofreeze_by_hand_freezes_in_front_of_the_first_change_at_the_median() {
    // Changes 0.1, 0.2, 0.5, 0.0, 0.4: their median is 0.2, which block 1 reaches.
    let record = [same([1.0; BLOCKS]), same([1.1, 1.2, 1.5, 1.0, 1.4])];
    assert_eq!(run(AutoFreeze::default(), &record).0, [0, 1]);
    // Nothing changes at all: a threshold of 0 freezes nothing, and thaws nothing.
    let record = vec![same([1.0; BLOCKS]); 4];
    assert_eq!(run(AutoFreeze::default(), &record).0, [0; 4]);
}

#[test]
fn pipetransformer_by_hand_takes_a_third_of_what_trains_at_most() {
    // The least norm is at block 4: 5 / 3 blocks freeze, then 4 / 3, then 3 / 3, 2 / 3.
    let record = vec![same([5.0, 4.0, 3.0, 2.0, 1.0]); 5];
    assert_eq!(run(PipeTransformer::default(), &record).0, [1, 2, 3, 3, 3]);
    let record = vec![same([1.0, 4.0, 3.0, 2.0, 5.0]); 3];
    assert_eq!(run(PipeTransformer::default(), &record).0, [0; 3]);
}

#[test]
fn a_period_grows_by_one_whenever_a_block_is_stable_again() {
    // Of three steps of norm 1, the sum is 0.03 in block 0 and 3 in all others.
    let record = vec![same([0.03, 3.0, 3.0, 3.0, 3.0]); 10];
    let (counts, judged) = run(EffectivePerturbation::default(), &record);
    // Frozen for 1, thawed, judged an epoch later, frozen for 2, thawed, judged, frozen for 3.
    assert_eq!(counts, [1, 0, 1, 1, 0, 1, 1, 1, 0, 1]);
    let (measure, threshold) = judged[&(0, 0)];
    assert!((measure - 0.01).abs() < 1e-9 && threshold == 0.05);
}

#[test]
fn what_was_frozen_in_the_record_is_not_judged() {
    let (_, mut state) = start(AutoFreeze::default());
    for epoch in 0..4 {
        let row = |layer: u16| LayerRow {
            epoch,
            layer,
            name: String::new(),
            weights: 36,
            nonzero: 36,
            frozen: layer == 0,
            gradient_sum_l1: f64::from(layer),
            gradient_sum_l2: 0.0,
            weight_l2: 1.0,
            weight_change_l1: 0.0,
        };
        (0..6).for_each(|layer| state.observe_layer(&row(layer)));
        assert!(state.decide(epoch + 1).is_empty());
        assert!(state.evidence().iter().all(|row| row.block > 0));
    }
}
