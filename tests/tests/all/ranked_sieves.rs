//! Sieves that rank all samples, with a warm-up and an end, recomputed by a sort of the recorded scores at
//! every window.

use std::collections::BTreeSet;

use spfde_data::random::{Purpose, draw};
use spfde_data::rows::ScoreRow;

use crate::sieve::{Changes, first_difference, forgotten, recorded};
use crate::support::Bench;

const SAMPLES: u32 = 110;
const EPOCHS: u32 = 11;
const SEED: u64 = 6;

/// What a sample is ranked by, from its scores so far in order.
fn key(policy: &str, rows: &[&ScoreRow]) -> u32 {
    let latest = rows.last().expect("all are trained at first");
    match policy {
        "loss" => latest.loss.to_bits(),
        "error-norm" => latest.error_norm.to_bits(),
        _ => forgotten(&rows.iter().map(|row| row.correct).collect::<Vec<bool>>()),
    }
}

/// Who is out after each decision, with the keys by which they were ranked, as changes.
fn expected(policy: &str, scores: &[ScoreRow], decides: &[u32], end: u32) -> Changes {
    let mut changes: Changes = (0..SAMPLES).map(|sample| ((0, sample), (1, 0))).collect();
    let mut outside = BTreeSet::new();
    for epoch in 1..EPOCHS {
        let out = match epoch {
            epoch if epoch == end => 0,
            epoch if decides.contains(&epoch) => (0.3 * f64::from(SAMPLES)).round() as usize,
            _ => continue,
        };
        let mut ranked: Vec<(u32, u64, u32)> = (0..SAMPLES)
            .map(|sample| {
                let of = |row: &&ScoreRow| row.sample == sample && row.epoch < epoch;
                let mut rows: Vec<&ScoreRow> = scores.iter().filter(of).collect();
                rows.sort_by_key(|row| (row.epoch, row.step));
                (key(policy, &rows), draw(SEED, Purpose::Tie, 0, u64::from(sample)), sample)
            })
            .collect();
        ranked.sort_unstable();
        let next: BTreeSet<u32> = ranked[..out].iter().map(|(.., sample)| *sample).collect();
        changes.extend(outside.difference(&next).map(|sample| ((epoch, *sample), (1, 0))));
        let leave = ranked[..out].iter().filter(|(.., sample)| !outside.contains(sample));
        changes.extend(leave.map(|(key, _, sample)| ((epoch, *sample), (-1, *key))));
        outside = next;
    }
    changes
}

#[test]
fn every_rule_that_ranks_takes_out_whom_a_sort_would_on_any_number_of_workers() {
    let words = [
        "model.name=lenet5",
        "mask.sparsity=0.5",
        "freeze.policy=none",
        "seed=6",
        "train.epochs=11",
        "sieve.fraction=0.3",
    ];
    // 0.8 · 11 = 8.8: from epoch 9 on the whole set is active.
    let windows = ["sieve.interval=2", "sieve.warmup=3", "sieve.until=0.8"];
    let cases: [(&str, &[&str], &[u32], u32); 4] = [
        ("forgetting", &windows, &[3, 5, 7], 9),
        ("loss", &windows, &[3, 5, 7], 9),
        ("error-norm", &windows, &[3, 5, 7], 9),
        ("one-shot", &[], &[5], EPOCHS), // 0.4375 · 11 = 4.8
    ];
    for (policy, more, decides, end) in cases {
        let bench = Bench::new(SAMPLES as usize);
        let policy_word = format!("sieve.policy={policy}");
        let all: Vec<&str> = words.iter().chain(more).copied().chain([&*policy_word]).collect();
        for workers in [1, 2, 4] {
            let run = bench.record(&format!("{workers}"), &bench.experiment(&all), workers);
            run.assert_sound(EPOCHS);
            let expected = expected(policy, &run.rows::<ScoreRow>(), decides, end);
            let found = recorded(&run);
            assert_eq!(first_difference(&found, &expected), None, "{policy}, {workers} workers");
            assert!(found.keys().any(|(epoch, _)| *epoch == decides[0]), "{policy} decides");
        }
    }
}
