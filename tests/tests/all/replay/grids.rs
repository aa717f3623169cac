//! Grids over recorded runs: every member decides, costs and lacks what a replay of its own would.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use spfde::grid::{Axes, GridOptions, JudgedRun, RunCase, judge_runs, judge_scores};
use spfde::{Experiment, Options, Record};
use spfde_data::files::parquet_store::{read_columns, segment_path};
use spfde_data::files::table_file::{self, Values};
use spfde_data::rows::*;
use spfde_data::segment::Segment;
use spfde_data::table::Row;
use spfde_flow::grid::{DecisionRow, FreezeDecisionRow};
use spfde_policy::Registry;

use super::chosen::Early;
use super::truth::{self, settled};
use super::{experiment, replayed, settings};
use crate::sieve::{Case, circulate, first_difference};
use crate::support::{Bench, Recorded};

const SAMPLES: u32 = 90;

fn record(bench: &Bench, name: &str, words: &[&str]) -> Recorded {
    let run = [
        "model.name=lenet5",
        "train.epochs=7",
        "mask.policy=mest-ems",
        "mask.sparsity=0.6",
        "mask.interval=1",
        "sieve.fraction=0.3",
        "freeze.flops_reduction=0.12",
        "data.batch_size=16",
    ];
    bench.train(name, &[&run[..], words].concat()).1
}

fn axes(words: &[String]) -> Axes {
    Axes::from_words(words).unwrap()
}

fn cases(runs: &[&Recorded]) -> Vec<RunCase> {
    let case = |run: &&Recorded| {
        let below = run.path.file_name().unwrap().to_string_lossy().into_owned();
        RunCase {
            below: if runs.len() > 1 { below } else { String::new() },
            ..Record::open(&run.path).unwrap().into()
        }
    };
    runs.iter().map(case).collect()
}

fn judged(
    runs: &[&Recorded],
    words: &[&str],
    axes: &Axes,
    directory: Option<&Path>,
    workers: usize,
) -> Vec<JudgedRun> {
    let directory = directory.map(Path::to_owned);
    let options =
        GridOptions { decisions: directory.is_some(), directory, workers, ..GridOptions::default() };
    judge_runs(&cases(runs), settings(words).entries(), axes, Ok, &options).unwrap()
}

/// The rows of a stream that a grid wrote, of all workers.
fn written<R: Row>(directory: &Path, found: &[Segment]) -> Vec<R> {
    let mut rows: Vec<R> = Vec::new();
    for segment in found.iter().filter(|segment| segment.stream == R::STREAM) {
        for batch in read_columns(directory, segment, &R::columns()).unwrap() {
            rows.extend(batch.unwrap().into_rows::<R>());
        }
    }
    rows.sort_by_key(Row::order);
    rows
}

/// The words of each member, in the order of the grid: the last axis changes fastest.
fn points(axes: &[(&str, &[&str])]) -> Vec<Vec<String>> {
    axes.iter().fold(vec![Vec::new()], |points, (key, values)| {
        let longer = |point: &Vec<String>| {
            values.iter().map(|value| [&point[..], &[format!("{key}={value}")]].concat()).collect::<Vec<_>>()
        };
        points.iter().flat_map(longer).collect()
    })
}

fn words_of(axes: &[(&str, &[&str])]) -> Vec<String> {
    axes.iter().map(|(key, values)| format!("{key}={}", values.join(","))).collect()
}

/// The members of a sample at each epoch, from deltas.
fn active(rows: &[SieveRow], epoch: u32) -> BTreeSet<u32> {
    let mut active = BTreeSet::new();
    for row in rows.iter().filter(|row| row.epoch <= epoch) {
        if row.diff > 0 {
            active.insert(row.sample)
        } else {
            active.remove(&row.sample)
        };
    }
    active
}

