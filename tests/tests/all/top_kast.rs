//! `top-kast` in a run: a store and its sets, recomputed by a replica of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::PI;

use spfde_data::rows::{EpochRow, LayerRow, MaskRow};
use spfde_data::tensor::TensorData;

use crate::reference::{Reference, filled, gradient};
use crate::rigl::assert_highest;
use crate::support::Bench;

const EPOCHS: u32 = 9;
const WORDS: [&str; 8] = [
    "model.name=lenet5",
    "mask.policy=top-kast",
    "mask.sparsity=0.8",
    "mask.exploration=0.5",
    "train.epochs=9",
    "train.storage=f32",
    // So that the decay of what is explored shows.
    "train.weight_decay=0.01",
    "freeze.policy=none",
];
/// The multiples of the interval before 0.75 of the run.
const UPDATES: [u32; 3] = [2, 4, 6];

/// A weight that does not exist and trains: value and momentum.
type Explored = BTreeMap<usize, BTreeMap<u32, [f64; 2]>>;

/// The weights that a mask lacks, each with its magnitude in the store.
fn absent(store: &[f32], mask: &BTreeSet<u32>) -> Vec<(u32, f32)> {
    let all = (0u32..).zip(store).map(|(index, value)| (index, value.abs()));
    all.filter(|(index, _)| !mask.contains(index)).collect()
}

/// The greatest so many of these.
fn greatest(mut of: Vec<(u32, f32)>, count: usize) -> BTreeSet<u32> {
    of.sort_by(|left, right| right.1.total_cmp(&left.1));
    of.into_iter().take(count).map(|(index, _)| index).collect()
}

#[test]
fn the_store_trains_beyond_the_mask_and_what_grows_begins_with_its_value() {
    let bench = Bench::new(96);
    let (experiment, run) = bench.train("run", &WORDS);
    run.assert_sound(EPOCHS);
    let rows = run.rows::<MaskRow>();
    let changed = |epoch: u32, layer: usize, diff: i8| -> BTreeSet<u32> {
        let is_asked = |row: &&MaskRow| (row.epoch, usize::from(row.layer), row.diff) == (epoch, layer, diff);
        rows.iter().filter(is_asked).map(|row| row.index).collect()
    };
    let plan = experiment.plan();
    let masked: Vec<usize> = (0..plan.masked.len()).filter(|layer| plan.masked[*layer]).collect();
    let fresh = experiment.settings().fresh_network();
    let mut reference = Reference::new(&experiment, &run);
    reference.stores = masked.iter().map(|layer| (*layer, fresh.values(*layer).to_vec())).collect();
    let mut masks: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
    for layer in &masked {
        let count = plan.nonzero(0)[*layer] as usize;
        let first = changed(0, *layer, 1);
        assert_eq!(first, greatest(absent(&reference.stores[layer], &BTreeSet::new()), count));
        masks.insert(*layer, first);
    }
    let mut explored = Explored::new();
    for epoch in 0..EPOCHS {
        if epoch == 0 || UPDATES.contains(&epoch) {
            for layer in &masked {
                let count = (0.5 * masks[layer].len() as f64).round() as usize;
                let count = if epoch < 6 { count } else { 0 };
                let store = &reference.stores[layer];
                let chosen = greatest(absent(store, &masks[layer]), count).into_iter();
                let before = explored.remove(layer).unwrap_or_default();
                let begin = |index: u32| {
                    let momentum = before.get(&index).map_or(0.0, |[_, momentum]| *momentum);
                    (index, [f64::from(store[index as usize]), momentum])
                };
                explored.insert(*layer, chosen.map(begin).collect());
            }
        }
        reference.train_steps(epoch, |step, steps, network, samples| {
            let filled = filled(&experiment, network);
            let part = gradient(&experiment, &filled, samples, &vec![1.0; samples.len()]);
            let elapsed = (f64::from(epoch) + step as f64 / steps as f64) / f64::from(EPOCHS);
            let base = experiment.settings().learning_rate;
            let rate = 0.5 * base * (1.0 + (PI * elapsed).cos());
            for (layer, weights) in &mut explored {
                let dense = filled.gradient(&part, *layer);
                let density = masks[layer].len() as f64 / dense.len() as f64;
                for (index, [value, momentum]) in weights {
                    let decayed = f64::from(dense[*index as usize]) + 0.01 / density * *value;
                    *momentum = 0.9 * *momentum + decayed;
                    *value -= rate * (decayed + 0.9 * *momentum);
                }
            }
        });
        for layer in &masked {
            let (network, store) = (&reference.network, reference.stores.get_mut(layer).unwrap());
            let existing = network.indices(*layer).iter().zip(network.values(*layer));
            existing.for_each(|(index, value)| store[*index as usize] = *value);
            explored[layer].iter().for_each(|(index, [value, _])| store[*index as usize] = *value as f32);
            let (next, mask) = (epoch + 1, masks.get_mut(layer).unwrap());
            let [gone, come] = [-1, 1].map(|diff| changed(next, *layer, diff));
            if !UPDATES.contains(&next) {
                assert!(gone.is_empty() && come.is_empty(), "epoch {next}");
                continue;
            }
            let count = mask.len();
            mask.retain(|index| !gone.contains(index));
            mask.extend(&come);
            assert_highest(mask, &absent(store, &BTreeSet::new()), count, &format!("{next}, {layer}"));
        }
    }
    assert!(changed(4, masked[0], 1).len() > 2, "something grows");
    let difference = reference.difference(&run);
    assert!(difference < 1e-3, "the weights differ by {difference}");
    let arrays = run.arrays();
    for layer in masked {
        let name = format!("{}.store_values", plan.architecture.layers[layer].name);
        let found = arrays.iter().find(|array| array.name == name).unwrap();
        let TensorData::F32(values) = &found.data else { panic!("{name}") };
        for (index, _) in absent(values, &masks[&layer]) {
            let (own, found) = (reference.stores[&layer][index as usize], values[index as usize]);
            assert!((own - found).abs() < 1e-3, "{name}: {own} and {found}");
        }
    }
}

#[test]
fn explored_weights_are_billed_in_backward_passes() {
    let bench = Bench::new(96);
    let (_, explores) = bench.train("explores", &WORDS);
    let rests = WORDS.map(|word| if word == "mask.exploration=0.5" { "mask.exploration=0" } else { word });
    let (experiment, rests) = bench.train("rests", &rests);
    let layers = explores.rows::<LayerRow>();
    for (row, without) in explores.rows::<EpochRow>().iter().zip(rests.rows::<EpochRow>()) {
        assert_eq!((row.extra_flops, row.forward_flops), (0, without.forward_flops));
        let plan = experiment.plan();
        let masked = layers.iter().filter(|layer| {
            layer.epoch == row.epoch && plan.masked[usize::from(layer.layer)] && row.epoch < 6
        });
        let flops = masked.map(|layer| {
            let positions = plan.architecture.layers[usize::from(layer.layer)].positions;
            2 * (f64::from(layer.nonzero) / 2.0).round() as u64 * positions * u64::from(row.active_samples)
        });
        assert_eq!(row.backward_flops - without.backward_flops, flops.sum::<u64>(), "{row:?}");
    }
}
