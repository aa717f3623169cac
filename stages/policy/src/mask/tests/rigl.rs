//! `rigl` against its description over plain vectors of all weights.

use std::f64::consts::PI;
use std::sync::Arc;

use proptest::prelude::*;

use super::{MaskDelta, decide, perceptron, values};
use crate::mask::{MaskContext, MaskUpdate, Needs, Rigl, policy};
use crate::{Plan, Spans, example};

/// Drops the `count` least of the existing weights, then grows the `count` greatest gradients of all that is
/// not kept. Existing weights have a value, absent ones have none.
fn reference(weights: &[Option<f64>], gradients: &[f64], count: usize) -> (Vec<usize>, Vec<usize>) {
    let mut existing: Vec<usize> = (0..weights.len()).filter(|index| weights[*index].is_some()).collect();
    let magnitude = |index: usize| weights[index].unwrap().abs();
    existing.sort_by(|a, b| magnitude(*a).total_cmp(&magnitude(*b)).then(a.cmp(b)));
    let (dropped, kept) = existing.split_at(count);
    let mut others: Vec<usize> = (0..weights.len()).filter(|index| !kept.contains(index)).collect();
    others.sort_by(|a, b| gradients[*b].abs().total_cmp(&gradients[*a].abs()).then(a.cmp(b)));
    let (mut dropped, mut grown) = (dropped.to_vec(), others[..count].to_vec());
    dropped.sort_unstable();
    grown.sort_unstable();
    (dropped, grown)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn rigl_is_its_description(
        seed in any::<u64>(),
        epochs in 1u32..24,
        interval in 1u32..4,
        drop in prop_oneof![Just(0.0), Just(1.0), 0.0f64..1.0],
        until in 0.0f64..=1.0,
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.95],
        ties in 1u32..40,
    ) {
        let architecture = example::perceptron(&[12, 10, 4]);
        let context = MaskContext { seed, epochs, architecture };
        let rule = Rigl { sparsity, interval, drop, until, ..Rigl::default() };
        let policy = policy(rule, &context).unwrap();
        let never = Spans::never();
        let target = ((1.0 - sparsity) * 120.0).round() as usize;
        let mut weights = vec![None; 120];
        policy.initial(0, &never).into_iter().for_each(|index| weights[index as usize] = Some(0.0));
        for epoch in 0..epochs {
            let end = until * f64::from(epochs);
            let due = epoch > 0 && epoch.is_multiple_of(interval) && f64::from(epoch) < end;
            let needs = if due { Needs::DenseGradient } else { Needs::Nothing };
            prop_assert_eq!(policy.needs(0, epoch, &never), needs, "epoch {}", epoch);
            if due {
                // Few different values, so that most comparisons are ties.
                let all: Vec<u32> = (0..120).collect();
                let coarse = |salt: u64| -> Vec<f32> {
                    values(seed ^ salt, epoch, &all).iter().map(|value| value % ties as f32).collect()
                };
                let (trained, gradients) = (coarse(1), coarse(2));
                for (weight, value) in weights.iter_mut().zip(&trained) {
                    *weight = weight.map(|_: f64| f64::from(*value));
                }
                let exists = |index: &u32| weights[*index as usize].is_some();
                let indices: Vec<u32> = all.iter().copied().filter(exists).collect();
                let existing: Vec<f32> = indices.iter().map(|index| trained[*index as usize]).collect();
                let update = MaskUpdate {
                    moment: policy.moment(0, epoch, &never),
                    freezing: false,
                    seed,
                    indices: &indices,
                    values: &existing,
                    gradients: &existing,
                    dense_gradients: &gradients,
                    candidates: &[],
                    candidate_gradients: &[],
                    stored: &[],
                };
                let delta = decide(&*policy, &update);
                let share = drop / 2.0 * (1.0 + (PI * (f64::from(epoch) / end)).cos());
                let gradients: Vec<f64> = gradients.iter().map(|gradient| f64::from(*gradient)).collect();
                let (dropped, grown) = reference(&weights, &gradients, (share * target as f64) as usize);
                let list = |indices: &[usize]| -> Vec<u32> {
                    indices.iter().map(|index| *index as u32).collect()
                };
                prop_assert_eq!(&delta, &MaskDelta { dropped: list(&dropped), grown: list(&grown) });
                dropped.iter().for_each(|index| weights[*index] = None);
                grown.iter().for_each(|index| weights[*index] = Some(0.0));
            }
            prop_assert_eq!(weights.iter().flatten().count(), target, "epoch {}", epoch);
            prop_assert_eq!(policy.nonzero(0, epoch, &never) as usize, target);
        }
    }
}

