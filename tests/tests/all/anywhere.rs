//! Blocks that freeze wherever they are: behind blocks that train they hand the gradient on.

use std::collections::BTreeSet;

use spfde::Experiment;
use spfde_data::rows::*;
use spfde_policy::freeze::{Change, FreezeContext, FreezeRule, Judged};

use crate::replay::{assert_replays, costs, replayed};
use crate::resuming::{assert_equal, assert_goes_on, begin, finish, until};
use crate::support::{Bench, Recorded, assert_same, transcript};

spfde_data::parameters! {
    /// Freezes blocks in no order at all.
    struct Anywhere in "freeze" {}
}

/// The blocks that change at each epoch, and whether they freeze.
const TURNS: [&[(usize, bool)]; 7] = [
    &[],
    &[(4, true)],
    &[(0, true)],
    &[(1, true), (2, true), (3, true)],
    &[(2, false)],
    &[(8, true)],
    &[(0, false), (2, true)],
];

impl FreezeRule for Anywhere {
    const NAME: &'static str = "anywhere";
    const SUMMARY: &'static str = "blocks freeze and thaw in no order";
    type State = ();

    fn decide(&self, _: &FreezeContext, _: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
        let change = |(block, frozen): &(usize, bool)| Change {
            block: *block,
            frozen: *frozen,
            reason: "its turn".to_owned(),
        };
        TURNS[epoch as usize].iter().map(change).collect()
    }
}

/// The blocks that are frozen in an epoch.
fn frozen(epoch: u32) -> BTreeSet<usize> {
    let mut frozen = BTreeSet::new();
    for (block, freezes) in TURNS[..=epoch as usize].iter().copied().flatten() {
        let changed = if *freezes { frozen.insert(*block) } else { frozen.remove(block) };
        assert!(changed);
    }
    frozen
}

const EPOCHS: u32 = 7;
const WORDS: [&str; 7] = [
    "model.name=resnet20",
    "sieve.policy=none",
    "train.epochs=7",
    "mask.sparsity=0.7",
    "mask.interval=1",
    "freeze.policy=none",
    "freeze.probe=0",
];

fn anywhere(experiment: Experiment) -> Experiment {
    experiment.with_freeze(Anywhere {}).unwrap()
}

/// Compares a run with what its blocks' turns say, weight by weight.
fn assert_kept(experiment: &Experiment, run: &Recorded, observes: bool) {
    run.assert_sound(EPOCHS);
    let shapes = &experiment.plan().architecture.layers;
    let (layers, gradients, masks) =
        (run.rows::<LayerRow>(), run.rows::<GradientRow>(), run.rows::<MaskRow>());
    for row in run.rows::<EpochRow>() {
        let frozen = frozen(row.epoch);
        let first = (0..).find(|block| !frozen.contains(block)).unwrap();
        let mut flops = [0; 3];
        for layer in layers.iter().filter(|layer| layer.epoch == row.epoch) {
            let shape = &shapes[usize::from(layer.layer)];
            let rests = frozen.contains(&shape.block);
            assert_eq!((layer.frozen, layer.weight_change_l1 == 0.0), (rests, rests), "{layer:?}");
            assert_eq!(layer.gradient_sum_l1 == 0.0, rests, "{layer:?}");
            // A mask is pruned when its block freezes, and untouched until a while after it thaws.
            let changes = masks.iter().any(|mask| (mask.epoch, mask.layer) == (row.epoch, layer.layer));
            let rested = row.epoch > 0 && self::frozen(row.epoch - 1).contains(&shape.block);
            assert!(!(changes && rested), "{layer:?}");
            let norms = gradients.iter().filter(|norm| (norm.epoch, norm.layer) == (row.epoch, layer.layer));
            let trained: BTreeSet<bool> = norms.map(|norm| norm.trained).collect();
            assert_eq!(trained, BTreeSet::from_iter((observes || !rests).then_some(!rests)), "{layer:?}");
            // Of resnet20 these read what the block in front puts out, and the stem reads the images.
            let enters = ["convolution1", "shortcut"].iter().any(|name| layer.name.ends_with(name));
            let reads_prefix = layer.name == "stem" || enters && shape.block == first && first > 0;
            let (weights, inputs) = (!rests, shape.block >= first && !reads_prefix);
            let pass = 2 * u64::from(layer.nonzero) * shape.positions * u64::from(row.active_samples);
            let all = 1 + u64::from(layer.name != "stem");
            let passes = u64::from(weights) + u64::from(inputs);
            let sums = [pass, passes * pass, (all - passes) * pass];
            flops.iter_mut().zip(sums).for_each(|(sum, flops)| *sum += flops);
        }
        let [forward, backward, observed] = flops;
        assert_eq!((row.forward_flops, row.backward_flops), (forward, backward), "{row:?}");
        assert_eq!(row.observed_flops, if observes { observed } else { 0 }, "{row:?}");
        let count = shapes.iter().filter(|shape| frozen.contains(&shape.block)).count();
        assert_eq!(usize::from(row.frozen_layers), count, "{row:?}");
    }
}