/// Compares every member with a replay of its own, on 1, 2 and 4 workers.
fn assert_members(bench: &Bench, run: &Recorded, fixed: &[&str], grid: &[(&str, &[&str])]) {
    let members = points(grid);
    let (live_sieves, live_freezes) = (run.rows::<SieveRow>(), run.rows::<FreezeRow>());
    let layers = run.epoch::<LayerRow>(0).len();
    let replays: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(number, point)| {
            let words: Vec<&str> = fixed.iter().copied().chain(point.iter().map(String::as_str)).collect();
            replayed(bench, &format!("{} {number}", run.path.file_name().unwrap().display()), run, &words, 2)
        })
        .collect();
    for workers in [1, 2, 4] {
        let out = bench.path(&format!("grid of {} on {workers}", run.path.file_name().unwrap().display()));
        let judged = judged(&[run], fixed, &axes(&words_of(grid)), Some(&out), workers);
        assert_eq!(judged.len(), 1);
        let of_run = &judged[0];
        let sieves = written::<DecisionRow>(&out, &of_run.found.segments);
        let freezes = written::<FreezeDecisionRow>(&out, &of_run.found.segments);
        let epochs = run.manifest.epochs_reached;
        assert_eq!(of_run.found.costs.len(), members.len() * epochs as usize);
        for (number, (found, replay)) in replays.iter().enumerate() {
            let what = format!("{:?} on {workers} workers", members[number]);
            let costs: Vec<_> =
                of_run.found.costs.iter().filter(|costs| costs.member as usize == number).collect();
            let own: Vec<EpochRow> = costs.iter().map(|costs| costs.epoch.clone()).collect();
            assert_eq!(own, found.epochs, "{what}");
            let own: Vec<CensoredRow> = costs.iter().map(|costs| costs.censored.clone()).collect();
            assert_eq!(own, found.censored, "{what}");
            let own: Vec<SieveRow> = sieves
                .iter()
                .filter(|row| row.member as usize == number)
                .map(|row| SieveRow {
                    epoch: row.epoch,
                    sample: row.sample,
                    diff: row.diff,
                    key: row.key,
                    weight: row.weight,
                })
                .collect();
            let decided = replay.rows::<SieveRow>();
            let different = own.iter().zip(&decided).find(|(own, other)| own != other);
            assert_eq!((different, own.len()), (None, decided.len()), "{what}");
            let own: Vec<FreezeRow> = freezes
                .iter()
                .filter(|row| row.member as usize == number)
                .map(|row| FreezeRow {
                    epoch: row.epoch,
                    step: 0,
                    layer: row.layer,
                    diff: row.diff,
                    reason: row.reason.clone(),
                })
                .collect();
            let frozen = replay.rows::<FreezeRow>();
            assert_eq!(own, frozen, "{what}");
            // Agreement, from sets.
            for costs in costs {
                let epoch = costs.epoch.epoch;
                let differ =
                    active(&decided, epoch).symmetric_difference(&active(&live_sieves, epoch)).count() as u32;
                assert_eq!(costs.samples_as_recorded, SAMPLES - differ, "{what}: epoch {epoch}");
                let at = |rows: &[FreezeRow]| -> BTreeSet<u16> {
                    let mut rows: Vec<&FreezeRow> = rows.iter().filter(|row| row.epoch <= epoch).collect();
                    rows.sort_by_key(|row| row.epoch);
                    let latest: BTreeMap<u16, i8> = rows.iter().map(|row| (row.layer, row.diff)).collect();
                    latest.into_iter().filter(|(_, diff)| *diff > 0).map(|(layer, _)| layer).collect()
                };
                let differ = at(&frozen).symmetric_difference(&at(&live_freezes)).count();
                assert_eq!(usize::from(costs.layers_as_recorded), layers - differ, "{what}: epoch {epoch}");
                // A sample that only weighs more or less has a row of either kind.
                let of = |diff| {
                    let rows = decided.iter().filter(|row| epoch > 0 && row.epoch == epoch);
                    rows.filter(|row| row.diff == diff).map(|row| row.sample).collect::<BTreeSet<u32>>()
                };
                let moved = |diff: i8| of(diff).difference(&of(-diff)).count() as u32;
                assert_eq!((costs.entered, costs.left), (moved(1), moved(-1)), "{what}: epoch {epoch}");
            }
        }
    }
}

fn every_policy(observe: &str) {
    let bench = Bench::new(SAMPLES as usize);
    let observe = format!("trace.observe={observe}");
    let sieves: Vec<&str> = Registry::default().sieve.entries.iter().map(|entry| entry.name).collect();
    let freezes: Vec<&str> = Registry::default().freeze.entries.iter().map(|entry| entry.name).collect();
    let fixed = ["freeze.threshold=1", "freeze.patience=1", "freeze.similarity=0.9", "freeze.tolerance=1"];
    // Neither family knows what the other decides.
    let sieves: [(&str, &[&str]); 3] = [
        ("sieve.policy", &sieves),
        ("freeze.policy", &["progressive", "gradient-norm"]),
        ("sieve.fraction", &["0.2", "0.5"]),
    ];
    assert_members(&bench, &record(&bench, "sieves", &[&observe]), &fixed, &sieves);
    // Not every run has what some of them judge by.
    let by_similarity = |name: &&str| {
        let experiment = bench.experiment(&[&format!("freeze.policy={name}")]);
        experiment.settings().policies.freeze.reads_similarity()
    };
    let (similar, others): (Vec<&str>, Vec<&str>) = freezes.into_iter().partition(by_similarity);
    assert!(!similar.is_empty());
    let others: [(&str, &[&str]); 1] = [("freeze.policy", &others)];
    assert_members(&bench, &record(&bench, "freezes", &[&observe]), &fixed, &others);
    let similar: [(&str, &[&str]); 1] =
        [("freeze.policy", &[&similar[..], &["autofreeze", "none"]].concat())];
    let run = record(&bench, "similar", &[&observe, "freeze.policy=egeria", "freeze.tolerance=1"]);
    assert_members(&bench, &run, &fixed, &similar);
}

