//! Blocks that freeze and thaw, planned and not, against recounts.

use proptest::prelude::*;

use super::*;

/// Frozen from the first epoch to the second, from the third to the fourth, and so on.
fn turns(turns: &[u32]) -> Spans {
    let mut spans = Spans::never();
    for (turn, epoch) in turns.iter().enumerate() {
        if turn % 2 == 0 { spans.freeze(*epoch) } else { spans.thaw(*epoch) }
    }
    spans
}

/// For each block the epochs in which more than so many blocks are frozen, when `frozen[epoch]` are.
fn prefixes(blocks: usize, frozen: &[usize]) -> Vec<Spans> {
    let mut all = vec![Spans::never(); blocks];
    for (block, spans) in all.iter_mut().enumerate() {
        let mut before = false;
        for (epoch, frozen) in (0..).zip(frozen) {
            let now = *frozen > block;
            match (before, now) {
                (false, true) => spans.freeze(epoch),
                (true, false) => spans.thaw(epoch),
                _ => {}
            }
            before = now;
        }
    }
    all
}

/// The weights of a mask of 10 % with half as many beyond it, updated every two epochs, that knows when it
/// freezes.
fn planned_counts(epochs: u32, frozen: &Spans, weights: u32) -> Vec<u32> {
    let is_frozen: Vec<bool> = (0..epochs).map(|epoch| frozen.is_frozen(epoch)).collect();
    let trains = |epoch: u32| !is_frozen[epoch as usize];
    let updates = |epoch: u32| epoch > 0 && epoch.is_multiple_of(2) && trains(epoch) && trains(epoch - 1);
    let count = |at: u32| {
        // Whether another update follows before it is frozen.
        let follows = (at + 1..epochs).take_while(|epoch| trains(*epoch)).any(updates);
        let part = match f64::from(at) / f64::from(epochs) {
            _ if !follows || !trains(at) => 0.0,
            share if share < 9.0 / 16.0 => 0.5,
            share if share < 0.75 => 0.25,
            _ => 0.0,
        };
        (f64::from(weights) * 0.1 * (1.0 + part)).round() as u32
    };
    let mut current = count(0);
    let step = |epoch: u32| {
        if updates(epoch) {
            current = count(epoch);
        }
        current
    };
    (0..epochs).map(step).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_with_intervals_is_its_recount(frozen in prop::collection::vec(0usize..=2, 1..24)) {
        let (epochs, samples) = (frozen.len() as u32, 100);
        let architecture = example::perceptron(&[30, 40, 20, 10]);
        let (masks, sieves) = (masks("mest-ems", epochs, &architecture), sieves("circular", epochs, samples));
        let given = Given(prefixes(2, &frozen));
        let plan = Plan::new(Arc::clone(&architecture), epochs, samples, &masks, &given, &*sieves).unwrap();
        let by_layer: Vec<Vec<u32>> = vec![
            planned_counts(epochs, &given.0[0], 1200),
            planned_counts(epochs, &given.0[1], 800),
            vec![200; frozen.len()],
        ];
        let (mut forward, mut backward) = (0, 0);
        for (epoch, blocks) in frozen.iter().enumerate() {
            let nonzero: Vec<u32> = by_layer.iter().map(|layer| layer[epoch]).collect();
            prop_assert_eq!(plan.nonzero(epoch as u32), &nonzero, "epoch {} of {:?}", epoch, &frozen);
            prop_assert_eq!(plan.nonzero_given(epoch as u32, &plan.frozen), nonzero.clone());
            prop_assert_eq!(plan.frozen_blocks(epoch as u32), *blocks);
            // 2 FLOPs per weight and sample; the first layer that trains needs no gradient of its input.
            let flops = |layer: usize| 2 * 85 * u64::from(nonzero[layer]);
            let of = Cost {
                forward: (0..3).map(flops).sum(),
                backward: (*blocks..3).map(|layer| flops(layer) * if layer == *blocks { 1 } else { 2 }).sum(),
            };
            prop_assert_eq!(plan.cost[epoch], of);
            (forward, backward) = (forward + of.forward, backward + of.backward);
        }
        prop_assert_eq!(plan.total(), Cost { forward, backward });
    }

    #[test]
    fn what_freezes_and_thaws_without_a_plan_costs_what_the_masks_then_count(
        mut frozen in prop::collection::vec(0usize..=2, 1..20),
        name in prop::sample::select(vec!["mest-em", "mest-ems", "mest-ems", "mest-ems", "rigl"]),
    ) {
        // What is frozen from the start is so by the plan.
        frozen[0] = 0;
        let (epochs, samples) = (frozen.len() as u32, 100);
        let architecture = example::perceptron(&[12, 10, 9, 10]);
        let (masks, sieves) = (masks(name, epochs, &architecture), sieves("none", epochs, samples));
        let freeze = never(epochs, &architecture);
        let shared = Arc::clone(&architecture);
        let plan = Plan::new(shared, epochs, samples, &masks, &*freeze, &*sieves).unwrap();
        let given = prefixes(2, &frozen);
        let (cost, counts) = recount(&architecture, epochs, samples, &*masks, &given);
        for (epoch, nonzero) in (0..).zip(counts) {
            let counted = plan.nonzero_given(epoch, &given);
            prop_assert_eq!(counted, nonzero, "epoch {} of {:?}", epoch, &frozen);
        }
        prop_assert_eq!(plan.cost_of(&given), cost);
    }
}

#[test]
fn blocks_that_thaw_in_order_are_a_plan() {
    let architecture = example::perceptron(&[4, 4, 4, 4]);
    let (masks, sieves) = (masks("dense", 9, &architecture), sieves("none", 9, 10));
    let plan = |frozen: Vec<Spans>| {
        let given = Given(frozen);
        let planned =
            AssertUnwindSafe(|| Plan::new(Arc::clone(&architecture), 9, 10, &masks, &given, &*sieves));
        std::panic::catch_unwind(planned)
            .map(|plan| (0..9).map(|epoch| plan.as_ref().unwrap().frozen_blocks(epoch)).collect::<Vec<_>>())
    };
    let blocks = plan(vec![turns(&[1, 7]), turns(&[2, 4, 5, 7])]).unwrap();
    assert_eq!(blocks, [0, 1, 2, 2, 1, 2, 2, 0, 0]);
    for bad in [vec![turns(&[1, 3]), turns(&[2, 4])], vec![turns(&[1, 3, 5]), turns(&[4, 6])]] {
        assert!(plan(bad.clone()).is_err(), "the front block thaws first: {bad:?}");
    }
}
