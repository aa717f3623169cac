//! `synflow` against its description on a chain of linear layers.

use proptest::prelude::*;

use super::snip::context;
use super::untrained::{Chain, top};
use crate::mask::{SynFlow, policy};

/// Round by round the greatest of |w| · ∂R/∂|w| stay, the rest becomes 0.
fn reference(chain: &Chain, masked: &[usize], total: usize, rounds: u32) -> Vec<Vec<u32>> {
    let mut weights = chain.weights.clone();
    weights.iter_mut().flatten().for_each(|weight| *weight = weight.abs());
    let all = masked.iter().map(|layer| weights[*layer].len()).sum::<usize>() as f64;
    let mut masks = Vec::new();
    for round in 1..=rounds {
        let flow = chain.flow(&weights);
        let score = |(weight, flow): (&f64, &f64)| weight * flow;
        let scores: Vec<Vec<f64>> = (weights.iter().zip(&flow))
            .map(|(weights, flow)| weights.iter().zip(flow).map(score).collect())
            .collect();
        let density = total as f64 / all;
        let count = (all * density.powf(f64::from(round) / f64::from(rounds))).round() as usize;
        masks = top(&scores, masked, count.max(masked.len()));
        for layer in masked {
            let kept = |index: usize| masks[*layer].contains(&(index as u32));
            (0..weights[*layer].len())
                .filter(|index| !kept(*index))
                .for_each(|index| weights[*layer][index] = 0.0);
        }
    }
    masks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_weights_that_carry_most_flow_stay(
        seed in any::<u64>(),
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.95],
        rounds in 1u32..20,
        dense_last in any::<bool>(),
    ) {
        let sizes = [4, 6, 5, 3];
        let mut chain = Chain::whole(seed, &sizes);
        let rule = SynFlow { sparsity, rounds, dense_last, ..SynFlow::default() };
        let policy = policy(rule, &context(seed, &sizes)).unwrap();
        let masks = policy.choose(&mut chain).unwrap();
        let masked: Vec<usize> = (0..if dense_last { 2 } else { 3 }).collect();
        let counts = [24.0, 30.0, 15.0].map(|all| ((1.0 - sparsity) * all).round() as usize);
        let total = masked.iter().map(|layer| counts[*layer]).sum::<usize>();
        prop_assert_eq!(&masks, &reference(&chain, &masked, total, rounds));
        prop_assert_eq!(masks.iter().map(Vec::len).sum::<usize>(), total);
        prop_assert!(masked.iter().all(|layer| !masks[*layer].is_empty()));
        prop_assert_eq!(chain.asked.len() as u32, rounds);
        prop_assert_eq!(policy.samples_to_choose(&[32, 32]), u64::from(rounds), "an input of ones each");
    }
}

#[test]
fn many_rounds_keep_the_flow_where_one_round_cuts_it() {
    // The flow through each layer is the same, so that the many weights in the middle have the least each.
    let sizes = [4, 40, 40, 4];
    for seed in 0..10 {
        let chosen = |rounds: u32| {
            let mut chain = Chain::uneven(seed, &sizes);
            let rule = SynFlow { sparsity: 0.95, rounds, dense_last: false, ..SynFlow::default() };
            let masks = policy(rule, &context(seed, &sizes)).unwrap().choose(&mut chain).unwrap();
            let kept = |(weights, mask): (&Vec<f64>, &Vec<u32>)| -> Vec<f64> {
                (0u32..).zip(weights).map(|(at, w)| if mask.contains(&at) { w.abs() } else { 0.0 }).collect()
            };
            let weights: Vec<Vec<f64>> = chain.weights.iter().zip(&masks).map(kept).collect();
            (chain.flow_through(&weights), masks.iter().map(Vec::len).collect::<Vec<_>>())
        };
        let ((once, collapsed), (flow, masks)) = (chosen(1), chosen(100));
        assert_eq!((collapsed.iter().sum::<usize>(), masks.iter().sum::<usize>()), (96, 96));
        assert!(collapsed[1] <= 8, "one round prunes the middle nearly away: {collapsed:?}");
        assert!(masks[1] >= 30 && flow > 5.0 * once, "{masks:?} {collapsed:?}, {flow} {once}");
    }
}
