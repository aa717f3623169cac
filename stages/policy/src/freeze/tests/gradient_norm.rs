//! Judgements by hand: windows of one or two epochs with four steps each.

use spfde_data::rows::GradientRow;
use spfde_data::table::Cells;

use crate::freeze::{Change, FreezeState, GradientNorm, NormScale};
use crate::{Plan, Spans};

const STEPS: u32 = 4;

/// A rule that may save nearly everything, without the guards of later versions.
pub(super) fn rule() -> GradientNorm {
    let scale = NormScale::Weights;
    let (flops_reduction, cap, floor, thaw_rate, thaw_rise) = (0.9, 1, 0.0, 0.0, 0.0);
    GradientNorm { flops_reduction, scale, cap, floor, thaw_rate, thaw_rise, ..GradientNorm::default() }
}

fn start(mask_interval: u32, rule: GradientNorm) -> (Plan, Box<dyn FreezeState>) {
    let (plan, freezes) = super::plan("dense", mask_interval, rule);
    assert_eq!(plan.frozen, vec![Spans::never(); 2], "nothing is known before training");
    let state = freezes.start(&plan);
    (plan, state)
}

fn row(epoch: u32, step: u32, layer: usize, l2: f32, nonzero: u32) -> GradientRow {
    GradientRow { epoch, step, layer: layer as u16, l2, l1: l2, trained: true, nonzero }
}

/// One epoch in which layer `l` shows the norm `norms[l]`, ten times as much at the first step.
fn epoch(state: &mut dyn FreezeState, epoch: u32, norms: &[f32]) -> Vec<usize> {
    epoch_with(state, epoch, norms, 10.0, 100)
}

/// The same with another first step, and with `nonzero` weights in each layer.
fn epoch_with(
    state: &mut dyn FreezeState,
    epoch: u32,
    norms: &[f32],
    shock: f32,
    nonzero: u32,
) -> Vec<usize> {
    for step in 0..STEPS {
        for (layer, norm) in norms.iter().enumerate() {
            let l2 = if step == 0 { shock * norm } else { *norm };
            state.observe(&row(epoch, step, layer, l2, nonzero));
        }
    }
    let changes = state.decide(epoch + 1);
    assert!(changes.iter().all(|change| change.frozen), "it does not thaw");
    changes.iter().map(|change| change.block).collect()
}

#[test]
fn the_first_block_freezes_after_two_settled_windows_and_the_next_one_window_later() {
    let (_, mut state) = start(1, rule());
    // Changes of block 0: 20 %, 4 %, 4 %; block 1 does not change at all, and still waits its turn.
    let norms = [1.0, 1.2, 1.2 * 1.04, 1.2 * 1.04 * 1.04, 1.3];
    let frozen: Vec<Vec<usize>> =
        norms.iter().zip(0..).map(|(norm, at)| epoch(&mut *state, at, &[*norm, 2.0, 1.0])).collect();
    assert_eq!(frozen, [vec![], vec![], vec![], vec![0], vec![1]]);
    assert_eq!(epoch(&mut *state, 5, &[1.0, 2.0, 1.0]), [0; 0], "the classifier never freezes");
}

#[test]
fn an_unsettled_window_starts_the_count_anew() {
    let (_, mut state) = start(1, rule());
    let norms = [1.0, 1.0, 1.06, 1.06, 1.06, 1.06];
    let frozen: Vec<Vec<usize>> =
        norms.iter().zip(0..).map(|(norm, at)| epoch(&mut *state, at, &[*norm, at as f32, 1.0])).collect();
    assert_eq!(frozen, [vec![], vec![], vec![], vec![], vec![0], vec![]]);
}

#[test]
fn the_shock_of_a_mask_update_is_left_out_and_more_than_that_is_not() {
    // ⌈4/4⌉ = 1 step is left out, and one of a share that is less than a step. With no grace the same shock,
    // absent from one window, is a change.
    for (grace, expected) in [(0.25, vec![0]), (0.01, vec![0]), (0.0, vec![])] {
        let (_, mut state) = start(1, GradientNorm { grace, ..rule() });
        assert_eq!(epoch_with(&mut *state, 0, &[1.0, 1.0, 1.0], 10.0, 100), [0; 0]);
        assert_eq!(epoch_with(&mut *state, 1, &[1.0, 1.0, 1.0], 10.0, 100), [0; 0]);
        assert_eq!(epoch_with(&mut *state, 2, &[1.0, 1.0, 1.0], 1.0, 100), expected);
    }
    // Whatever the grace, a window's last step counts.
    let (_, mut state) = start(1, GradientNorm { grace: 0.99, patience: 1, ..rule() });
    assert_eq!(epoch(&mut *state, 0, &[1.0, 1.0, 1.0]), [0; 0]);
    assert_eq!(epoch(&mut *state, 1, &[1.0, 1.0, 1.0]), [0]);
}

#[test]
fn windows_are_as_long_as_the_mask_interval() {
    let (_, mut state) = start(3, rule());
    let frozen: Vec<u32> =
        (0..11).filter(|at| !epoch(&mut *state, *at, &[1.0, 1.0, 1.0]).is_empty()).collect();
    // Windows end with epochs 2, 5, 8: the third is the second settled one. Block 1 would be judged at epoch
    // 12.
    assert_eq!(frozen, [8]);
}

