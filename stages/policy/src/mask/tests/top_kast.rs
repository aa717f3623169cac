//! `top-kast` against the paper's definition, taken literally: the sets by a full sort.

use proptest::prelude::*;
use spfde_data::parameter::Value;

use super::{decide, three_layers, update, values};
use crate::mask::{MaskUpdate, TopKast, Untrained, policy};

/// A network of which only the weights are known.
struct Weights(Vec<Vec<f32>>);

impl Untrained for Weights {
    fn weights(&self) -> Vec<Vec<f32>> {
        self.0.clone()
    }

    fn gradients(&mut self, _: &[Vec<f32>], _: u32, _: f64) -> Vec<Vec<f32>> {
        unreachable!("no gradient is looked at")
    }

    fn flow(&mut self, _: &[Vec<f32>]) -> Vec<Vec<f32>> {
        unreachable!("no flow is looked at")
    }
}

/// The first `count` of all weights, sorted by falling magnitude, equals by index.
fn top(store: &[f32], count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..store.len() as u32).collect();
    order.sort_by(|a, b| store[*b as usize].abs().total_cmp(&store[*a as usize].abs()));
    let mut chosen = order[..count].to_vec();
    chosen.sort_unstable();
    chosen
}

proptest! {
    #[test]
    fn the_mask_is_the_top_of_the_store_from_the_start_on(
        seed in any::<u64>(),
        sparsity in 0.1f64..0.9,
    ) {
        let context = three_layers(seed, 12);
        let policy = policy(TopKast { sparsity, ..TopKast::default() }, &context).unwrap();
        let store = |layer: usize, epoch: u32| {
            let weights = context.architecture.layers[layer].weights() as u32;
            values(seed ^ layer as u64, epoch, &(0..weights).collect::<Vec<u32>>())
        };
        let initial = policy.choose(&mut Weights((0..3).map(|layer| store(layer, 0)).collect())).unwrap();
        let layer = 1;
        let count = policy.target(layer) as usize;
        let mut mask = initial[layer].clone();
        prop_assert_eq!(&mask, &top(&store(layer, 0), count));
        for epoch in [2, 4, 6, 8] {
            let stored = store(layer, epoch);
            let values: Vec<f32> = mask.iter().map(|index| stored[*index as usize]).collect();
            let asked = MaskUpdate { stored: &stored, ..update(&*policy, layer, epoch, &mask, &values) };
            let delta = decide(&*policy, &asked);
            let kept = mask.iter().copied().filter(|index| !delta.dropped.contains(index));
            mask = kept.chain(delta.grown.iter().copied()).collect();
            mask.sort_unstable();
            prop_assert_eq!(&mask, &top(&stored, count));
        }
    }
}

#[test]
fn what_is_explored_is_a_share_of_the_mask_until_the_last_update() {
    let context = three_layers(1, 12);
    // Updates at 2, 4, 6 and 8; the middle layer has 18 of 35 weights, so no more than 17 are absent.
    for (exploration, expected) in [(0.5, 9), (1.0, 17), (0.0, 0)] {
        let rule = TopKast { sparsity: 0.5, exploration, ..TopKast::default() };
        let policy = policy(rule, &context).unwrap();
        let explored: Vec<u32> = (0..12).map(|epoch| policy.explored(1, epoch, 18)).collect();
        let wanted: Vec<u32> = (0..12).map(|epoch| if epoch < 8 { expected } else { 0 }).collect();
        assert_eq!(explored, wanted);
        // Layers that are not masked are dense.
        assert_eq!((policy.explored(0, 0, 42), policy.explored(2, 0, 20)), (0, 0));
    }
    let rule = TopKast { interval_steps: 10, ..TopKast::default() };
    let steps = policy(rule, &context).unwrap();
    assert_eq!([8, 9].map(|epoch| steps.explored(1, epoch, 4)), [4, 0]);
}

#[test]
fn explored_weights_count_in_backward_passes_alone() {
    let context = three_layers(1, 12);
    let policy = |name| super::policy(name, &context, &[("mask.sparsity", Value::Number(0.8))]);
    let (kast, set) = (policy("top-kast"), policy("set"));
    let nonzero = [42, set.target(1), 20];
    let count = |mask, epoch| crate::cost::count_epoch(&context.architecture, mask, epoch, &nonzero, 0, 3);
    // Seven weights more, 2 FLOPs each, three samples.
    assert_eq!(count(&*kast, 0)[1].backward - count(&*set, 0)[1].backward, 2 * 7 * 3);
    assert_eq!(count(&*kast, 0)[1].forward, count(&*set, 0)[1].forward);
    assert_eq!(count(&*kast, 8), count(&*set, 8));
    let frozen = crate::cost::count_epoch(&context.architecture, &*kast, 0, &nonzero, 2, 3);
    assert_eq!(frozen[1].backward, 0);
}
