//! Mask deltas add up to the layers' rows, to the plan and to the final weights; what is frozen stays as it
//! is.

use std::collections::{BTreeMap, BTreeSet};

use spfde::Experiment;
use spfde_data::rows::{EpochRow, FreezeRow, LayerRow, MaskRow, MaskUpdateRow};
use spfde_data::tensor::TensorData;
use spfde_policy::Registry;

use crate::support::{Bench, Recorded};

/// The masks of every epoch by layer, from the deltas.
fn masks(run: &Recorded, epochs: u32) -> Vec<BTreeMap<u16, BTreeSet<u32>>> {
    let mut rows = run.rows::<MaskRow>();
    // What goes, goes before what comes.
    rows.sort_by_key(|row| (row.epoch, row.step, row.diff));
    let mut masks: BTreeMap<u16, BTreeSet<u32>> = BTreeMap::new();
    let mut all = Vec::new();
    for epoch in 0..epochs {
        for row in rows.iter().filter(|row| row.epoch == epoch) {
            let mask = masks.entry(row.layer).or_default();
            let changed = if row.diff > 0 { mask.insert(row.index) } else { mask.remove(&row.index) };
            assert!(changed, "{row:?}");
        }
        all.push(masks.clone());
    }
    all
}

/// When each layer froze, by the deltas.
fn frozen_at(run: &Recorded) -> BTreeMap<u16, u32> {
    let rows = run.rows::<FreezeRow>();
    let times: BTreeMap<u16, u32> = rows.iter().map(|row| (row.layer, row.epoch)).collect();
    assert!(rows.iter().all(|row| row.diff == 1) && times.len() == rows.len(), "{rows:?}");
    times
}

/// Asserts what holds of masks under every policy; the run's freezing times.
fn assert_masks_add_up(experiment: &Experiment, run: &Recorded) -> BTreeMap<u16, u32> {
    let plan = experiment.plan();
    run.assert_sound(plan.epochs);
    let (masks, times) = (masks(run, plan.epochs), frozen_at(run));
    let layers = run.rows::<LayerRow>();
    assert_eq!(layers.len(), plan.architecture.layers.len() * plan.epochs as usize);
    for row in &layers {
        let shape = &plan.architecture.layers[usize::from(row.layer)];
        assert_eq!((&row.name, row.weights as usize), (&shape.name, shape.weights()));
        let sum = masks[row.epoch as usize].get(&row.layer).map(BTreeSet::len);
        assert_eq!(sum.is_some(), plan.masked[usize::from(row.layer)], "{row:?}");
        assert_eq!(row.nonzero as usize, sum.unwrap_or(shape.weights()), "{row:?}");
        assert_eq!(row.frozen, times.get(&row.layer).is_some_and(|at| *at <= row.epoch), "{row:?}");
    }
    for epoch in run.rows::<EpochRow>() {
        let rows = layers.iter().filter(|row| row.epoch == epoch.epoch);
        let (mut nonzero, mut frozen) = (0, 0);
        rows.for_each(|row| {
            (nonzero, frozen) = (nonzero + u64::from(row.nonzero), frozen + u16::from(row.frozen))
        });
        assert_eq!((epoch.nonzero, epoch.frozen_layers), (nonzero, frozen), "{epoch:?}");
    }
    assert_frozen_layers_rest(run, &layers, &times);
    assert_weights_have_the_final_mask(experiment, run, &masks[plan.epochs as usize - 1]);
    times
}

/// From its freezing on a layer has no mask delta, no gradient and the same weights.
fn assert_frozen_layers_rest(run: &Recorded, layers: &[LayerRow], times: &BTreeMap<u16, u32>) {
    for row in run.rows::<MaskRow>() {
        assert!(times.get(&row.layer).is_none_or(|at| row.epoch <= *at), "{row:?} after {times:?}");
    }
    for (layer, at) in times {
        let rows: Vec<&LayerRow> = layers.iter().filter(|row| row.layer == *layer).collect();
        for row in &rows {
            if row.epoch < *at {
                assert!(row.weight_change_l1 > 0.0 && row.gradient_sum_l2 > 0.0, "{row:?}");
            } else {
                let rest = (row.weight_change_l1, row.gradient_sum_l1, row.gradient_sum_l2);
                assert_eq!(rest, (0.0, 0.0, 0.0), "{row:?}");
                let first = rows[*at as usize];
                assert_eq!((row.weight_l2, row.nonzero), (first.weight_l2, first.nonzero), "{row:?}");
            }
        }
    }
}

