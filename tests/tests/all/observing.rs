//! What `trace.observe = "full"` adds to a record, and that it changes nothing of the training.

use std::collections::BTreeSet;

use spfde_data::rows::*;

use crate::support::{Bench, Recorded, assert_same, transcript};

const RUN: [&str; 7] = [
    "model.name=lenet5",
    "train.epochs=6",
    "mask.sparsity=0.6",
    "mask.interval=1",
    "sieve.fraction=0.3",
    "freeze.flops_reduction=0.12",
    "data.batch_size=16",
];

/// The transcript of what trained, without what was only observed and its cost.
fn trained(run: &Recorded) -> Vec<String> {
    let observed = |line: &String| line.contains("trained: false") || line.starts_with("SimilarityRow");
    let mut lines: Vec<String> = transcript(run).into_iter().filter(|line| !observed(line)).collect();
    for line in lines.iter_mut().filter(|line| line.starts_with("EpochRow")) {
        for column in ["observed_flops: ", "extra_flops: "] {
            let (front, back) = line.split_once(column).unwrap();
            *line = format!("{front}{}", back.split_once(',').unwrap().1);
        }
    }
    lines
}

#[test]
fn observing_everything_changes_no_bit_of_the_training() {
    let bench = Bench::new(90);
    for extra in [["seed=1", "freeze.policy=progressive"], ["seed=2", "freeze.policy=gradient-norm"]] {
        let words = [&RUN[..], &extra, &["freeze.threshold=1", "freeze.patience=1"]].concat();
        let record = |observe: &str| {
            let observe_word = format!("trace.observe={observe}");
            let experiment = bench.experiment(&[&words[..], &[&observe_word]].concat());
            let run = bench.record(&format!("{observe}{}", extra[0]), &experiment, 2);
            run.assert_sound(6);
            run
        };
        let (active, full) = (record("active"), record("full"));
        assert!(active.final_weights() == full.final_weights(), "{extra:?}: the same weights");
        assert_same(&trained(&active), &trained(&full), "what trained");
        assert!(active.rows::<EpochRow>().iter().all(|row| row.observed_flops == 0));
        assert!(full.rows::<EpochRow>().iter().all(|row| row.observed_flops > 0));
        assert!(!full.rows::<FreezeRow>().is_empty(), "{extra:?}: something froze");
    }
}

#[test]
fn every_sample_has_a_score_in_every_epoch_and_every_layer_a_norm_at_every_step() {
    let bench = Bench::new(90);
    let (_, run) = bench.train("run", &[&RUN[..], &["trace.observe=full"]].concat());
    for epoch in 0..6 {
        let scores = run.epoch::<ScoreRow>(epoch);
        let samples: BTreeSet<u32> = scores.iter().map(|row| row.sample).collect();
        assert_eq!((samples.len(), scores.len()), (90, 90), "epoch {epoch}");
        // 63 active samples in four batches; 27 others in two, whose steps go on.
        let steps = |trained| -> BTreeSet<u32> {
            scores.iter().filter(|row| row.trained == trained).map(|row| row.step).collect()
        };
        assert!(steps(true).into_iter().eq(0..4) && steps(false).into_iter().eq(4..6), "epoch {epoch}");
        let norms = run.epoch::<GradientRow>(epoch);
        let places: BTreeSet<(u32, u16)> = norms.iter().map(|row| (row.step, row.layer)).collect();
        assert_eq!((places.len(), norms.len()), (4 * 5, 4 * 5), "epoch {epoch}: four steps, five layers");
        assert!(norms.iter().all(|row| row.l2 > 0.0 && row.l2.is_finite()), "epoch {epoch}");
    }
    let frozen = run.rows::<FreezeRow>()[0].clone();
    let observed = run.epoch::<GradientRow>(frozen.epoch);
    assert!(observed.iter().any(|row| row.layer == frozen.layer && !row.trained));
}

#[test]
fn what_is_observed_does_not_depend_on_the_number_of_workers() {
    let bench = Bench::new(75);
    let experiment = bench.experiment(&[&RUN[..], &["trace.observe=full"]].concat());
    let runs = [1, 2, 4, 5].map(|workers| bench.record(&format!("w{workers}"), &experiment, workers));
    let expected = transcript(&runs[0]);
    for run in &runs[1..] {
        assert_same(&expected, &transcript(run), "workers");
        assert!(runs[0].final_weights() == run.final_weights());
        run.assert_sound(6);
    }
}