/// One update of a layer of 4 · 5 weights, half of which exist, at epoch 2 of 16, in which a fifth is
/// dropped.
fn small(values: &[f32; 10], gradients: &[f32; 20]) -> MaskDelta {
    let context = MaskContext { seed: 1, epochs: 16, architecture: example::perceptron(&[4, 5, 5]) };
    // (1 + cos(π · 2 / 12)) / 2 = 0.933: 0.22 of this, of ten weights, is 2.05.
    let policy = policy(Rigl { sparsity: 0.5, drop: 0.22, ..Rigl::default() }, &context).unwrap();
    let indices: Vec<u32> = (0..20).step_by(2).collect();
    let update = super::update(&*policy, 0, 2, &indices, values);
    decide(&*policy, &MaskUpdate { dense_gradients: gradients, ..update })
}

#[test]
fn the_smallest_go_and_the_steepest_come_and_ties_go_by_index() {
    let values = [5.0, -0.5, 4.0, 0.5, 3.0, -0.5, 2.0, 9.0, 9.0, 9.0];
    let mut gradients = [0.0; 20];
    gradients[7] = -3.0;
    gradients[9] = 3.0;
    gradients[19] = 3.0;
    // What is kept is no candidate, however steep.
    gradients[0] = 100.0;
    assert_eq!(small(&values, &gradients), MaskDelta { dropped: vec![2, 6], grown: vec![7, 9] });
    // A weight that was just dropped grows again, and is in both lists.
    gradients[6] = -4.0;
    assert_eq!(small(&values, &gradients), MaskDelta { dropped: vec![2, 6], grown: vec![6, 7] });
    gradients[2] = 5.0;
    assert_eq!(small(&values, &gradients), MaskDelta { dropped: vec![2, 6], grown: vec![2, 6] });
    // Without any gradient the lowest indices of what is absent or was dropped.
    assert_eq!(small(&values, &[0.0; 20]), MaskDelta { dropped: vec![2, 6], grown: vec![1, 2] });
}

#[test]
fn the_share_falls_along_a_cosine() {
    let context = perceptron(16);
    let policy = policy(Rigl { interval: 1, drop: 0.25, ..Rigl::default() }, &context).unwrap();
    let indices = policy.initial(0, &Spans::never());
    let (values, gradients) = (vec![1.0; indices.len()], vec![1.0; 10_000]);
    let dropped = |epoch: u32| {
        let update = super::update(&*policy, 0, epoch, &indices, &values);
        decide(&*policy, &MaskUpdate { dense_gradients: &gradients, ..update }).dropped.len()
    };
    // A quarter of 1000 weights, without the part of one; the cosine ends at epoch 12: cos(π/3) = ½, cos(π/2)
    // = 0, cos(2π/3) = −½.
    assert_eq!([4, 6, 8].map(dropped), [187, 125, 62]);
    let counts: Vec<usize> = (1..12).map(dropped).collect();
    assert!(counts.windows(2).all(|pair| pair[1] < pair[0]), "{counts:?}");
}

#[test]
fn the_plan_bills_the_dense_gradients() {
    let context = perceptron(16);
    let masks = policy(Rigl { interval: 3, ..Rigl::default() }, &context).unwrap();
    let architecture = context.architecture;
    let context = crate::FreezeContext::new(16, Arc::clone(&architecture));
    let freezes = crate::freeze::policy(crate::freeze::Never {}, &context).unwrap();
    let context = crate::SieveContext { seed: 1, epochs: 16, samples: 100 };
    let sieves = crate::sieve::policy(crate::sieve::All {}, &context).unwrap();
    let plan = Plan::new(architecture, 16, 100, &masks, &*freezes, &*sieves).unwrap();
    // Updates at 3, 6 and 9, from the gradient of the last of five steps before; only the first layer is
    // masked.
    let extra = |epoch, frozen| plan.extra_flops(epoch, frozen, plan.nonzero(epoch), &[9, 9, 9, 9, 7]);
    let billed: Vec<u32> = (0..16).filter(|epoch| extra(*epoch, 0) > 0).collect();
    assert_eq!(billed, [2, 5, 8]);
    assert_eq!(extra(2, 0), 2 * 10_000 * 7);
    assert_eq!(extra(2, 1), 0, "a frozen layer has no gradient");
}
