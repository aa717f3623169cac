//! What other policies decide and cost, recomputed from the record with lists and sums.

use std::collections::{BTreeMap, BTreeSet};

use spfde_data::rows::*;

use super::replayed;
use crate::sieve::{Case, active_sets, circulate, first_difference, recorded};
use crate::support::{Bench, Recorded};

const SAMPLES: u32 = 90;
pub(super) const EPOCHS: u32 = 9;

/// A run whose masks change every epoch, whose front freezes, and whose samples circulate.
pub(super) fn record(bench: &Bench, observe: &str) -> Recorded {
    let observe = format!("trace.observe={observe}");
    let words = [
        "model.name=lenet5",
        "seed=5",
        "train.epochs=9",
        // Under `nesterov` norms rise to the end here.
        "train.optimizer=momentum",
        "mask.sparsity=0.6",
        "mask.interval=2",
        "sieve.fraction=0.3",
        "freeze.flops_reduction=0.15",
        "data.batch_size=16",
        &observe,
    ];
    let (_, run) = bench.train("run", &words);
    run.assert_sound(EPOCHS);
    run
}

/// The layers of `lenet5` on 12 × 12 images: weights, output positions, whether masked.
const LAYERS: [(u64, u64, bool); 5] = [
    (6 * 25, 12 * 12, false),
    (16 * 6 * 25, 2 * 2, true),
    (120 * 16, 1, true),
    (84 * 120, 1, true),
    (10 * 84, 1, false),
];

/// FLOPs of an epoch, forward and backward, where every layer is a block and the first `frozen` are frozen.
fn flops(nonzero: &[u64], frozen: usize, samples: u64) -> (u64, u64) {
    let once: Vec<u64> = nonzero
        .iter()
        .zip(LAYERS)
        .map(|(nonzero, (_, positions, _))| 2 * nonzero * positions * samples)
        .collect();
    // The first layer that trains needs no gradient of its input.
    let backward = once[frozen..].iter().sum::<u64>() * 2 - once[frozen];
    (once.iter().sum(), backward)
}

#[test]
fn another_sieve_on_a_full_record_exchanges_whom_a_list_and_a_sort_would() {
    let bench = Bench::new(SAMPLES as usize);
    let run = record(&bench, "full");
    let scores = run.rows::<ScoreRow>();
    for (fraction, interval, seed) in [(0.5, 2, 5), (0.2, 3, 5), (0.4, 2, 8)] {
        let words = [
            format!("sieve.fraction={fraction}"),
            format!("sieve.interval={interval}"),
            format!("seed={seed}"),
        ];
        let words = words.each_ref().map(String::as_str);
        let (found, replay) = replayed(&bench, &words.join(" "), &run, &words, 3);
        let case = Case { seed, samples: SAMPLES, epochs: EPOCHS, fraction, interval };
        assert_eq!(first_difference(&recorded(&replay), &circulate(&case, &scores)), None, "{words:?}");
        assert!(
            found.censored.iter().all(|row| (row.samples, row.layers, row.norms) == (0, 0, 0)),
            "{words:?}"
        );
        // Costs: recorded masks and freezes, replayed samples.
        let active = (f64::from(SAMPLES) * (1.0 - fraction)).round() as u64;
        for (row, live) in found.epochs.iter().zip(run.rows::<EpochRow>()) {
            assert_eq!(u64::from(row.active_samples), active);
            assert_eq!(row.forward_flops * u64::from(live.active_samples), live.forward_flops * active);
            assert_eq!(row.backward_flops * u64::from(live.active_samples), live.backward_flops * active);
        }
    }
}

/// When each block freezes by its gradient norm: a block's value at a step is √(Σ l2²) / √(Σ nonzero), and
/// here every layer is a block.
pub(super) fn settled(run: &Recorded, interval: u32, threshold: f64, patience: u32) -> Vec<(u32, u16)> {
    let norms = run.rows::<GradientRow>();
    let masks = run.rows::<MaskRow>();
    let nonzero = |layer: u16, epoch: u32| -> i64 {
        let (weights, _, masked) = LAYERS[usize::from(layer)];
        let deltas = masks.iter().filter(|row| row.layer == layer && row.epoch <= epoch);
        if masked { deltas.map(|row| i64::from(row.diff)).sum() } else { weights as i64 }
    };
    // By block: the mean of each window.
    let mean = |layer: u16, window: u32| -> f64 {
        let epochs = window * interval..(window + 1) * interval;
        let values: Vec<f64> = norms
            .iter()
            .filter(|row| row.layer == layer && epochs.contains(&row.epoch))
            .map(|row| f64::from(row.l2).powi(2).sqrt() / (nonzero(layer, row.epoch) as f64).sqrt())
            .collect();
        let kept = &values[(values.len() as f64 * 0.25).ceil() as usize..];
        kept.iter().sum::<f64>() / kept.len() as f64
    };
    let mut decisions = Vec::new();
    for epoch in (1..EPOCHS).filter(|epoch| epoch % interval == 0) {
        let (block, windows) = (decisions.len() as u16, epoch / interval);
        // The classifier is no block; and as many windows as it takes have to be there, and one before them.
        if usize::from(block) + 1 == LAYERS.len() || windows < patience + 1 {
            continue;
        }
        let calm = |window: u32| {
            let (before, now) = (mean(block, window - 1), mean(block, window));
            (now - before).abs() / before < threshold
        };
        if (windows - patience..windows).all(calm) {
            decisions.push((epoch, block));
        }
    }
    decisions
}