#[test]
fn blocks_rest_wherever_they_are_with_the_same_bits_on_1_2_and_4_workers() {
    let bench = Bench::new(64);
    let experiment = anywhere(bench.experiment(&WORDS));
    let whole = bench.record("1", &experiment, 1);
    assert_kept(&experiment, &whole, false);
    for workers in [2, 4] {
        let run = bench.record(&workers.to_string(), &experiment, workers);
        assert_same(&transcript(&whole), &transcript(&run), "workers");
        assert!(whole.final_weights() == run.final_weights(), "{workers} workers");
    }
    // Kept is what the blocks in front of the first that trains put out, from their second epoch on.
    let kept = anywhere(bench.experiment(&[&WORDS[..], &["freeze.cache=memory"]].concat()));
    let kept = bench.record("kept", &kept, 2);
    kept.assert_sound(EPOCHS);
    assert_same(&transcript(&whole), &transcript(&kept), "a cache");
    assert!(whole.final_weights() == kept.final_weights());
    let cached: Vec<bool> = kept.rows::<EpochRow>().iter().map(|row| row.cached_flops.unwrap() > 0).collect();
    assert_eq!(cached, [false, false, false, true, false, true, false]);
}

#[test]
fn a_run_goes_on_across_freezes_and_thaws_in_no_order() {
    let bench = Bench::new(64);
    let experiment = anywhere(bench.experiment(&WORDS));
    let whole = bench.record("whole", &experiment, 2);
    whole.assert_sound(EPOCHS);
    assert_goes_on(&bench, &experiment, &whole, anywhere);
}

#[test]
fn they_are_observed_and_replayed_as_they_were() {
    let bench = Bench::new(64);
    // Masks that look at no gradient, at gradients of weights that do not exist, and that let these train.
    for (mask, observe) in
        [("mest-ems", "full"), ("mest-ems", "active"), ("rigl", "active"), ("top-kast", "full")]
    {
        let words = [format!("mask.policy={mask}"), format!("trace.observe={observe}")];
        let words: Vec<&str> = WORDS.into_iter().chain(words.iter().map(String::as_str)).collect();
        let live = anywhere(bench.experiment(&words));
        let run = bench.record(&format!("{mask} {observe}"), &live, 2);
        match mask {
            "mest-ems" => assert_kept(&live, &run, observe == "full"),
            _ => run.assert_sound(EPOCHS),
        }
        assert_replays(&bench, &run, anywhere);
    }
}

/// A run whose layers are blocks of their own, so that the layer is the block.
const LAYERS: [&str; 6] = [
    "model.name=lenet5",
    "train.epochs=7",
    "mask.sparsity=0.6",
    "mask.interval=2",
    "data.batch_size=16",
    "trace.observe=full",
];

/// The mean of a layer's norms per weight over the steps of an epoch.
fn mean(run: &Recorded, epoch: u32, layer: u16) -> f64 {
    let rows = run.epoch::<GradientRow>(epoch).into_iter().filter(|row| row.layer == layer);
    let measures: Vec<f64> = rows.map(|row| f64::from(row.l1) / f64::from(row.nonzero)).collect();
    measures.iter().sum::<f64>() / measures.len() as f64
}

#[test]
fn grades_freezes_each_block_when_its_own_layers_have_stopped() {
    let bench = Bench::new(64);
    let (_, free) = bench.train("free", &[&LAYERS[..], &["freeze.policy=none"]].concat());
    let mut means: Vec<f64> = (0..4).map(|layer| mean(&free, 2, layer)).collect();
    means.sort_by(f64::total_cmp);
    // Below it lies one layer when the grace period ends, others later or never.
    let limit = (means[0] * means[1]).sqrt();
    let threshold = format!("freeze.threshold={limit}");
    let words = ["freeze.policy=grades", "freeze.grace_period=0.42", &threshold];
    let experiment = bench.experiment(&[&LAYERS[..], &words].concat());
    let whole = bench.record("1", &experiment, 1);
    whole.assert_sound(7);
    let (mut expected, mut stopped) = (Vec::new(), BTreeSet::new());
    for epoch in 2..6 {
        let small = |layer: &u16| !stopped.contains(layer) && mean(&whole, epoch, *layer) < limit;
        let small: Vec<u16> = (0..4).filter(small).collect();
        expected.extend(small.iter().map(|layer| (epoch + 1, *layer)));
        stopped.extend(small);
    }
    let found: Vec<(u32, u16)> = whole.rows::<FreezeRow>().iter().map(|row| (row.epoch, row.layer)).collect();
    assert_eq!(found, expected);
    assert!(found[0].0 == 3 && found[0].1 > 0, "the first block goes on: {found:?}");
    for row in whole.rows::<FreezeEvidenceRow>() {
        let measure = mean(&whole, row.epoch, row.block);
        assert!((row.measure - measure).abs() < 1e-9 * measure, "{row:?}");
    }
    for workers in [2, 4] {
        let run = bench.record(&workers.to_string(), &experiment, workers);
        assert_same(&transcript(&whole), &transcript(&run), "workers");
        assert!(whole.final_weights() == run.final_weights(), "{workers} workers");
    }
    for epoch in [3, 4] {
        let path = bench.path(&format!("until-{epoch}"));
        begin(&experiment, &path, until(epoch, 0, 2));
        assert_equal(&finish(&bench, &path, 1), &whole, &format!("interrupted in epoch {epoch}"));
    }
    let (_, replay) = replayed(&bench, "replay", &whole, &[], 2);
    assert_eq!(replay.rows::<FreezeRow>(), whole.rows::<FreezeRow>());
    assert_eq!(costs(&replay), costs(&whole));
}
