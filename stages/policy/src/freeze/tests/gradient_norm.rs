//! Judgements by hand: windows of one or two epochs with four steps each.

use std::sync::Arc;

use spfde_data::parameter::{Parameters, Value};
use spfde_data::rows::{GradientRow, MaskRow};

use crate::freeze::{self, Freeze, FreezeContext, FreezeState, Remembered};
use crate::{MaskContext, Plan, SieveContext, example, mask, sieve};

const STEPS: u32 = 4;

fn start(mask: &str, mask_interval: u32, changes: &[(&str, f64)]) -> (Plan, Box<dyn FreezeState>) {
    let (seed, epochs, samples) = (1, 12, 100);
    let architecture = example::perceptron(&[10, 10, 10, 10]);
    let entry = mask::registry().iter().find(|entry| entry.name == mask).unwrap();
    let context = MaskContext { seed, epochs, architecture: Arc::clone(&architecture) };
    let masks = mask::build(mask, &Parameters::defaults(&(entry.parameters)()), &context).ok().unwrap();
    let sieves =
        sieve::build("none", &Parameters::default(), &SieveContext { seed, epochs, samples }).ok().unwrap();
    let entry = freeze::registry().iter().find(|entry| entry.name == "gradient-norm").unwrap();
    let known = (entry.parameters)();
    let defaults =
        Parameters::defaults(&known).with(&known, "freeze.flops_reduction", Value::Number(0.9)).unwrap();
    let parameters = changes.iter().fold(defaults, |parameters, (key, value)| {
        let integer = *key == "freeze.patience";
        let value = if integer { Value::Integer(*value as i64) } else { Value::Number(*value) };
        parameters.with(&known, key, value).unwrap()
    });
    let context = FreezeContext {
        epochs,
        architecture: Arc::clone(&architecture),
        mask_interval,
        reduction_required: true,
    };
    let freezes = freeze::build("gradient-norm", &parameters, &context).ok().unwrap();
    let plan = Plan::new(architecture, epochs, samples, &*masks, &*freezes, &*sieves).unwrap();
    assert_eq!(plan.frozen_at, [None, None], "nothing is known before training");
    let state = freezes.start(&plan);
    (plan, state)
}

/// One epoch in which layer `l` shows the norm `norms[l]`, ten times as much at the first step.
fn epoch(state: &mut dyn FreezeState, epoch: u32, norms: &[f32]) -> Vec<usize> {
    epoch_with(state, epoch, norms, 10.0)
}

fn epoch_with(state: &mut dyn FreezeState, epoch: u32, norms: &[f32], shock: f32) -> Vec<usize> {
    for step in 0..STEPS {
        for (layer, norm) in norms.iter().enumerate() {
            let l2 = if step == 0 { shock * norm } else { *norm };
            state.observe(&GradientRow { epoch, step, layer: layer as u16, l2, l1: l2, trained: true });
        }
    }
    state.decide(epoch + 1).iter().map(|freeze| freeze.block).collect()
}

#[test]
fn the_first_block_freezes_after_two_settled_windows_and_the_next_one_window_later() {
    let (_, mut state) = start("dense", 1, &[]);
    // Changes of block 0: 20 %, 4 %, 4 %; block 1 does not change at all, and still waits its turn.
    let norms = [1.0, 1.2, 1.2 * 1.04, 1.2 * 1.04 * 1.04, 1.3];
    let frozen: Vec<Vec<usize>> =
        norms.iter().zip(0..).map(|(norm, at)| epoch(&mut *state, at, &[*norm, 2.0, 1.0])).collect();
    assert_eq!(frozen, [vec![], vec![], vec![], vec![0], vec![1]]);
    assert_eq!(epoch(&mut *state, 5, &[1.0, 2.0, 1.0]), [0; 0], "the classifier never freezes");
}

