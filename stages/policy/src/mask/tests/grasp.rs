//! `grasp` against the exact product of the Hessian and the gradient of a linear network.

use proptest::prelude::*;

use super::snip::context;
use super::untrained::{Chain, narrow, widen};
use crate::mask::{Grasp, Scope, policy};

const SIZES: [usize; 4] = [4, 6, 5, 3];

fn norm(layers: &[Vec<f64>]) -> f64 {
    layers.iter().flatten().map(|value| value * value).sum::<f64>().sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_weights_that_preserve_the_gradient_stay(
        seed in any::<u64>(),
        sparsity in 0.0f64..0.95,
        batches in 1u32..3,
        by_layer in any::<bool>(),
    ) {
        let mut chain = Chain::uneven(seed, &SIZES);
        let scope = if by_layer { Scope::Layer } else { Scope::Global };
        let rule = Grasp { sparsity, batches, scope, dense_last: false, ..Grasp::default() };
        let policy = policy(rule, &context(seed, &SIZES)).unwrap();
        let masks = policy.choose(&mut chain).unwrap();

        // Three gradients: at the weights, and a hundredth of their length ahead and behind.
        let gradient = chain.gradient(&chain.weights, batches);
        let reach = 0.01 * norm(&chain.weights) / norm(&gradient);
        prop_assert_eq!(chain.asked.len(), 3);
        prop_assert!(chain.asked.iter().all(|(_, asked)| *asked == batches));
        prop_assert_eq!(&chain.asked[0].0, &narrow(&chain.weights));
        for (sign, (asked, _)) in [1.0, -1.0].into_iter().zip(&chain.asked[1..]) {
            let values = asked.iter().flatten().zip(chain.weights.iter().flatten());
            for ((asked, weight), gradient) in values.zip(gradient.iter().flatten()) {
                prop_assert!((f64::from(*asked) - weight - sign * reach * gradient).abs() < 1e-6);
            }
        }
        // Their difference is the product with the Hessian.
        let exact = chain.curvature(&chain.weights, &gradient, batches);
        let [ahead, behind] = [1, 2].map(|at| chain.gradient(&widen(&chain.asked[at].0), batches));
        let difference = ahead.iter().flatten().zip(behind.iter().flatten());
        let near = 2e-3 * norm(&exact);
        for ((ahead, behind), exact) in difference.zip(exact.iter().flatten()) {
            prop_assert!(((ahead - behind) / (2.0 * reach) - exact).abs() < near);
        }
        // What stays is at least as good as what goes, as well as a difference tells it.
        let counts = [24.0, 30.0, 15.0].map(|all| ((1.0 - sparsity) * all).round() as usize);
        prop_assert_eq!(masks.iter().map(Vec::len).sum::<usize>(), counts.iter().sum::<usize>());
        let score = |layer: usize, index: u32| {
            chain.weights[layer][index as usize] * exact[layer][index as usize]
        };
        let groups = if by_layer { vec![vec![0], vec![1], vec![2]] } else { vec![vec![0, 1, 2]] };
        let most = chain.weights.iter().flatten().fold(0.0f64, |most, weight| most.max(weight.abs()));
        for group in groups {
            let mut kept: Vec<f64> = Vec::new();
            let mut gone: Vec<f64> = Vec::new();
            for layer in group {
                prop_assert!(!masks[layer].is_empty());
                prop_assert!(!by_layer || masks[layer].len() == counts[layer]);
                let mut own: Vec<f64> = masks[layer].iter().map(|index| score(layer, *index)).collect();
                own.sort_by(|a, b| b.total_cmp(a));
                // The best of a layer stays, however low.
                kept.extend(&own[usize::from(!by_layer)..]);
                let all = 0..chain.weights[layer].len() as u32;
                let absent = all.filter(|index| !masks[layer].contains(index));
                let absent: Vec<f64> = absent.map(|index| score(layer, index)).collect();
                prop_assert!(absent.iter().all(|score| *score <= own[0] + near * most));
                gone.extend(absent);
            }
            let least = kept.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = gone.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(least >= greatest - 2.0 * near * most, "{} goes, {} stays", greatest, least);
        }
    }
}

#[test]
fn three_gradients_are_billed() {
    let rule = policy(Grasp { sparsity: 0.5, ..Grasp::default() }, &context(1, &SIZES)).unwrap();
    assert_eq!(rule.samples_to_choose(&[32, 31, 30]), 96);
}
