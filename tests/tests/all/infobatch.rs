//! `infobatch` in a run: who is active with what weight, recomputed by a plain loop from the recorded scores.

use std::collections::BTreeMap;

use spfde_data::random::{Purpose, draw};
use spfde_data::rows::{EpochRow, ScoreRow, SieveRow};

use crate::reference::Reference;
use crate::support::{Bench, Recorded, assert_same, transcript};

const SAMPLES: u32 = 110;
const EPOCHS: u32 = 9;
const SEED: u64 = 3;

fn words(fraction: &str) -> Vec<&str> {
    let fixed = [
        "model.name=lenet5",
        "mask.policy=static",
        "mask.sparsity=0.5",
        "freeze.policy=none",
        "sieve.policy=infobatch",
        "train.epochs=9",
        "train.storage=f32",
        "seed=3",
    ];
    fixed.into_iter().chain([fraction]).collect()
}

/// The active samples of every epoch with their weights; each compares with the mean of its class.
fn active_sets(fraction: f64, scores: &[ScoreRow], class: impl Fn(u32) -> u16) -> Vec<BTreeMap<u32, f32>> {
    let all: BTreeMap<u32, f32> = (0..SAMPLES).map(|sample| (sample, 1.0)).collect();
    let mut losses = vec![3.0f32; SAMPLES as usize];
    let mut sets = vec![all.clone()];
    for epoch in 1..EPOCHS {
        for row in scores.iter().filter(|row| row.epoch + 1 == epoch) {
            losses[row.sample as usize] = row.loss;
        }
        if f64::from(epoch) > 0.875 * f64::from(EPOCHS) {
            sets.push(all.clone());
            continue;
        }
        let loss = |sample: u32| f64::from(losses[sample as usize]);
        let mean = |of: u32| {
            let own = (0..SAMPLES).filter(|sample| class(*sample) == class(of));
            own.clone().map(loss).sum::<f64>() / own.count() as f64
        };
        let mut set = all.clone();
        for sample in (0..SAMPLES).filter(|sample| loss(*sample) < mean(*sample)) {
            let drawn = draw(SEED, Purpose::Keep, u64::from(epoch), u64::from(sample)) as f64 / 2f64.powi(64);
            match drawn < 1.0 - fraction {
                true => set.insert(sample, (1.0 / (1.0 - fraction)) as f32),
                false => set.remove(&sample),
            };
        }
        sets.push(set);
    }
    sets
}

/// What has to stand in `sieves`: what was, then what is, of every sample that is not as before.
fn deltas(sets: &[BTreeMap<u32, f32>]) -> Vec<(u32, u32, i8, f32)> {
    let mut deltas = Vec::new();
    let mut before = BTreeMap::new();
    for (epoch, now) in (0..).zip(sets) {
        for sample in 0..SAMPLES {
            let (was, is) = (before.get(&sample), now.get(&sample));
            if was != is {
                deltas.extend(was.map(|weight| (epoch, sample, -1, *weight)));
                deltas.extend(is.map(|weight| (epoch, sample, 1, *weight)));
            }
        }
        before.clone_from(now);
    }
    deltas
}

fn recorded(run: &Recorded) -> Vec<(u32, u32, i8, f32)> {
    let mut rows = run.rows::<SieveRow>();
    rows.sort_by_key(|row| (row.epoch, row.sample, row.diff));
    rows.iter().map(|row| (row.epoch, row.sample, row.diff, row.weight)).collect()
}

#[test]
fn infobatch_thins_and_weighs_exactly_whom_a_plain_loop_would() {
    let bench = Bench::skewed(SAMPLES as usize);
    let (data, labels) = (bench.data_word(), bench.data().train.labels.clone());
    for (fraction, by_class) in [(0.5, false), (0.3, false), (0.4, true)] {
        let word = format!("sieve.fraction={fraction}");
        let stratify = format!("sieve.stratify={by_class}");
        let experiment = bench.experiment(&[&words(&word)[..], &[&data, &stratify]].concat());
        let run = bench.record(&word, &experiment, 1);
        run.assert_sound(EPOCHS);
        let scores = run.rows::<ScoreRow>();
        let class = |sample: u32| if by_class { labels[sample as usize] } else { 0 };
        let sets = active_sets(fraction, &scores, class);
        let expected = deltas(&sets);
        let found = recorded(&run);
        let different = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        assert_eq!((different, found.len()), (None, expected.len()), "{fraction}");
        // Samples left, and of others only the weight changed.
        let pair = |rows: &[(u32, u32, i8, f32)]| rows[0].0 == rows[1].0 && rows[0].1 == rows[1].1;
        assert!(found.windows(2).any(pair) && sets.iter().any(|set| set.len() < SAMPLES as usize));
        for (row, set) in run.rows::<EpochRow>().iter().zip(&sets) {
            assert_eq!(row.active_samples as usize, set.len(), "{row:?}");
            let mut presented: Vec<u32> =
                scores.iter().filter(|score| score.epoch == row.epoch).map(|score| score.sample).collect();
            presented.sort_unstable();
            assert!(presented.iter().eq(set.keys()), "epoch {}", row.epoch);
        }
        assert_eq!(sets[8].len(), SAMPLES as usize, "in the end all are active");
        for workers in [2, 4] {
            let other = bench.record(&format!("{word} on {workers}"), &experiment, workers);
            assert_same(&transcript(&run), &transcript(&other), &word);
            assert!(run.final_weights() == other.final_weights(), "{word} on {workers} workers");
        }
        // The weights take part in the loss.
        let mut reference = Reference::new(&experiment, &run);
        (0..EPOCHS).for_each(|epoch| reference.train(epoch, |_, _| ()));
        let difference = reference.difference(&run);
        assert!(difference < 1e-3, "the weights differ by {difference}");
    }
}
