//! `gse` with guided sampling in a run: sums, candidates and what grows, recomputed by a replica of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::PI;

use spfde::Experiment;
use spfde_data::augment::Placement;
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::{EpochRow, LayerRow, MaskRow, ScoreRow};
use spfde_model::{Activations, Extra, Network, Shard, Sums, Wanted, Workspace, input};
use spfde_policy::mask::Candidates;

use crate::reference::{Reference, filled, gradient};
use crate::replay::{costs, replayed};
use crate::resuming::{assert_equal, begin, finish, until};
use crate::rigl::assert_highest;
use crate::support::{Bench, DESCRIBED, assert_same, transcript};

const EPOCHS: u32 = 7;
const WORDS: [&str; 8] = [
    "model.name=lenet5",
    "mask.policy=gse",
    "mask.sparsity=0.8",
    "mask.scope=layer",
    "mask.drop=0.5",
    "train.epochs=7",
    "train.storage=f32",
    "freeze.policy=none",
];
/// The multiples of the interval before 0.75 of the run.
const UPDATES: [u32; 2] = [2, 4];

/// Sums of some samples, which step `tick` trains as one shard: of each layer's taps and outputs.
fn sums(
    experiment: &Experiment,
    network: &Network,
    (samples, tick): (&[u32], (u32, u32)),
    layers: &[usize],
    kind: Sums,
) -> Vec<[Vec<f32>; 2]> {
    let settings = experiment.settings();
    let data = &settings.data;
    let mut inputs = Activations::default((0, 0, 0, 0, 0));
    let place = |_: usize| Placement::default();
    input::gather(network.kernel(), &data.train, &data.normalization, samples, place, &mut inputs);
    let labels: Vec<u16> = samples.iter().map(|sample| data.train.labels[*sample as usize]).collect();
    let moment = u64::from(tick.0) << 32 | u64::from(tick.1);
    let key = |sample: &u32| draw(settings.seed, Purpose::Dropout, moment, u64::from(*sample));
    let (weights, noise) = (vec![1.0; samples.len()], samples.iter().map(key).collect::<Vec<u64>>());
    let shard = Shard {
        inputs: &inputs,
        labels: &labels,
        weights: &weights,
        noise: &noise,
        batch_samples: samples.len(),
    };
    let extra: Vec<Extra> =
        layers.iter().map(|layer| Extra::new(*layer, vec![]).with_sums(Some(kind))).collect();
    let (mut part, mut numbers) = (vec![0.0; network.part_len()], vec![0.0; network.extra_len(&extra)]);
    let wanted =
        Wanted { part: &mut part, extra: &extra, extra_gradients: &mut numbers, ..Wanted::default() };
    network.train_shard_for(&mut Workspace::new(network), &shard, wanted);
    layers.iter().map(|layer| network.extra_sums(&numbers, &extra, *layer).map(<[f32]>::to_vec)).collect()
}

#[test]
fn what_grows_is_the_best_of_the_candidates_that_the_sums_of_the_step_before_say() {
    let bench = Bench::new(96);
    for (name, kind) in [("grabo", Sums::Magnitudes), ("graest", Sums::Signed)] {
        let sampling = format!("mask.sampling={name}");
        let (experiment, run) = bench.train(name, &[&WORDS[..], &[&sampling]].concat());
        run.assert_sound(EPOCHS);
        let rows = run.rows::<MaskRow>();
        let changed = |epoch: u32, layer: usize, diff: i8| -> BTreeSet<u32> {
            let of = |row: &&MaskRow| (row.epoch, usize::from(row.layer), row.diff) == (epoch, layer, diff);
            rows.iter().filter(of).map(|row| row.index).collect()
        };
        let plan = experiment.plan();
        let mask = &experiment.settings().policies.mask;
        let masked: Vec<usize> = (0..plan.masked.len()).filter(|layer| plan.masked[*layer]).collect();
        let mut reference = Reference::new(&experiment, &run);
        for epoch in 0..EPOCHS {
            let (mut before, mut drawn) = (Vec::new(), BTreeMap::new());
            let next = epoch + 1;
            reference.train_steps(epoch, |step, steps, network, samples| {
                if step + 2 == steps {
                    let of = (samples, (epoch, step as u32));
                    before = sums(&experiment, network, of, &masked, kind);
                }
                if step + 1 < steps {
                    return;
                }
                let filled = filled(&experiment, network);
                let part = gradient(&experiment, &filled, samples, &vec![1.0; samples.len()]);
                for (layer, [taps, slopes]) in masked.iter().zip(&before) {
                    let asked = Candidates {
                        seed: experiment.settings().seed,
                        layer: *layer,
                        tick: (next, 0),
                        units: mask.moment(*layer, next, plan.spans(*layer)).units,
                        indices: network.indices(*layer),
                        sums: [taps, slopes],
                    };
                    let dense = filled.gradient(&part, *layer);
                    let candidates = mask.candidates(&asked).into_iter();
                    let graded = candidates.map(|index| (index, dense[index as usize].abs()));
                    drawn.insert(*layer, graded.collect::<Vec<(u32, f32)>>());
                }
            });
            if !UPDATES.contains(&next) {
                continue;
            }
            let share = 0.5 / 2.0 * (1.0 + (PI * f64::from(next) / (0.75 * f64::from(EPOCHS))).cos());
            for layer in &masked {
                let what = format!("{name}, epoch {next}, layer {layer}");
                let (indices, values) = (reference.network.indices(*layer), reference.network.values(*layer));
                let count = ((share * indices.len() as f64) as usize).min(drawn[layer].len());
                assert!(count > 0, "{what}");
                let small: Vec<(u32, f32)> =
                    indices.iter().zip(values).map(|(index, value)| (*index, -value.abs())).collect();
                assert_highest(&changed(next, *layer, -1), &small, count, &format!("{what}: dropped"));
                assert_highest(&changed(next, *layer, 1), &drawn[layer], count, &format!("{what}: grown"));
            }
        }
        let difference = reference.difference(&run);
        assert!(difference < 1e-3, "the weights differ by {difference}");
    }
}

