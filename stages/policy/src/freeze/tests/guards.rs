//! The guards of `gradient-norm`: scale, cap, floor, thaws; by hand.

use spfde_data::rows::GradientRow;

use super::gradient_norm::rule;
use super::plan_with;
use crate::freeze::{self, Change, FreezeState, GradientNorm, NormScale};
use crate::{Cosine, LearningRate, Plan, Spans};

/// Five blocks of one layer each: an epoch costs 6 + 11 units, and 2 less for each frozen block.
const SIZES: [usize; 7] = [6, 6, 6, 6, 6, 6, 6];

fn start(rule: GradientNorm) -> (Plan, Box<dyn FreezeState>) {
    let (plan, policy) = plan_with(&SIZES, "dense", 1, |context| freeze::policy(rule, context).unwrap());
    let state = policy.start(&plan);
    (plan, state)
}

/// Shows an epoch with these norms; the decision.
fn show(state: &mut dyn FreezeState, epoch: u32, norms: [f64; 6]) -> Vec<Change> {
    for (step, (layer, norm)) in (0..4).flat_map(|step| (0..).zip(norms).map(move |layer| (step, layer))) {
        let l2 = norm as f32;
        state.observe(&GradientRow { epoch, step, layer, l2, l1: l2, trained: true, nonzero: 36 });
    }
    state.decide(epoch + 1)
}

/// The blocks that freeze (+) or thaw (−), counted from 1, after each epoch.
fn changes(rule: GradientNorm, norms: impl Fn(u32) -> [f64; 6]) -> Vec<Vec<i32>> {
    let (_, mut state) = start(rule);
    let number = |change: &Change| (change.block as i32 + 1) * if change.frozen { 1 } else { -1 };
    (0..11).map(|epoch| show(&mut *state, epoch, norms(epoch)).iter().map(number).collect()).collect()
}

#[test]
fn as_many_blocks_freeze_at_a_time_as_the_cap_allows() {
    let expect = |first: &[&[i32]]| {
        let mut all: Vec<Vec<i32>> = first.iter().map(|blocks| blocks.to_vec()).collect();
        all.resize(11, Vec::new());
        all
    };
    let settled = |_| [1.0; 6];
    let all = GradientNorm { cap: 9, ..rule() };
    assert_eq!(changes(all, settled), expect(&[&[], &[], &[1, 2, 3, 4, 5]]));
    let two = GradientNorm { cap: 2, ..rule() };
    assert_eq!(changes(two.clone(), settled), expect(&[&[], &[], &[1, 2], &[3, 4], &[5]]));
    // A block that has not settled keeps those behind it.
    let restless = |epoch: u32| [1.0, f64::from(epoch), 1.0, 1.0, 1.0, 1.0];
    assert_eq!(changes(two, restless), expect(&[&[], &[], &[1]]));
}

#[test]
fn blocks_freeze_unsettled_when_the_floor_calls_for_it_and_no_earlier() {
    // Twelve epochs of 17 units. A block frozen at epoch e saves 2 · (12 − e): the blocks at e, e + 1 … save
    // 2 · (Σ (12 − e − i)). A floor of 0.25 · 204 = 51 units: 2 · (8 + 7 + 6 + 5 + 4) = 60 from epoch 4,
    // 2 · (7 + 6 + 5 + 4 + 3) = 50 from epoch 5. With the first block frozen the others can wait for an
    // epoch: 2 · (8 + 6 + 5 + 4 + 3) = 52.
    let rule = || GradientNorm { flops_reduction: 0.5, floor: 0.5, ..rule() };
    let restless = |epoch: u32| [f64::from(epoch); 6];
    let found = changes(rule(), restless);
    let expected: [&[i32]; 11] = [&[], &[], &[], &[1], &[], &[2], &[3], &[4], &[5], &[], &[]];
    assert_eq!(found, expected.map(<[i32]>::to_vec));
    let (plan, mut state) = start(rule());
    let reasons: Vec<String> = (0..11)
        .flat_map(|epoch| show(&mut *state, epoch, restless(epoch)).into_iter().map(|change| change.reason))
        .collect();
    assert!(reasons.iter().all(|reason| reason.starts_with("not settled")), "{reasons:?}");
    assert!(plan.cost_of(state.frozen()).reduction_from(&plan.unfrozen_cost) >= 0.25);
    // Two at a time can wait longer: 2 · (2 · 6 + 2 · 5 + 4) = 52 from epoch 6.
    let found = changes(GradientNorm { cap: 2, ..rule() }, restless);
    let expected: [&[i32]; 11] = [&[], &[], &[], &[], &[], &[1, 2], &[3, 4], &[5], &[], &[], &[]];
    assert_eq!(found, expected.map(<[i32]>::to_vec));
}