#[test]
fn every_registered_sieve_and_freeze_policy_is_judged_as_it_is_replayed() {
    every_policy("active");
}

#[test]
fn every_registered_sieve_and_freeze_policy_is_judged_as_it_is_replayed_when_everything_was_observed() {
    every_policy("full");
}

#[test]
fn seeds_masks_and_a_record_that_ends_early_are_judged_as_they_are_replayed() {
    let bench = Bench::new(SAMPLES as usize);
    let run = record(&bench, "run", &[]);
    // Densities that depend on weights are known to no replay.
    let is_scheduled = |name: &&str| {
        let policy = format!("mask.policy={name}");
        bench.experiment(&[&policy]).settings().policies.mask.is_scheduled()
    };
    let masks = Registry::default().mask.entries.into_iter().map(|entry| entry.name);
    let masks: Vec<&str> = masks.filter(is_scheduled).collect();
    assert_members(&bench, &run, &["sieve.interval=3"], &[("mask.policy", &masks), ("seed", &["0", "4"])]);
    let mut manifest = record(&bench, "short", &[]).manifest;
    manifest.epochs_reached = 4;
    manifest.segments.retain(|segment| segment.epoch < 4);
    manifest.checkpoints.clear();
    (manifest.finished, manifest.stopped) = (false, Some("by the test".to_owned()));
    manifest.write(&bench.path("short")).unwrap();
    let short = Recorded::open(&bench.path("short"));
    // Decisions that no replay would make: those behind the last recorded epoch, where every interval ends.
    let grid: [(&str, &[&str]); 2] =
        [("sieve.policy", &["circular", "forgetting"]), ("sieve.interval", &["2", "4"])];
    assert_members(&bench, &short, &["freeze.policy=none"], &grid);
    let segments = |name: &str| bench.path(name).join(segment_path("sieves", 4, 0));
    assert!(!segments("grid of short on 1").exists(), "nothing is written of what was not recorded");
}

#[test]
fn members_that_cut_by_class_are_judged_as_they_are_replayed() {
    let bench = Bench::skewed(SAMPLES as usize);
    let run = record(&bench, "run", &[&bench.data_word()]);
    let sieves: Vec<&str> = Registry::default().sieve.entries.iter().map(|entry| entry.name).collect();
    let grid: [(&str, &[&str]); 3] = [
        ("sieve.policy", &sieves),
        ("sieve.stratify", &["false", "true"]),
        ("sieve.fraction", &["0.2", "0.5"]),
    ];
    assert_members(&bench, &run, &["freeze.policy=none"], &grid);
}

#[test]
fn members_decide_what_lists_and_sums_would() {
    let bench = Bench::new(SAMPLES as usize);
    let run = truth::record(&bench, "full");
    let (scores, out) = (run.rows::<ScoreRow>(), bench.path("out"));
    let (fractions, thresholds) = (["0.2", "0.5"], ["0.05", "0.5", "1"]);
    let grid: [(&str, &[&str]); 2] = [("sieve.fraction", &fractions), ("freeze.threshold", &thresholds)];
    let fixed = [
        "freeze.policy=gradient-norm",
        "freeze.patience=1",
        "freeze.flops_reduction=0.99",
        // No guard but these.
        "freeze.scale=weights",
        "freeze.cap=1",
        "freeze.floor=0",
        "freeze.thaw_rate=0",
        "freeze.thaw_rise=0",
    ];
    let judged = judged(&[&run], &fixed, &axes(&words_of(&grid)), Some(&out), 3);
    let segments = &judged[0].found.segments;
    let (sieves, freezes) =
        (written::<DecisionRow>(&out, segments), written::<FreezeDecisionRow>(&out, segments));
    for (member, words) in points(&grid).iter().enumerate() {
        let number = |word: &str| word.split_once('=').unwrap().1.parse::<f64>().unwrap();
        let (fraction, threshold) = (number(&words[0]), number(&words[1]));
        let own = sieves.iter().filter(|row| row.member as usize == member);
        let own = own.map(|row| ((row.epoch, row.sample), (row.diff, row.key))).collect();
        let case = Case { seed: 5, samples: SAMPLES, epochs: truth::EPOCHS, fraction, interval: 2 };
        assert_eq!(first_difference(&own, &circulate(&case, &scores)), None, "{words:?}");
        let own: Vec<(u32, u16)> = freezes
            .iter()
            .filter(|row| row.member as usize == member)
            .map(|row| (row.epoch, row.layer))
            .collect();
        assert_eq!(own, settled(&run, 2, threshold, 1), "{words:?}");
    }
}