#[test]
fn sums_are_billed_with_the_candidates_that_are_drawn_by_them_in_training_and_replay() {
    let bench = Bench::new(90);
    let freezes = ["freeze.policy=progressive", "freeze.flops_reduction=0.1", "freeze.interval=1"];
    let (experiment, run) =
        bench.train("run", &[&WORDS[..7], &freezes, &["mask.sampling=grabo", "sieve.fraction=0.3"]].concat());
    run.assert_sound(EPOCHS);
    let (scores, layers) = (run.rows::<ScoreRow>(), run.rows::<LayerRow>());
    let plan = experiment.plan();
    let mut billed = BTreeSet::new();
    for row in run.rows::<EpochRow>() {
        let steps = scores.iter().filter(|score| score.epoch == row.epoch).map(|score| score.step);
        let last = steps.clone().max().unwrap();
        let samples = |of: u32| steps.clone().filter(|step| *step == of).count() as u64;
        let layer = |layer: usize, epoch: u32| {
            layers.iter().find(|row| (row.epoch, usize::from(row.layer)) == (epoch, layer)).unwrap()
        };
        let next = row.epoch + 1;
        let asked = (0..plan.masked.len())
            .filter(|at| plan.masked[*at] && UPDATES.contains(&next) && !layer(*at, next).frozen);
        let expected = asked.map(|at| {
            let shape = &plan.architecture.layers[at];
            let sums = shape.outputs + shape.inputs * shape.kernel.0 * shape.kernel.1;
            let candidates = u64::from(layer(at, row.epoch).nonzero) * samples(last);
            2 * shape.positions * (candidates + sums as u64 * samples(last - 1))
        });
        let expected: u64 = expected.sum();
        assert_eq!(row.extra_flops, expected, "{row:?}");
        billed.insert(expected);
    }
    assert!(billed.len() > 1, "some epochs are billed, others are not: {billed:?}");
    let (_, replay) = replayed(&bench, "replay", &run, &[], 2);
    assert_eq!(costs(&run), costs(&replay));
}

#[test]
fn guided_sampling_is_the_same_on_any_number_of_workers_and_after_a_stop() {
    let bench = Bench::new(96);
    let networks: [&[&str]; 3] = [&WORDS[..1], &DESCRIBED, &["model.name=resnet20"]];
    let cases = [("grabo", 0), ("graest", 0), ("graest", 1), ("grabo", 1), ("graest", 2)];
    for (case, (sampling, network)) in cases.into_iter().enumerate() {
        let sampling = format!("mask.sampling={sampling}");
        // After every second step, or with an epoch; once more among frozen blocks and fewer samples.
        let windows: [&[&str]; 2] = [
            &["mask.interval_steps=2", "freeze.flops_reduction=0.03", "sieve.policy=none"],
            &["mask.interval=1", "freeze.policy=none", "sieve.policy=random", "sieve.fraction=0.3"],
        ];
        for (number, window) in windows.into_iter().enumerate() {
            let common = ["mask.policy=gse", "mask.sparsity=0.7", "train.epochs=4", "data.batch_size=16"];
            let words = [networks[network], &common, window, &[&sampling]].concat();
            let experiment = bench.experiment(&words);
            let whole = bench.record(&format!("whole-{case}-{number}"), &experiment, 1);
            whole.assert_sound(4);
            assert!(whole.rows::<MaskRow>().iter().any(|row| (row.epoch, row.step) > (0, 0)), "{words:?}");
            for workers in [2, 4] {
                let run = bench.record(&format!("{workers}-{case}-{number}"), &experiment, workers);
                assert_same(&transcript(&whole), &transcript(&run), &words.join(" "));
            }
            let path = bench.path(&format!("cut-{case}-{number}"));
            begin(&experiment, &path, until(2, 1, 2));
            assert_equal(&finish(&bench, &path, 3), &whole, &words.join(" "));
        }
    }
}

#[test]
fn without_a_step_before_candidates_are_drawn_uniformly() {
    let bench = Bench::new(96);
    let words = [&WORDS[..], &["data.batch_size=96", "mask.interval=1"]].concat();
    let (_, uniform) = bench.train("uniform", &words);
    let (_, guided) = bench.train("guided", &[&words[..], &["mask.sampling=grabo"]].concat());
    assert!(uniform.rows::<MaskRow>().iter().any(|row| row.epoch > 0));
    assert_same(&transcript(&uniform), &transcript(&guided), "an epoch has one step");
}