#[test]
fn an_unsettled_window_starts_the_count_anew() {
    let (_, mut state) = start("dense", 1, &[]);
    let norms = [1.0, 1.0, 1.06, 1.06, 1.06, 1.06];
    let frozen: Vec<Vec<usize>> =
        norms.iter().zip(0..).map(|(norm, at)| epoch(&mut *state, at, &[*norm, at as f32, 1.0])).collect();
    assert_eq!(frozen, [vec![], vec![], vec![], vec![], vec![0], vec![]]);
}

#[test]
fn the_shock_of_a_mask_update_is_left_out_and_more_than_that_is_not() {
    // ⌈4/4⌉ = 1 step is left out, and one of a share that is less than a step. With no grace the same shock, absent from one window, is a change.
    for (grace, expected) in [(0.25, vec![0]), (0.01, vec![0]), (0.0, vec![])] {
        let (_, mut state) = start("dense", 1, &[("freeze.grace", grace)]);
        assert_eq!(epoch_with(&mut *state, 0, &[1.0, 1.0, 1.0], 10.0), [0; 0]);
        assert_eq!(epoch_with(&mut *state, 1, &[1.0, 1.0, 1.0], 10.0), [0; 0]);
        assert_eq!(epoch_with(&mut *state, 2, &[1.0, 1.0, 1.0], 1.0), expected);
    }
    // Whatever the grace, a window's last step counts.
    let (_, mut state) = start("dense", 1, &[("freeze.grace", 0.99), ("freeze.patience", 1.0)]);
    assert_eq!(epoch(&mut *state, 0, &[1.0, 1.0, 1.0]), [0; 0]);
    assert_eq!(epoch(&mut *state, 1, &[1.0, 1.0, 1.0]), [0]);
}

#[test]
fn windows_are_as_long_as_the_mask_interval() {
    let (_, mut state) = start("dense", 3, &[]);
    let frozen: Vec<u32> =
        (0..11).filter(|at| !epoch(&mut *state, *at, &[1.0, 1.0, 1.0]).is_empty()).collect();
    // Windows end with epochs 2, 5, 8: the third is the second settled one. Block 1 would be judged at epoch 12.
    assert_eq!(frozen, [8]);
}

#[test]
fn norms_are_compared_per_existing_weight() {
    let (plan, mut state) = start("static", 1, &[("freeze.threshold", 0.01)]);
    assert_eq!(plan.masked, [true, true, false]);
    let delta = |state: &mut dyn FreezeState, epoch, indices: std::ops::Range<u32>, diff| {
        for (index, layer) in indices.flat_map(|index| [(index, 0), (index, 1)]) {
            state.mask(&MaskRow { epoch, step: 0, layer, index, diff });
        }
    };
    // Norm 2 over 4 weights, 3 over 9, 4 over 16: always 1 per weight.
    delta(&mut *state, 0, 0..4, 1);
    assert_eq!(epoch(&mut *state, 0, &[2.0, 2.0, 1.0]), [0; 0]);
    delta(&mut *state, 1, 4..9, 1);
    assert_eq!(epoch(&mut *state, 1, &[3.0, 3.0, 1.0]), [0; 0]);
    delta(&mut *state, 2, 9..18, 1);
    delta(&mut *state, 2, 0..2, -1);
    let l2 = [4.0, 4.0, 1.0];
    assert_eq!(epoch(&mut *state, 2, &l2), [0]);
}

#[test]
fn a_freeze_that_would_save_too_much_waits_until_it_saves_less() {
    // Over equal layers an epoch costs 3 + 5 units, with block 0 frozen 3 + 3: from epoch e on this saves
    // 2 (12 − e) of 96, at most a tenth from e = 8 on (8 / 96 = 0.083, 10 / 96 = 0.104).
    let (plan, mut state) = start("dense", 1, &[("freeze.flops_reduction", 0.1)]);
    let unfrozen = plan.unfrozen_cost.total();
    assert_eq!(plan.cost_of(&[Some(8), None]).total(), unfrozen / 96 * 88);
    let frozen: Vec<u32> =
        (1..12).filter(|at| epoch(&mut *state, at - 1, &[1.0, 1.0, 1.0]).contains(&0)).collect();
    assert_eq!(frozen, [8]);
    // Exactly as much is not too much.
    let (_, mut exact) = start("dense", 1, &[("freeze.flops_reduction", 8.0 / 96.0)]);
    let frozen: Vec<u32> =
        (1..12).filter(|at| epoch(&mut *exact, at - 1, &[1.0, 1.0, 1.0]).contains(&0)).collect();
    assert_eq!(frozen, [8]);
    let (_, mut never) = start("dense", 1, &[("freeze.flops_reduction", 0.0)]);
    assert!((0..11).all(|at| epoch(&mut *never, at, &[1.0, 1.0, 1.0]).is_empty()));
}