#[test]
fn several_runs_are_judged_one_by_one() {
    let bench = Bench::new(SAMPLES as usize);
    let runs = [record(&bench, "one", &["seed=1"]), record(&bench, "two", &["seed=2"])];
    let grid: [(&str, &[&str]); 1] = [("sieve.fraction", &["0.1", "0.4"])];
    let out = bench.path("both");
    let both = judged(&[&runs[0], &runs[1]], &[], &axes(&words_of(&grid)), Some(&out), 2);
    for (run, name, both) in [(&runs[0], "one", &both[0]), (&runs[1], "two", &both[1])] {
        let alone = judged(&[run], &[], &axes(&words_of(&grid)), None, 1);
        assert_eq!(alone[0].found.costs, both.found.costs);
        assert_eq!(alone[0].members, both.members);
        assert!(out.join(name).join("trace/sieves/e00002-w00.parquet").is_file());
    }
    assert!(out.join("grid.parquet").is_file());
}

#[test]
fn an_interrupt_leaves_nothing_of_a_grid() {
    let bench = Bench::new(SAMPLES as usize);
    let run = record(&bench, "run", &[]);
    let options = GridOptions {
        directory: Some(bench.path("out")),
        decisions: true,
        workers: 2,
        interrupted: Arc::new(AtomicBool::new(true)),
        ..GridOptions::default()
    };
    let grid = axes(&["sieve.fraction=0.1,0.4".to_owned()]);
    let error = judge_runs(&cases(&[&run]), &[], &grid, Ok, &options).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.exit_code()),
        ("interrupted; nothing is kept of this replay", 130)
    );
    assert!(!bench.path("out").exists());
    let column = |value: fn(i64) -> i64| Values::Integer((0..50).map(|sample| Some(value(sample))).collect());
    let columns = [("sample", column(|sample| sample)), ("epoch", column(|_| 0)), ("step", column(|_| 0))];
    let correct = ("correct".to_owned(), column(|sample| sample % 2));
    let columns = columns.into_iter().map(|(name, values)| (name.to_owned(), values)).chain([correct]);
    table_file::write(&bench.path("scores.parquet"), columns.collect()).unwrap();
    let error = judge_scores(&bench.path("scores.parquet").into(), &[], &grid, &options).unwrap_err();
    assert_eq!(error.exit_code(), 130);
    assert!(!bench.path("out").exists());
}

#[test]
fn a_policy_from_outside_the_registry_is_judged_as_it_is_replayed() {
    let bench = Bench::new(SAMPLES as usize);
    let run = record(&bench, "run", &[]);
    let prepare = |experiment: Experiment| experiment.with_freeze(Early {});
    let (fractions, workers) = (["0.1", "0.4"], 2);
    let options = GridOptions { workers, ..GridOptions::default() };
    let grid = axes(&words_of(&[("sieve.fraction", &fractions)]));
    let judged = judge_runs(&cases(&[&run]), &[], &grid, prepare, &options).unwrap();
    for (member, fraction) in fractions.iter().enumerate() {
        let (record, experiment) = experiment(&run.path, &[&format!("sieve.fraction={fraction}")]).unwrap();
        let options = Options { workers, ..Options::default() };
        let found = spfde::replay(&record, &prepare(experiment).unwrap(), options, spfde::wire).unwrap();
        let costs = judged[0].found.costs.iter().filter(|costs| costs.member as usize == member);
        let own: Vec<EpochRow> = costs.map(|costs| costs.epoch.clone()).collect();
        assert_eq!(own, found.epochs, "{fraction}");
        assert_eq!(own[2].frozen_layers, 1, "it has decided");
    }
}
