//! How much layers still change, as a run that observes everything records it.

use std::sync::Arc;

use spfde_data::files::weights;
use spfde_data::rows::{EpochRow, LayerRow, SimilarityRow};
use spfde_data::{Placement, Purpose, draw};
use spfde_model::{Activations, Workspace, input};

use crate::resuming::{assert_equal, begin, finish, until};
use crate::support::{Bench, Recorded, assert_same, transcript};

/// Blocks that freeze and masks that change, in windows of two epochs.
const WORDS: [&str; 6] = [
    "model.name=resnet20",
    "train.epochs=7",
    "mask.interval=2",
    "freeze.flops_reduction=0.2",
    "freeze.probe=24",
    "trace.observe=full",
];

#[test]
fn every_layer_is_compared_with_the_window_before_on_1_2_and_4_workers() {
    let bench = Bench::new(90);
    let experiment = bench.experiment(&WORDS);
    let whole = bench.record("1", &experiment, 1);
    whole.assert_sound(7);
    for workers in [2, 4] {
        let run = bench.record(&workers.to_string(), &experiment, workers);
        assert_same(&transcript(&whole), &transcript(&run), "workers");
        run.assert_sound(7);
    }
    let layers = experiment.plan().architecture.layers.len();
    let rows = whole.rows::<SimilarityRow>();
    // Windows end with epochs 1, 3 and 5.
    let references = [(2, 1), (3, 1), (4, 3), (5, 3), (6, 5)];
    let expected = references.iter().flat_map(|of| (0..layers as u16).map(move |layer| (of.0, layer, of.1)));
    let found = rows.iter().map(|row| (row.epoch, row.layer, row.reference_epoch));
    assert!(found.eq(expected), "{rows:?}");
    assert!(rows.iter().all(|row| (0.0..=1.0).contains(&row.measure) && row.plasticity >= 0.0));
    let frozen = |epoch: u32, layer: u16| {
        whole.rows::<LayerRow>().iter().any(|row| (row.epoch, row.layer, row.frozen) == (epoch, layer, true))
    };
    let mut rested = 0;
    for row in &rows {
        // All that came between was frozen: it has not changed at all.
        let rests = (row.reference_epoch + 1..=row.epoch).all(|epoch| frozen(epoch, row.layer));
        assert_eq!(rests, row.plasticity == 0.0, "{row:?}");
        assert!(!rests || row.measure > 1.0 - 1e-12, "{row:?}");
        rested += u32::from(rests);
    }
    assert!(rested > 0);
    // One forward pass of 24 samples in every epoch.
    let without = bench.experiment(&[&WORDS[..], &["freeze.probe=0"]].concat());
    let without = bench.record("without", &without, 2);
    without.assert_sound(7);
    assert!(without.rows::<SimilarityRow>().is_empty());
    for (with, without) in whole.rows::<EpochRow>().iter().zip(without.rows::<EpochRow>()) {
        let layers = whole.epoch::<LayerRow>(with.epoch).into_iter();
        let pass = layers.zip(&experiment.plan().architecture.layers);
        let pass: u64 = pass.map(|(row, layer)| 2 * u64::from(row.nonzero) * layer.positions).sum();
        assert_eq!(with.extra_flops, without.extra_flops + 24 * pass);
        assert_eq!(with.train_loss, without.train_loss);
    }
    assert!(whole.final_weights() == without.final_weights());
}

/// ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of features from which their means are taken, in f64, by products of samples.
fn cka(x: &[Vec<f32>], y: &[Vec<f32>]) -> f64 {
    let centred = |outputs: &[Vec<f32>]| -> Vec<Vec<f64>> {
        let count = outputs.len() as f64;
        let features = 0..outputs[0].len();
        let means: Vec<f64> =
            features.map(|at| outputs.iter().map(|of| f64::from(of[at])).sum::<f64>() / count).collect();
        let centre = |of: &Vec<f32>| of.iter().zip(&means).map(|(a, mean)| f64::from(*a) - mean).collect();
        outputs.iter().map(centre).collect()
    };
    let (x, y) = (centred(x), centred(y));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let sum = |one: &[Vec<f64>], two: &[Vec<f64>]| -> f64 {
        let pairs = (0..one.len()).flat_map(|i| (0..one.len()).map(move |j| (i, j)));
        pairs.map(|(i, j)| product(&one[i], &one[j]) * product(&two[i], &two[j])).sum()
    };
    sum(&x, &y) / (sum(&x, &x) * sum(&y, &y)).sqrt()
}

#[test]
fn the_measure_is_linear_cka_between_two_checkpoints() {
    let bench = Bench::new(70);
    let words = ["model.name=lenet5", "train.epochs=5", "mask.interval=1", "mask.sparsity=0.6"];
    let experiment = bench.experiment(&[&words[..], &WORDS[4..]].concat());
    // Interrupted, it has two checkpoints: before and after its last epoch.
    let path = bench.path("run");
    begin(&experiment, &path, until(4, 1, 2));
    let run = Recorded::open(&path);
    let data = bench.data();
    let mut samples: Vec<u32> = (0..70).collect();
    samples.sort_by_key(|sample| (draw(0, Purpose::Probe, 0, u64::from(*sample)), *sample));
    let mut samples = samples[..24].to_vec();
    samples.sort_unstable();
    let layers: Vec<usize> = (0..experiment.plan().architecture.layers.len()).collect();
    let outputs: Vec<_> = run
        .manifest
        .checkpoints
        .iter()
        .filter(|file| file.rows.is_none())
        .map(|file| {
            let mut network = experiment.settings().initial_network();
            network.restore(&weights::read(&run.path.join(&file.path)).unwrap().arrays).unwrap();
            let mut inputs = Activations::default((0, 0, 0, 0, 0));
            let place = |_: usize| Placement::default();
            let images = Arc::clone(&data.train);
            input::gather(network.kernel(), &images, &data.normalization, &samples, place, &mut inputs);
            (file.epoch, network.outputs(&mut Workspace::new(&network), &inputs, 24, &layers))
        })
        .collect();
    let of = |epoch: u32| &outputs.iter().find(|(of, _)| *of == epoch).expect("it was kept").1;
    let rows = run.epoch::<SimilarityRow>(3);
    assert_eq!(rows.len(), layers.len());
    for row in rows {
        assert_eq!(row.reference_epoch, 2);
        let layer = usize::from(row.layer);
        let expected = cka(&of(4)[layer], &of(3)[layer]);
        assert!((row.measure - expected).abs() < 1e-4, "{row:?}: {expected}");
    }
}

#[test]
fn a_run_that_goes_on_compares_with_what_was_before() {
    let bench = Bench::new(60);
    let experiment = bench.experiment(&WORDS);
    let whole = bench.record("whole", &experiment, 1);
    assert!(!whole.rows::<SimilarityRow>().is_empty());
    for (epoch, workers) in [(2, [1, 2]), (3, [4, 1]), (4, [2, 4])] {
        let path = bench.path(&epoch.to_string());
        begin(&experiment, &path, until(epoch, 0, workers[0]));
        let run = finish(&bench, &path, workers[1]);
        assert_equal(&run, &whole, &format!("interrupted in epoch {epoch}"));
    }
}

#[test]
fn who_does_not_observe_everything_records_no_similarity() {
    let bench = Bench::new(60);
    let (_, run) = bench.train("run", &["model.name=lenet5", "train.epochs=3", "mask.sparsity=0.6"]);
    assert!(run.manifest.segments.iter().all(|segment| segment.stream != "similarity"));
}
