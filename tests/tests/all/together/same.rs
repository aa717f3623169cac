//! Runs and resumed runs of several processes equal those of one.

use spfde_policy::Registry;

use super::Team;
use crate::resuming::{assert_equal, begin, until};
use crate::support::Bench;

/// Decisions of every kind, more than once.
pub(super) const WORDS: [&str; 12] = [
    "model.name=lenet5",
    "train.epochs=6",
    "mask.sparsity=0.7",
    "mask.interval=1",
    "sieve.fraction=0.3",
    "sieve.interval=2",
    "freeze.flops_reduction=0.1",
    "freeze.interval=1",
    "freeze.similarity=0",
    "freeze.tolerance=1",
    "freeze.window=1",
    "data.batch_size=16",
];

#[test]
fn every_registered_policy_decides_the_same_on_two_processes() {
    let bench = Bench::new(60);
    let default = ["mest-ems", "progressive", "circular"];
    let Registry { mask, freeze, sieve } = Registry::default();
    let masks = mask.entries.iter().map(|mask| [mask.name, default[1], default[2]]);
    let freezes = freeze.entries.iter().map(|freeze| [default[0], freeze.name, default[2]]);
    let sieves = sieve.entries.iter().map(|sieve| [default[0], default[1], sieve.name]);
    let mut cases: Vec<[&str; 3]> = masks.chain(freezes).chain(sieves).collect();
    cases.sort_unstable();
    cases.dedup();
    for (number, [mask, freeze, sieve]) in cases.into_iter().enumerate() {
        let policies = [
            format!("mask.policy={mask}"),
            format!("freeze.policy={freeze}"),
            format!("sieve.policy={sieve}"),
        ];
        let observe = if number % 2 == 0 { "trace.observe=active" } else { "trace.observe=full" };
        let words = [&WORDS[..], &policies.each_ref().map(String::as_str), &[observe]].concat();
        let whole = bench.record(&format!("one-{number}"), &bench.experiment(&words), 1);
        let run = Team::new(&bench, &words, 2, 1).finish(&bench.path(&format!("two-{number}")));
        assert_equal(&run, &whole, &policies.join(" "));
    }
}

#[test]
fn three_processes_of_which_one_has_nothing_to_do_are_no_exception() {
    let bench = Bench::new(60);
    let words = [&WORDS[..], &["train.shards=2"]].concat();
    let whole = bench.record("one", &bench.experiment(&words), 1);
    let run = Team::new(&bench, &words, 3, 1).finish(&bench.path("three"));
    assert_equal(&run, &whole, "three processes for two shards");
}

#[test]
fn a_run_goes_on_with_other_processes_than_before() {
    let bench = Bench::new(80);
    let experiment = bench.experiment(&WORDS);
    let whole = bench.record("whole", &experiment, 1);
    for (epoch, processes, workers) in [(1, 2, 2), (3, 2, 1), (4, 3, 1)] {
        let path = bench.path(&format!("resumed-{epoch}"));
        begin(&experiment, &path, until(epoch, 0, 2));
        let run = Team::new(&bench, &[], processes, workers).finish(&path);
        assert_equal(&run, &whole, &format!("interrupted in epoch {epoch}, then {processes} × {workers}"));
        // Of a finished run nothing is left to do, for any of them.
        Team::new(&bench, &[], processes, workers).finish(&path);
    }
    // A run that ended before its manifest begins again.
    let path = bench.path("begun");
    begin(&experiment, &path, until(0, 0, 1));
    std::fs::remove_file(path.join("manifest.json")).unwrap();
    let run = Team::new(&bench, &[], 2, 1).finish(&path);
    assert_equal(&run, &whole, "begun again");
}
