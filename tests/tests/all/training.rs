//! The recorded steps are those of the schedule: who is in which batch, and how far each block's weights go.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use spfde_data::random::{Purpose, draw};
use spfde_data::rows::{EpochRow, FreezeRow, GradientRow, LayerRow, ScoreRow};
use spfde_model::MomentumSgd;

use crate::reference::{Reference, gradient};
use crate::support::Bench;

#[test]
fn every_epoch_deals_its_samples_anew_into_batches_of_nearly_equal_size() {
    let bench = Bench::new(100);
    let words = ["model.name=lenet5", "mask.sparsity=0.5", "train.epochs=4", "data.batch_size=30", "seed=9"];
    let (_, run) = bench.train("run", &words);
    let mut orders = Vec::new();
    for epoch in 0..4 {
        let scores = run.epoch::<ScoreRow>(epoch);
        let mut samples: Vec<u32> = scores.iter().map(|row| row.sample).collect();
        samples.sort_by_key(|sample| draw(9, Purpose::Shuffle, u64::from(epoch), u64::from(*sample)));
        // 85 samples: two batches of 28 and one of 29.
        let steps: BTreeMap<u32, u32> = scores.iter().map(|row| (row.sample, row.step)).collect();
        let dealt: Vec<u32> = samples.iter().map(|sample| steps[sample]).collect();
        let expected: Vec<u32> =
            [28, 28, 29].into_iter().zip(0..).flat_map(|(size, step)| vec![step; size]).collect();
        assert_eq!(dealt, expected, "epoch {epoch}");
        orders.push(samples);
    }
    // Between epochs 0 and 1 no sample enters or leaves.
    assert_ne!(orders[0], orders[1]);
    orders[..2].iter_mut().for_each(|order| order.sort_unstable());
    assert_eq!(orders[0], orders[1]);
}

#[test]
fn a_step_moves_a_block_by_its_own_learning_rate_which_ends_at_zero_when_it_freezes() {
    // Plain gradient descent with one step an epoch: the weights move by the rate times the gradient.
    for warmup in [0.0, 2.5] {
        steps_follow_their_rates(warmup);
    }
}

fn steps_follow_their_rates(warmup: f64) {
    let warm_up = format!("train.warmup={warmup}");
    let words = [
        "model.name=lenet5",
        "mask.policy=dense",
        "sieve.policy=none",
        "train.epochs=8",
        "train.momentum=0",
        "train.weight_decay=0",
        "data.batch_size=100",
        "freeze.flops_reduction=0.35",
        &warm_up,
    ];
    let bench = Bench::new(100);
    let (experiment, run) = bench.train("run", &words);
    let frozen_at: BTreeMap<u16, u32> =
        run.rows::<FreezeRow>().iter().map(|row| (row.layer, row.epoch)).collect();
    let rate = |epoch: u32, ends: u32| {
        let warm = ((f64::from(epoch) + 1.0) / warmup).min(1.0);
        warm * 0.05 * (1.0 + (PI * f64::from(epoch) / f64::from(ends)).cos())
    };
    let norms: BTreeMap<(u32, u16), GradientRow> =
        run.rows::<GradientRow>().into_iter().map(|row| ((row.epoch, row.layer), row)).collect();
    let mut compared = 0;
    for row in run.rows::<LayerRow>().iter().filter(|row| !row.frozen) {
        let norm = &norms[&(row.epoch, row.layer)];
        assert_eq!(norm.step, 0);
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-3 * expected;
        assert!(near(row.gradient_sum_l1, norm.l1.into()) && near(row.gradient_sum_l2, norm.l2.into()));
        let moved = rate(row.epoch, frozen_at.get(&row.layer).copied().unwrap_or(8)) * f64::from(norm.l1);
        assert!(near(row.weight_change_l1, moved), "{row:?} should move by {moved}");
        compared += 1;
    }
    assert_eq!(compared, norms.len());
    assert!(frozen_at.len() >= 2 && compared > 20, "{frozen_at:?}, {compared} rows");
    assert_eq!(experiment.settings().learning_rate, 0.1);
    for row in run.rows::<EpochRow>() {
        assert!((row.learning_rate - rate(row.epoch, 8)).abs() < 1e-12, "{row:?}");
    }
}

#[test]
fn a_clipped_gradient_has_the_norm_that_was_asked_for_and_norms_are_those_before() {
    let words = [
        "model.name=lenet5",
        "mask.sparsity=0.5",
        "sieve.policy=none",
        "train.epochs=1",
        "train.momentum=0",
        "train.weight_decay=0",
        "data.batch_size=100",
        "train.clip=0.3",
        "train.storage=f32",
    ];
    let bench = Bench::new(100);
    let (experiment, run) = bench.train("run", &words);
    let mut reference = Reference::new(&experiment, &run);
    let samples: Vec<u32> = run.rows::<ScoreRow>().iter().map(|row| row.sample).collect();
    // Without batch norm every number is a gradient.
    let mut part = gradient(&experiment, &reference.network, &samples, &[1.0; 100]);
    let norm = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    for row in run.rows::<GradientRow>() {
        let expected = norm(reference.network.gradient(&part, row.layer.into()));
        assert!((f64::from(row.l2) - expected).abs() < 1e-4 * expected, "{row:?}, {expected}");
    }
    let factor = (0.3 / norm(&part)) as f32;
    assert!(factor < 0.5, "{factor}");
    part.iter_mut().for_each(|value| *value *= factor);
    let rates = vec![0.1; reference.network.architecture().blocks.len() + 1];
    reference.network.update(
        &part,
        &rates,
        &MomentumSgd { momentum: 0.0, weight_decay: 0.0, nesterov: false },
    );
    let difference = reference.difference(&run);
    assert!(difference < 1e-6, "{difference}");
}

#[test]
fn losses_and_accuracies_of_an_epoch_are_the_means_of_its_scores() {
    let bench = Bench::new(100);
    let words = ["model.name=lenet5", "mask.sparsity=0.5", "train.epochs=3"];
    let (_, run) = bench.train("run", &words);
    for row in run.rows::<EpochRow>() {
        let scores = run.epoch::<ScoreRow>(row.epoch);
        let count = scores.len() as f64;
        let loss = scores.iter().map(|score| f64::from(score.loss)).sum::<f64>() / count;
        let right = scores.iter().filter(|score| score.correct).count() as f64 / count;
        assert!((row.train_loss.unwrap() - loss).abs() < 1e-9, "{row:?}");
        assert_eq!(row.train_accuracy, Some(right));
        for score in &scores {
            // A label with more than half of the probability is the largest; the error lies between 0 and √2.
            assert!(score.correct || score.loss > 0.693, "{score:?}");
            assert!((0.0..1.4143).contains(&score.error_norm), "{score:?}");
        }
    }
}