fn assert_weights_have_the_final_mask(
    experiment: &Experiment,
    run: &Recorded,
    masks: &BTreeMap<u16, BTreeSet<u32>>,
) {
    let arrays = run.arrays();
    let array = |name: String| &arrays.iter().find(|array| array.name == name).unwrap().data;
    for (layer, shape) in experiment.plan().architecture.layers.iter().enumerate() {
        let TensorData::U32(indices) = array(format!("{}.indices", shape.name)) else {
            panic!("{}", shape.name)
        };
        match masks.get(&(layer as u16)) {
            Some(mask) => assert!(indices.iter().eq(mask), "{}", shape.name),
            None => assert_eq!(indices.len(), shape.weights(), "{}", shape.name),
        }
        let TensorData::F32(values) = array(format!("{}.values", shape.name)) else {
            panic!("{}", shape.name)
        };
        assert_eq!(values.len(), indices.len());
    }
}

/// Asserts that every epoch has the weights that the plan promises.
fn assert_the_plan_is_kept(experiment: &Experiment, run: &Recorded) {
    let plan = experiment.plan();
    for row in run.rows::<LayerRow>() {
        assert_eq!(row.nonzero, plan.nonzero(row.epoch)[usize::from(row.layer)], "{row:?}");
    }
}

/// The masked layers' weights, all and existing at the end.
fn at_the_end(experiment: &Experiment, run: &Recorded) -> Vec<(u32, u32)> {
    let plan = experiment.plan();
    let rows = run.epoch::<LayerRow>(plan.epochs - 1);
    let masked = rows.iter().filter(|row| plan.masked[usize::from(row.layer)]);
    masked.map(|row| (row.weights, row.nonzero)).collect()
}

const COMMON: [&str; 4] =
    ["model.name=lenet5", "mask.sparsity=0.7", "train.epochs=8", "freeze.flops_reduction=0.1"];

/// Many small batches, at a learning rate at which no layer dies.
const STEADY: [&str; 2] = ["data.batch_size=12", "train.learning_rate=0.01"];

#[test]
fn masks_of_every_policy_and_distribution_add_up_while_blocks_freeze() {
    let bench = Bench::new(96);
    for policy in Registry::default().mask.entries {
        let policy = policy.name;
        for distribution in ["uniform", "erk"] {
            let [policy_word, distribution_word] =
                [format!("mask.policy={policy}"), format!("mask.distribution={distribution}")];
            let words = [&COMMON[..], &[&policy_word, &distribution_word, STEADY[1]]].concat();
            let (experiment, run) = bench.train(&format!("{policy}-{distribution}"), &words);
            let times = assert_masks_add_up(&experiment, &run);
            assert!(!times.is_empty(), "something freezes");
            assert_updates_are_sums_of_deltas(&run);
            let moved = run.rows::<MaskRow>().iter().any(|row| row.epoch > 0);
            let rests = ["dense", "static", "snip", "grasp", "synflow"].contains(&policy);
            assert_eq!(moved, !rests, "{policy}");
            if policy == "dense" {
                continue;
            }
            let end = at_the_end(&experiment, &run);
            assert_eq!(end.len(), 3, "all but the first convolution and the last linear layer");
            let (all, left) = end.iter().fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
            // Each of the three layers rounds to the nearest count.
            assert!((f64::from(left) - 0.3 * f64::from(all)).abs() <= 1.5, "{policy}: {left} of {all}");
            if !experiment.settings().policies.mask.is_scheduled() {
                continue;
            }
            assert_the_plan_is_kept(&experiment, &run);
            if distribution == "uniform" {
                for (weights, nonzero) in end {
                    assert_eq!(nonzero, (0.3 * f64::from(weights)).round() as u32);
                }
            }
        }
    }
}