#[test]
fn a_floor_that_cannot_be_reached_calls_for_nothing() {
    // A block frozen in each epoch from 1 on: 2 · (11 + 10 + 9 + 8 + 7) = 90 units of 204.
    let rule = |floor| GradientNorm { flops_reduction: 0.9, floor, ..rule() };
    let restless = |epoch: u32| [f64::from(epoch); 6];
    assert!(changes(rule(0.5), restless).iter().all(Vec::is_empty), "0.45 of 204 are more");
    assert_eq!(changes(rule(0.48), restless)[0], [1]);
}

#[test]
fn scaled_by_the_learning_rate_a_norm_that_rises_as_it_falls_has_settled() {
    // The norm of block 0 is that of the middle of each epoch, over the cosine's: their product is constant.
    let rate = |epoch: u32| Cosine.rate(1.0, epoch, 1, 2, 12);
    let norms = |epoch: u32| [1.0 / rate(epoch), 1.0, 1.0, 1.0, 1.0, 1.0];
    let rule = |scale| GradientNorm { scale, threshold: 0.0001, ..rule() };
    let first = |scale| changes(rule(scale), norms).iter().position(|changes| changes.contains(&1));
    assert_eq!((first(NormScale::Update), first(NormScale::Weights)), (Some(2), None));
    // The evidence is the change that was compared.
    let (_, mut state) = start(rule(NormScale::Update));
    show(&mut *state, 0, [1.0; 6]);
    assert!(state.evidence().is_empty(), "nothing to compare");
    show(&mut *state, 1, [1.0; 6]);
    let [row] = state.evidence() else { panic!("one block is judged") };
    assert_eq!((row.epoch, row.block, row.window, row.threshold), (1, 0, 1, 0.0001));
    assert!((row.measure - (1.0 - rate(1) / rate(0))).abs() < 1e-12, "{row:?}");
    assert_eq!(row.budget_left, 0.9);
}

#[test]
fn a_block_thaws_when_the_rate_has_fallen_unless_too_little_would_be_saved() {
    let settled = |_| [1.0; 6];
    let thawing = || GradientNorm { thaw_rate: 0.3, threshold: 0.01, ..rule() };
    // Frozen at epochs 3 to 7, with rates 0.85, 0.75, 0.63, 0.5, 0.37: at epoch 9 (0.15) and 10 (0.067) the
    // last is to thaw; the rate has fallen to 0.15 / 0.37 = 0.4 at 9, to 0.067 / 0.37 = 0.18 at 10.
    let found = changes(thawing(), settled);
    let expected: [&[i32]; 11] = [&[], &[], &[1], &[2], &[3], &[4], &[5], &[], &[], &[-5], &[-4]];
    assert_eq!(found, expected.map(<[i32]>::to_vec));
    // 2 · (9 + 8 + 7 + 6 + 5) = 70 of 204 units are saved, without the last thaws 2 · (… + 3) = 66 and 62.
    let found = changes(GradientNorm { flops_reduction: 0.5, floor: 0.68, ..thawing() }, settled);
    assert!(found[9].is_empty() && found[10].is_empty(), "{found:?}");
}

#[test]
fn the_last_frozen_block_thaws_when_the_last_block_of_all_rises() {
    let norms = |epoch: u32| [1.0, 1.0, 1.0, 1.0, if epoch < 5 { 1.0 } else { 2.0 }, 1.0];
    let found = changes(GradientNorm { thaw_rise: 0.9, ..rule() }, norms);
    // Blocks 1 to 3 freeze in epochs 3 to 5; the norm doubles in epoch 5, and stays so.
    assert_eq!(found[..6], [vec![], vec![], vec![1], vec![2], vec![3], vec![-3]]);
    let found = changes(GradientNorm { thaw_rise: 1.1, ..rule() }, norms);
    assert!(found.iter().flatten().all(|change| *change > 0), "{found:?}");
}

#[test]
fn defaults_keep_both_bounds() {
    for seed in 0..20_u32 {
        let noise =
            |epoch: u32, block: u32| 1.0 + f64::from((seed * 31 + epoch * 17 + block * 7) % 13) / 10.0;
        let (plan, mut state) = start(GradientNorm::default());
        for epoch in 0..11 {
            show(&mut *state, epoch, std::array::from_fn(|block| noise(epoch, block as u32)));
        }
        let saved = plan.cost_of(state.frozen()).reduction_from(&plan.unfrozen_cost);
        assert!((0.12..=0.15).contains(&saved), "{seed}: {saved}");
        assert!(state.frozen().iter().any(|spans| *spans != Spans::never()));
    }
}