#[test]
fn missing_infinite_and_undefined_norms_settle_nothing() {
    for norm in [f32::NAN, f32::INFINITY] {
        let (_, mut state) = start("dense", 1, &[]);
        assert!((0..11).all(|at| epoch(&mut *state, at, &[norm, 1.0, 1.0]).is_empty()), "{norm}");
    }
    let (_, mut state) = start("dense", 1, &[]);
    assert!((1..12).all(|at| state.decide(at).is_empty()), "nothing was observed");
    let (_, mut state) = start("dense", 1, &[]);
    let frozen: Vec<u32> = (0..11).filter(|at| epoch(&mut *state, *at, &[0.0, 1.0, 1.0]) == [0]).collect();
    assert_eq!(frozen, [2], "a gradient that stays zero has settled");
}

#[test]
fn the_reason_names_what_was_seen() {
    let (_, mut state) = start("dense", 1, &[]);
    for at in 0..2 {
        epoch(&mut *state, at, &[1.0, 1.0, 1.0]);
    }
    for step in 0..STEPS {
        state.observe(&GradientRow { epoch: 2, step, layer: 0, l2: 1.03125, l1: 1.0, trained: true });
    }
    let reason = "mean gradient norm settled in 2 windows in a row, last change 0.0312 below 0.05".to_owned();
    assert_eq!(state.decide(3), [Freeze { block: 0, reason }]);
}

#[test]
fn a_state_that_was_saved_goes_on_like_the_one_that_was_not() {
    // Windows of three epochs, so that most cuts lie within one.
    let start = || start("dense", 3, &[("freeze.threshold", 0.3), ("freeze.patience", 1.0)]).1;
    let norms = |at: u32| [1.0 + 0.01 * at as f32, 2.0 - 0.1 * at as f32, 1.0];
    let show = |state: &mut dyn FreezeState, at: u32| {
        state.mask(&MaskRow { epoch: at, step: 0, layer: 1, index: at, diff: -1 });
        epoch(state, at, &norms(at))
    };
    for cut in 1..12 {
        let mut state = start();
        (0..cut).for_each(|at| drop(show(&mut *state, at)));
        let saved = state.save().unwrap();
        let mut restored = start();
        restored.restore(&saved).unwrap();
        assert_eq!(restored.save().unwrap(), saved, "{cut}");
        for at in cut..12 {
            assert_eq!(show(&mut *state, at), show(&mut *restored, at), "cut at {cut}, epoch {at}");
            assert_eq!(state.save(), restored.save(), "cut at {cut}, epoch {at}");
        }
    }
    let mut state = start();
    let frozen: Vec<usize> = (0..12).flat_map(|at| show(&mut *state, at)).collect();
    assert!(!frozen.is_empty(), "it decides");
}

#[test]
fn a_state_that_does_not_fit_is_refused_in_words() {
    let remembered = |block, what: &str| Remembered { block, what: what.into(), tick: (1, 2), value: 3.0 };
    for (wrong, message) in [
        (remembered(2, "change"), "block is 2; the network has 2, from 0"),
        (remembered(0, "mood"), "`mood` is nothing that gradient-norm remembers"),
        (remembered(1, "step_squares"), "`step_squares` of step (1, 2) has no `step_nonzero` before it"),
    ] {
        let (_, mut state) = start("dense", 1, &[]);
        assert_eq!(state.restore(&[wrong]).unwrap_err(), message);
    }
}