/// Asserts that what is told of each update is what its deltas are together.
fn assert_updates_are_sums_of_deltas(run: &Recorded) {
    let mut sums: BTreeMap<(u32, u32, u16), [u32; 2]> = BTreeMap::new();
    for row in run.rows::<MaskRow>().iter().filter(|row| (row.epoch, row.step) != (0, 0)) {
        sums.entry((row.epoch, row.step, row.layer)).or_default()[usize::from(row.diff > 0)] += 1;
    }
    let told = run.rows::<MaskUpdateRow>();
    for row in &told {
        assert_eq!(row.threshold.is_some(), row.dropped > 0, "{row:?}");
        assert!(row.threshold.is_none_or(|threshold| threshold >= 0.0), "{row:?}");
    }
    let changed = told.iter().filter(|row| row.dropped + row.grown > 0);
    let changed = changed.map(|row| ((row.epoch, row.step, row.layer), [row.dropped, row.grown]));
    assert_eq!(changed.collect::<BTreeMap<_, _>>(), sums);
}

#[test]
fn masks_that_change_after_steps_add_up() {
    let bench = Bench::new(96);
    for policy in
        ["set", "rigl", "gse", "snfs", "deep-r", "gmp", "granet", "mest-em", "mest-ems", "dsr", "top-kast"]
    {
        let policy_word = format!("mask.policy={policy}");
        let words = [&COMMON[..], &[&policy_word, "mask.interval_steps=2"], &STEADY].concat();
        let (experiment, run) = bench.train(policy, &words);
        assert_masks_add_up(&experiment, &run);
        assert_updates_are_sums_of_deltas(&run);
        assert!(run.rows::<MaskRow>().iter().any(|row| row.step > 0), "{policy}");
        assert!(run.rows::<MaskRow>().iter().all(|row| row.step.is_multiple_of(2)), "{policy}");
    }
}

#[test]
fn the_soft_part_is_there_while_training_and_gone_at_the_end() {
    let words = ["model.name=lenet5", "mask.sparsity=0.8", "train.epochs=16", "freeze.policy=none"];
    let bench = Bench::new(64);
    let (experiment, run) = bench.train("run", &words);
    assert_masks_add_up(&experiment, &run);
    let rows = run.rows::<LayerRow>();
    // The last masked layer has 84 · 120 weights: a fifth of them stays, half as many again come and go.
    let linear2 = |epoch: u32| rows.iter().find(|row| row.epoch == epoch && row.name == "linear2").unwrap();
    let counts = [0, 8, 9, 10, 11, 12, 15].map(|epoch| linear2(epoch).nonzero);
    assert_eq!(counts, [3024, 3024, 3024, 2520, 2520, 2016, 2016]);
}

#[test]
fn layers_that_freeze_by_their_gradients_end_at_their_target_density() {
    let words = [
        "model.name=lenet5",
        "mask.policy=mest-ems",
        "mask.sparsity=0.7",
        "mask.interval=1",
        "train.epochs=8",
        "freeze.policy=gradient-norm",
        "freeze.threshold=1",
        "freeze.patience=1",
        "freeze.flops_reduction=0.9",
    ];
    let bench = Bench::new(96);
    let (experiment, run) = bench.train("run", &words);
    let times = assert_masks_add_up(&experiment, &run);
    assert!(times.len() >= 2, "{times:?}");
    for (weights, nonzero) in at_the_end(&experiment, &run) {
        assert_eq!(nonzero, (0.3 * f64::from(weights)).round() as u32);
    }
    // No plan knew of it: the layer that freezes drops its soft part at that moment.
    let dropped = |row: &&MaskRow| times.get(&row.layer) == Some(&row.epoch) && row.diff < 0;
    let grown = |row: &&MaskRow| times.get(&row.layer) == Some(&row.epoch) && row.diff > 0;
    let rows = run.rows::<MaskRow>();
    assert!(rows.iter().filter(dropped).count() > 0 && rows.iter().filter(grown).count() == 0);
}

#[test]
fn a_dense_run_has_no_mask_rows() {
    let bench = Bench::new(64);
    let (experiment, run) = bench.train("run", &["model.name=lenet5", "mask.policy=dense", "train.epochs=4"]);
    assert_masks_add_up(&experiment, &run);
    assert!(run.rows::<MaskRow>().is_empty());
}
