//! `rigl` in a run: what drops and grows, recomputed by a replica of its own, and what it costs.

use std::collections::BTreeSet;
use std::f64::consts::PI;

use spfde_data::rows::{EpochRow, LayerRow, MaskRow, ScoreRow};

use crate::reference::{Reference, filled, gradient};
use crate::replay::{costs, replayed};
use crate::support::Bench;
use crate::verification::{assert_found, forge, found_after};

const WORDS: [&str; 6] = [
    "model.name=lenet5",
    "mask.policy=rigl",
    "mask.sparsity=0.8",
    "mask.interval=2",
    "train.epochs=9",
    "train.storage=f32",
];
const EPOCHS: u32 = 9;
/// The multiples of the interval before 0.75 of the run.
const UPDATES: [u32; 3] = [2, 4, 6];

/// The indices of one layer that change at an epoch.
fn changed(rows: &[MaskRow], epoch: u32, layer: usize, diff: i8) -> BTreeSet<u32> {
    let rows =
        rows.iter().filter(|row| (row.epoch, usize::from(row.layer), row.diff) == (epoch, layer, diff));
    rows.map(|row| row.index).collect()
}

/// Asserts that `chosen` has `count` of the `values`, each at least as high as all that it has not; sums in
/// another order may differ in their last bits.
pub(crate) fn assert_highest(chosen: &BTreeSet<u32>, values: &[(u32, f32)], count: usize, what: &str) {
    assert_eq!(chosen.len(), count, "{what}");
    let known: BTreeSet<u32> = values.iter().map(|(index, _)| *index).collect();
    assert!(chosen.is_subset(&known), "{what}: {chosen:?}");
    let split = |inside: bool| {
        let values = values.iter().filter(move |(index, _)| chosen.contains(index) == inside);
        values.map(|(_, value)| *value)
    };
    let (lowest, highest) = (split(true).fold(f32::MAX, f32::min), split(false).fold(f32::MIN, f32::max));
    let scale = values.iter().map(|(_, value)| value.abs()).fold(0.0, f32::max);
    assert!(lowest >= highest - 1e-4 * scale, "{what}: {lowest} and {highest} of {scale}");
}

#[test]
fn rigl_drops_the_smallest_weights_and_grows_the_greatest_dense_gradients() {
    let bench = Bench::new(96);
    let (experiment, run) = bench.train("run", &[&WORDS[..], &["freeze.policy=none"]].concat());
    run.assert_sound(EPOCHS);
    let rows = run.rows::<MaskRow>();
    let epochs: BTreeSet<u32> = rows.iter().map(|row| row.epoch).collect();
    assert!(epochs.into_iter().eq([0].into_iter().chain(UPDATES)));
    let mut reference = Reference::new(&experiment, &run);
    for epoch in 0..EPOCHS {
        let mut dense = None;
        reference.train(epoch, |network, samples| {
            // The network whose layers are all dense has the gradients of all weights anyway.
            let filled = filled(&experiment, network);
            let part = gradient(&experiment, &filled, samples, &vec![1.0; samples.len()]);
            let layers = 0..filled.architecture().layers.len();
            dense = Some(layers.map(|layer| filled.gradient(&part, layer).to_vec()).collect::<Vec<_>>());
        });
        let next = epoch + 1;
        if !UPDATES.contains(&next) {
            continue;
        }
        let dense = dense.unwrap();
        let share = 0.3 / 2.0 * (1.0 + (PI * f64::from(next) / (0.75 * f64::from(EPOCHS))).cos());
        for layer in (0..dense.len()).filter(|layer| experiment.plan().masked[*layer]) {
            let what = format!("epoch {next}, layer {layer}");
            let (indices, values) = (reference.network.indices(layer), reference.network.values(layer));
            let count = (share * indices.len() as f64) as usize;
            assert!(count > 0, "{what}");
            let small: Vec<(u32, f32)> =
                indices.iter().zip(values).map(|(index, value)| (*index, -value.abs())).collect();
            let dropped = changed(&rows, next, layer, -1);
            assert_highest(&dropped, &small, count, &format!("{what}: dropped"));
            let kept = |index: &u32| indices.contains(index) && !dropped.contains(index);
            let candidates: Vec<(u32, f32)> = (0..dense[layer].len() as u32)
                .filter(|index| !kept(index))
                .map(|index| (index, dense[layer][index as usize].abs()))
                .collect();
            assert_highest(&changed(&rows, next, layer, 1), &candidates, count, &format!("{what}: grown"));
        }
    }
    let difference = reference.difference(&run);
    assert!(difference < 1e-3, "the weights differ by {difference}");
}

#[test]
fn the_dense_gradients_of_rigl_are_billed_in_training_and_replay() {
    let bench = Bench::new(90);
    let words = ["freeze.flops_reduction=0.25", "freeze.interval=1", "sieve.fraction=0.3"];
    let (experiment, run) = bench.train("run", &[&WORDS[..], &words].concat());
    run.assert_sound(EPOCHS);
    let (scores, layers) = (run.rows::<ScoreRow>(), run.rows::<LayerRow>());
    let plan = experiment.plan();
    let mut billed = BTreeSet::new();
    for row in run.rows::<EpochRow>() {
        let of_epoch = || scores.iter().filter(|score| score.epoch == row.epoch);
        let last = of_epoch().map(|score| score.step).max().unwrap();
        let samples = of_epoch().filter(|score| score.step == last).count() as u64;
        // A layer that is to freeze right then is pruned by its magnitudes: no dense gradient.
        let rests = |layer: usize| {
            let frozen = |epoch: u32| {
                layers
                    .iter()
                    .any(|row| (row.epoch, usize::from(row.layer), row.frozen) == (epoch, layer, true))
            };
            frozen(row.epoch) || frozen(row.epoch + 1)
        };
        let asked =
            plan.architecture.layers.iter().enumerate().filter(|(layer, _)| {
                plan.masked[*layer] && !rests(*layer) && UPDATES.contains(&(row.epoch + 1))
            });
        let expected: u64 =
            asked.map(|(_, shape)| 2 * shape.weights() as u64 * shape.positions * samples).sum();
        assert_eq!(row.extra_flops, expected, "{row:?}");
        billed.insert(expected);
    }
    assert!(billed.len() > 1, "some epochs are billed, others are not: {billed:?}");
    for epoch in [1, 2, EPOCHS - 1] {
        let findings = found_after(&run, |run| {
            forge::<EpochRow>(run, epoch, |rows| rows[0].extra_flops ^= 1 << 12);
        });
        assert_found("forged", &findings, &[&format!("epoch {}: extra_flops is ", epoch + 1)]);
    }
    let (_, replay) = replayed(&bench, "replay", &run, &[], 2);
    assert_eq!(costs(&run), costs(&replay));
}