#[test]
fn norms_are_compared_per_existing_weight() {
    let (_, mut state) = start(1, GradientNorm { threshold: 0.01, ..rule() });
    // Norm 2 over 4 weights, 3 over 9, 4 over 16: always 1 per weight.
    assert_eq!(epoch_with(&mut *state, 0, &[2.0, 2.0, 1.0], 10.0, 4), [0; 0]);
    assert_eq!(epoch_with(&mut *state, 1, &[3.0, 3.0, 1.0], 10.0, 9), [0; 0]);
    assert_eq!(epoch_with(&mut *state, 2, &[4.0, 4.0, 1.0], 10.0, 16), [0]);
    // The same norms over equally many weights have not settled.
    let (_, mut state) = start(1, GradientNorm { threshold: 0.01, ..rule() });
    let frozen = [2.0, 3.0, 4.0].iter().zip(0..).map(|(norm, at)| epoch(&mut *state, at, &[*norm, 1.0, 1.0]));
    assert!(frozen.flatten().next().is_none());
}

#[test]
fn a_freeze_that_would_save_too_much_waits_until_it_saves_less() {
    // Over equal layers an epoch costs 3 + 5 units, with block 0 frozen 3 + 3: from epoch e on this saves
    // 2 (12 − e) of 96, at most a tenth from e = 8 on (8 / 96 = 0.083, 10 / 96 = 0.104).
    let (plan, mut state) = start(1, GradientNorm { flops_reduction: 0.1, ..rule() });
    let unfrozen = plan.unfrozen_cost.total();
    assert_eq!(plan.cost_of(&[Spans::from(8), Spans::never()]).total(), unfrozen / 96 * 88);
    let frozen: Vec<u32> =
        (1..12).filter(|at| epoch(&mut *state, at - 1, &[1.0, 1.0, 1.0]).contains(&0)).collect();
    assert_eq!(frozen, [8]);
    // Exactly as much is not too much.
    let (_, mut exact) = start(1, GradientNorm { flops_reduction: 8.0 / 96.0, ..rule() });
    let frozen: Vec<u32> =
        (1..12).filter(|at| epoch(&mut *exact, at - 1, &[1.0, 1.0, 1.0]).contains(&0)).collect();
    assert_eq!(frozen, [8]);
    let (_, mut never) = start(1, GradientNorm { flops_reduction: 0.0, ..rule() });
    assert!((0..11).all(|at| epoch(&mut *never, at, &[1.0, 1.0, 1.0]).is_empty()));
}

#[test]
fn missing_infinite_and_undefined_norms_settle_nothing() {
    for norm in [f32::NAN, f32::INFINITY] {
        let (_, mut state) = start(1, rule());
        assert!((0..11).all(|at| epoch(&mut *state, at, &[norm, 1.0, 1.0]).is_empty()), "{norm}");
    }
    let (_, mut state) = start(1, rule());
    assert!((1..12).all(|at| state.decide(at).is_empty()), "nothing was observed");
    let (_, mut state) = start(1, rule());
    let frozen: Vec<u32> = (0..11).filter(|at| epoch(&mut *state, *at, &[0.0, 1.0, 1.0]) == [0]).collect();
    assert_eq!(frozen, [2], "a gradient that stays zero has settled");
}

#[test]
fn the_reason_names_what_was_seen() {
    let (_, mut state) = start(1, rule());
    for at in 0..2 {
        epoch(&mut *state, at, &[1.0, 1.0, 1.0]);
    }
    for step in 0..STEPS {
        state.observe(&row(2, step, 0, 1.03125, 100));
    }
    let reason = "mean gradient norm settled in 2 windows in a row, last change 0.0312 below 0.05".to_owned();
    assert_eq!(state.decide(3), [Change { block: 0, frozen: true, reason }]);
}

#[test]
fn a_state_that_was_saved_goes_on_like_the_one_that_was_not() {
    // Windows of three epochs, so that most cuts lie within one.
    let start = || start(3, GradientNorm { threshold: 0.3, patience: 1, ..rule() }).1;
    let norms = |at: u32| [1.0 + 0.01 * at as f32, 2.0 - 0.1 * at as f32, 1.0];
    let show = |state: &mut dyn FreezeState, at: u32| {
        let nonzero = 100 - at;
        epoch_with(state, at, &norms(at), 10.0, nonzero)
    };
    for cut in 1..12 {
        let mut state = start();
        (0..cut).for_each(|at| drop(show(&mut *state, at)));
        let saved = state.save(cut);
        let mut restored = start();
        restored.restore(state.frozen().to_vec(), &saved).unwrap();
        assert_eq!(restored.save(cut), saved, "{cut}");
        for at in cut..12 {
            assert_eq!(show(&mut *state, at), show(&mut *restored, at), "cut at {cut}, epoch {at}");
            assert_eq!(state.save(at), restored.save(at), "cut at {cut}, epoch {at}");
            assert_eq!(state.frozen(), restored.frozen(), "cut at {cut}, epoch {at}");
        }
    }
    let mut state = start();
    let frozen: Vec<usize> = (0..12).flat_map(|at| show(&mut *state, at)).collect();
    assert!(!frozen.is_empty(), "it decides");
}

#[test]
fn a_state_that_does_not_fit_is_refused_in_words() {
    let (_, mut state) = start(1, rule());
    epoch(&mut *state, 0, &[1.0, 1.0, 1.0]);
    let saved = state.save(1);
    let mut wrong = saved.clone();
    let blocks = vec![2; wrong.rows];
    wrong.cells[1] = Cells::U32(blocks);
    let refused = state.restore(vec![Spans::never(); 2], &wrong).unwrap_err();
    assert_eq!(refused, "block is 2; the network has 2, from 0");
    let refused = state.restore(vec![Spans::never(); 3], &saved).unwrap_err();
    assert_eq!(refused, "3 blocks; the network has 2");
}
