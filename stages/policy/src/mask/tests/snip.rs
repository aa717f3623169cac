//! `snip` against scores of a linear network in f64.

use proptest::prelude::*;

use super::untrained::{Chain, top};
use crate::example;
use crate::mask::{MaskContext, MaskDelta, MaskUpdate, Needs, Scope, Snip, policy};

pub(super) fn context(seed: u64, sizes: &[usize]) -> MaskContext {
    MaskContext { seed, epochs: 9, architecture: example::perceptron(sizes) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_weights_to_which_the_loss_is_most_sensitive_stay(
        seed in any::<u64>(),
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.95],
        batches in 1u32..3,
        dense_last in any::<bool>(),
        by_layer in any::<bool>(),
    ) {
        let sizes = [4, 6, 5, 3];
        let mut chain = Chain::whole(seed, &sizes);
        let scope = if by_layer { Scope::Layer } else { Scope::Global };
        let rule = Snip { sparsity, batches, scope, dense_last, ..Snip::default() };
        let policy = policy(rule, &context(seed, &sizes)).unwrap();
        let masks = policy.choose(&mut chain).unwrap();
        let gradients = chain.gradient(&chain.weights, batches);
        let score = |(weight, gradient): (&f64, &f64)| (weight * gradient).abs();
        let scores: Vec<Vec<f64>> = (chain.weights.iter().zip(&gradients))
            .map(|(weights, gradients)| weights.iter().zip(gradients).map(score).collect())
            .collect();
        let masked: Vec<usize> = (0..if dense_last { 2 } else { 3 }).collect();
        let counts = [24.0, 30.0, 15.0].map(|all| ((1.0 - sparsity) * all).round() as usize);
        let expected = if by_layer {
            let mut expected = vec![Vec::new(); 3];
            masked.iter().for_each(|layer| {
                expected[*layer] = top(&scores, &[*layer], counts[*layer]).swap_remove(*layer);
            });
            expected
        } else {
            top(&scores, &masked, masked.iter().map(|layer| counts[*layer]).sum())
        };
        prop_assert_eq!(&masks, &expected);
        prop_assert!(masked.iter().all(|layer| !masks[*layer].is_empty()));
        let total = masked.iter().map(|layer| masks[*layer].len()).sum::<usize>();
        prop_assert_eq!(total, masked.iter().map(|layer| counts[*layer]).sum::<usize>());
        prop_assert_eq!(chain.asked.len(), 1, "one dense gradient");
        prop_assert_eq!(chain.asked[0].1, batches);
    }
}

#[test]
fn the_mask_never_changes_and_the_first_batches_are_billed() {
    let context = context(1, &[4, 6, 5, 3]);
    let rule = policy(Snip { batches: 2, sparsity: 0.5, ..Snip::default() }, &context).unwrap();
    let never = crate::Spans::never();
    assert!((0..9).all(|epoch| rule.needs(0, epoch, &never) == Needs::Nothing));
    assert_eq!(rule.samples_to_choose(&[32, 31, 30]), 63);
    assert_eq!(rule.samples_to_choose(&[32]), 32, "there are no more batches");
    // Nor does it where a layer has more than its share and freezes.
    let mask: Vec<u32> = (0..20).collect();
    let values = [0.5; 20];
    assert_eq!(rule.target(0), 12);
    for freezing in [false, true] {
        let update = MaskUpdate { freezing, ..super::update(&*rule, 0, 2, &mask, &values) };
        assert_eq!(super::decide(&*rule, &update), MaskDelta::default());
    }
}

#[test]
fn units_are_ranked_within_layers_only() {
    let context = context(1, &[4, 6, 5, 3]);
    let granularity = || "block-2x1".to_owned();
    let refused = policy(Snip { granularity: granularity(), ..Snip::default() }, &context).err().unwrap();
    assert!(refused.to_string().contains("set `mask.scope` to `layer`"), "{refused}");
    let rule = Snip { granularity: granularity(), scope: Scope::Layer, sparsity: 0.5, ..Snip::default() };
    let masks = policy(rule, &context).unwrap().choose(&mut Chain::whole(1, &[4, 6, 5, 3])).unwrap();
    // Outputs go in pairs: index and index + 4 of a layer of 4 inputs.
    let (even, odd): (Vec<u32>, Vec<u32>) = masks[0].iter().partition(|index| *index / 4 % 2 == 0);
    assert_eq!(even.iter().map(|index| index + 4).collect::<Vec<_>>(), odd);
    assert_eq!(masks[0].len(), 12);
}