#[test]
fn another_freeze_policy_on_a_full_record_freezes_when_means_of_norms_settle() {
    let bench = Bench::new(SAMPLES as usize);
    let run = record(&bench, "full");
    let mut different = BTreeSet::new();
    for (threshold, patience) in [(0.05, 1), (0.2, 1), (0.5, 1), (0.5, 2), (1.0, 1)] {
        let words = [
            "freeze.policy=gradient-norm".to_owned(),
            format!("freeze.threshold={threshold}"),
            format!("freeze.patience={patience}"),
            "freeze.flops_reduction=0.99".to_owned(),
        ];
        // No guard but these.
        let off = ["scale=weights", "cap=1", "floor=0", "thaw_rate=0", "thaw_rise=0"];
        let off = off.map(|key| format!("freeze.{key}"));
        let name = words.join(" ");
        let words: Vec<&str> = words.iter().chain(&off).map(String::as_str).collect();
        let (found, replay) = replayed(&bench, &name, &run, &words, 2);
        let decided: Vec<(u32, u16)> =
            replay.rows::<FreezeRow>().iter().map(|row| (row.epoch, row.layer)).collect();
        let expected = settled(&run, 2, threshold, patience);
        assert_eq!(decided, expected, "{words:?}");
        assert!(found.censored.iter().all(|row| row.norms == 0), "{words:?}");
        for row in &found.epochs {
            let frozen = expected.iter().filter(|(at, _)| *at <= row.epoch).count();
            let nonzero =
                run.epoch::<LayerRow>(row.epoch).iter().map(|row| u64::from(row.nonzero)).collect::<Vec<_>>();
            let expected = flops(&nonzero, frozen, u64::from(row.active_samples));
            assert_eq!((row.forward_flops, row.backward_flops), expected, "{words:?}: epoch {}", row.epoch);
        }
        different.insert(decided);
    }
    assert!(different.len() > 2, "the threshold matters: {different:?}");
}

#[test]
fn another_mask_policy_costs_what_its_densities_say() {
    let bench = Bench::new(SAMPLES as usize);
    let run = record(&bench, "full");
    let words = ["mask.policy=static", "mask.sparsity=0.8", "freeze.policy=none"];
    let (found, replay) = replayed(&bench, "static", &run, &words, 2);
    let nonzero = LAYERS.map(
        |(weights, _, masked)| {
            if masked { (0.2 * weights as f64).round() as u64 } else { weights }
        },
    );
    for (row, live) in found.epochs.iter().zip(run.rows::<EpochRow>()) {
        let expected = flops(&nonzero, 0, u64::from(live.active_samples));
        assert_eq!((row.forward_flops, row.backward_flops), expected, "epoch {}", row.epoch);
        assert_eq!((row.nonzero, row.frozen_layers), (nonzero.iter().sum(), 0), "epoch {}", row.epoch);
        assert_eq!(row.dense_flops, live.dense_flops);
    }
    assert!(replay.rows::<MaskRow>().is_empty() && replay.rows::<FreezeRow>().is_empty());
}

#[test]
fn what_an_active_record_lacks_is_counted_exactly() {
    let bench = Bench::new(SAMPLES as usize);
    let run = record(&bench, "active");
    let words = ["sieve.fraction=0.5", "sieve.interval=3", "freeze.policy=none"];
    let (found, replay) = replayed(&bench, "other", &run, &words, 2);
    let case = Case { seed: 5, samples: SAMPLES, epochs: EPOCHS, fraction: 0.5, interval: 3 };
    let active = active_sets(&case, &recorded(&replay));
    let (scores, norms) = (run.rows::<ScoreRow>(), run.rows::<GradientRow>());
    let frozen_at: BTreeMap<u16, u32> =
        run.rows::<FreezeRow>().iter().map(|row| (row.layer, row.epoch)).collect();
    let (mut samples, mut lacking) = (0, 0);
    for row in &found.censored {
        let scored: BTreeSet<u32> =
            scores.iter().filter(|score| score.epoch == row.epoch).map(|score| score.sample).collect();
        assert_eq!(row.samples as usize, active[row.epoch as usize].difference(&scored).count(), "{row:?}");
        // Nothing is frozen in the replay: what the record froze is lacking, at every step.
        let steps: BTreeSet<u32> =
            norms.iter().filter(|norm| norm.epoch == row.epoch).map(|norm| norm.step).collect();
        let layers = frozen_at.values().filter(|at| **at <= row.epoch).count();
        assert_eq!((usize::from(row.layers), row.norms), (layers, (layers * steps.len()) as u64), "{row:?}");
        samples += row.samples;
        lacking += row.norms;
    }
    assert!(samples > 0 && lacking > 0, "there is something to count: {samples} scores, {lacking} norms");
}

#[test]
fn a_policy_that_reads_layers_lacks_those_that_were_frozen_although_their_norms_were_observed() {
    let bench = Bench::new(SAMPLES as usize);
    let run = record(&bench, "full");
    let was_frozen = |epoch: u32, layer: u16| {
        run.rows::<LayerRow>().iter().any(|row| (row.epoch, row.layer, row.frozen) == (epoch, layer, true))
    };
    for (policy, reads) in [("autofreeze", true), ("none", false)] {
        let words = [format!("freeze.policy={policy}"), "freeze.percentile=0".to_owned()];
        let words: Vec<&str> = words.iter().map(String::as_str).take(if reads { 2 } else { 1 }).collect();
        let (found, replay) = replayed(&bench, policy, &run, &words, 2);
        assert!(replay.rows::<FreezeRow>().is_empty(), "no change is below the least: every layer trains");
        for row in &found.censored {
            let frozen = (0..5).filter(|layer| was_frozen(row.epoch, *layer)).count() as u16;
            assert_eq!(
                (row.layers, row.norms),
                (if reads { frozen } else { 0 }, 0),
                "{policy} {}",
                row.epoch
            );
        }
        assert_eq!(found.censored.iter().any(|row| row.layers > 0), reads, "{policy}");
    }
}
