//! Views of recorded runs, against the same recomputed from the rows with plain loops.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use spfde_data::files::run_directory::Beginning;
use spfde_data::files::table_file::{self, Values};
use spfde_data::files::{Manifest, RunDirectory, data_set};
use spfde_data::segment::{Commit, CompleteEpoch, SegmentStore};
use spfde_data::table::{Columns, Record};
use spfde_data::{FreezeRow, Images, MaskRow, Row, ScoreRow, SieveRow};

use crate::compares::{json, rows};
use crate::place::{Place, RUN};

const RUNS: [&str; 3] = ["a", "b", "c"];

/// Samples of the data set of a place.
const SAMPLES: u32 = 120;

fn place() -> Place {
    Place::with_runs(&[("a", "seed=1"), ("b", "seed=2"), ("c", "seed=3")])
}

/// Numbers by keys, epoch by epoch.
type Numbers = Vec<BTreeMap<Vec<String>, u64>>;

/// A key as it is read.
fn shown(key: &Value) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

/// Checks what a view prints against the numbers after each epoch: a line for each that changed.
fn check(place: &Place, words: &[&str], keys: &[&str], number: &str, expected: &Numbers) -> String {
    let words = [&["analyse"], words, &["--json"]].concat();
    let out = place.run(&words).done().out;
    let mut found: Vec<BTreeMap<Vec<String>, (u64, i64)>> = vec![BTreeMap::new(); expected.len()];
    for line in out.lines().map(json) {
        let key: Vec<String> = keys.iter().map(|key| shown(&line[*key])).collect();
        let numbers = (line[number].as_u64().unwrap(), line["change"].as_i64().unwrap());
        let epoch = line["epoch"].as_u64().unwrap() as usize;
        assert!(found[epoch].insert(key, numbers).is_none(), "{line}");
    }
    let mut before = BTreeMap::new();
    for (epoch, (found, now)) in found.iter().zip(expected).enumerate() {
        let every: BTreeSet<&Vec<String>> = now.keys().chain(before.keys()).collect();
        let changes = every.into_iter().filter_map(|key| {
            let of = |numbers: &BTreeMap<Vec<String>, u64>| numbers.get(key).copied().unwrap_or(0);
            let (was, is) = (of(&before), of(now));
            (was != is).then(|| (key.clone(), (is, is as i64 - was as i64)))
        });
        assert_eq!(found, &changes.collect::<BTreeMap<_, _>>(), "epoch {epoch} of {words:?}");
        before = now.clone();
    }
    out
}

/// The state after each epoch to which the rows of a table add up.
fn sums<R: Row, D: Ord + Clone>(place: &Place, run: &str, delta: fn(&R) -> (D, i8)) -> Vec<BTreeSet<D>> {
    let (all, mut state) = (rows::<R>(place, run), BTreeMap::<D, i8>::new());
    (0..5)
        .map(|epoch| {
            for row in all.iter().filter(|row| row.order()[0] == epoch) {
                let (thing, diff) = delta(row);
                *state.entry(thing).or_default() += diff;
            }
            state.iter().filter(|(_, sum)| **sum > 0).map(|(thing, _)| thing.clone()).collect()
        })
        .collect()
}

fn held_out(place: &Place, run: &str) -> Vec<BTreeSet<u32>> {
    let active = sums(place, run, |row: &SieveRow| (row.sample, row.diff));
    active
        .into_iter()
        .map(|active| (0..SAMPLES).filter(|sample| !active.contains(sample)).collect())
        .collect()
}

#[test]
fn forgotten_samples_are_counted_by_the_runs_that_forget_them() {
    let place = place();
    let mut forgotten: Vec<BTreeSet<(usize, u32)>> = vec![BTreeSet::new(); 5];
    for (number, run) in RUNS.iter().enumerate() {
        let mut right = BTreeMap::new();
        for ScoreRow { epoch, sample, correct, .. } in rows::<ScoreRow>(&place, run) {
            if right.insert(sample, correct) == Some(true) && !correct {
                forgotten[epoch as usize..].iter_mut().for_each(|so_far| {
                    so_far.insert((number, sample));
                });
            }
        }
    }
    let expected: Numbers = forgotten
        .iter()
        .map(|forgotten| {
            let mut counts = BTreeMap::new();
            for sample in 0..SAMPLES {
                let runs = (0..RUNS.len()).filter(|run| forgotten.contains(&(*run, sample))).count();
                if runs > 0 {
                    *counts.entry(vec![runs.to_string()]).or_default() += 1;
                }
            }
            counts
        })
        .collect();
    assert!(expected[4].len() > 1, "more than one run forgets some: {expected:?}");
    let view = ["a", "b", "c", "--view", "forgotten"];
    let out = check(&place, &view, &["runs"], "samples", &expected);
    for workers in ["1", "3"] {
        let again = [&["analyse"], &view[..], &["--json", "--workers", workers]].concat();
        assert_eq!(place.run(&again).done().out, out, "{workers} workers");
    }
    // Nothing more will come: to follow is the same.
    let followed = [&["analyse"], &view[..], &["--json", "--follow"]].concat();
    assert_eq!(place.run(&followed).done().out, out);
}

#[test]
fn churn_counts_what_masks_change_after_the_start() {
    let place = place();
    let mut expected: Numbers = vec![BTreeMap::new(); 5];
    for run in ["a", "b"] {
        for row in rows::<MaskRow>(&place, run).iter().filter(|row| (row.epoch, row.step) != (0, 0)) {
            for numbers in &mut expected[row.epoch as usize..] {
                *numbers.entry(vec![run.to_owned(), row.layer.to_string()]).or_default() += 1;
            }
        }
    }
    assert!(!expected[4].is_empty());
    check(&place, &["a", "b", "--view", "churn"], &["run", "layer"], "changes", &expected);
    let text = place.run(&["analyse", "a", "--view", "churn", "--out", "views"]).done().out;
    assert!(
        text.starts_with("epoch ")
            && text.contains("  run a  layer ")
            && text.ends_with("table: views/churn.parquet\n"),
        "{text}"
    );
    table_file::read(
        &place.path("views/churn.parquet"),
        &["epoch", "run", "layer", "changes", "change"],
        |table| {
            let Values::Integer(changes) = &table[4] else { panic!("{table:?}") };
            let sum: i64 = changes.iter().flatten().sum();
            let of_a = |(key, number): (&Vec<String>, &u64)| (key[0] == "a").then_some(*number as i64);
            assert_eq!(sum, expected[4].iter().filter_map(of_a).sum::<i64>());
            assert!(table[1] == Values::Text(vec![Some("a".to_owned()); changes.len()]));
        },
    )
    .unwrap();
}

#[test]
fn agreement_counts_what_runs_have_in_common() {
    let place = place();
    let masks = ["a", "b"].map(|run| sums(&place, run, |row: &MaskRow| ((row.layer, row.index), row.diff)));
    let out = ["a", "b"].map(|run| held_out(&place, run));
    let frozen = ["a", "b"].map(|run| sums(&place, run, |row: &FreezeRow| (row.layer, row.diff)));
    fn count<D: Ord>(what: &str, [a, b]: [&BTreeSet<D>; 2], counts: &mut BTreeMap<Vec<String>, u64>) {
        let both = a.intersection(b).count() as u64;
        for (runs, number) in [(2, both), (1, a.union(b).count() as u64 - both)] {
            if number > 0 {
                counts.insert(vec![what.to_owned(), runs.to_string()], number);
            }
        }
    }
    let expected: Numbers = (0..5)
        .map(|epoch| {
            let mut counts = BTreeMap::new();
            count("weights that exist", [&masks[0][epoch], &masks[1][epoch]], &mut counts);
            count("samples held out", [&out[0][epoch], &out[1][epoch]], &mut counts);
            count("layers frozen", [&frozen[0][epoch], &frozen[1][epoch]], &mut counts);
            counts
        })
        .collect();
    check(&place, &["a", "b", "--view", "agreement"], &["what", "runs"], "count", &expected);
    place.run(&["analyse", "a", "--view", "agreement"]).refused(
        2,
        "agreement is between runs",
        "two or more",
    );
}

#[test]
fn the_class_mix_is_of_what_is_held_out() {
    let place = place();
    place.run(&["replay", "a", "sieve.fraction=0.5", "--out", "again"]).done();
    let mut expected: Numbers = vec![BTreeMap::new(); 5];
    for run in ["a", "again"] {
        for (numbers, out) in expected.iter_mut().zip(held_out(&place, run)) {
            // Image i is of class i mod 10, which has no name.
            out.iter().for_each(|sample| {
                *numbers.entry(vec![run.to_owned(), (sample % 10).to_string()]).or_default() += 1;
            });
        }
    }
    check(&place, &["a", "again", "--view", "class-mix"], &["run", "class"], "samples", &expected);
    std::fs::rename(place.path("data"), place.path("gone")).unwrap();
    let lost = place.run(&["analyse", "a", "--view", "class-mix"]);
    lost.refused(1, "a: the class of every sample is in the data set", "data.path = \"data\"");
    place.run(&["analyse", "again", "--view", "forgotten"]).refused(
        1,
        "again: stream scores was not recorded",
        "",
    );
}

#[test]
fn runs_of_other_samples_are_not_counted_together() {
    let place = place();
    for (seed, run) in [("seed=1", "d"), ("seed=2", "e")] {
        let words = [
            &RUN[..],
            &["train.epochs=1", "freeze.policy=none", "data.validation=0.2", seed, "--run-dir", run],
        ]
        .concat();
        place.run(&words).done();
    }
    for runs in [["a", "d"], ["d", "e"]] {
        let words = [&["analyse"], &runs[..], &["--view", "forgotten"]].concat();
        place.run(&words).refused(2, &runs.join(" and "), "differ");
    }
}

#[test]
fn runs_of_other_networks_are_not_said_to_agree() {
    let place = Place::with_runs(&[("a", "seed=1")]);
    let mlp = ["train", "data.path=data", "model.name=mlp", "train.epochs=1", "freeze.policy=none"];
    place.run(&[&mlp[..], &["--run-dir", "mlp"]].concat()).done();
    place.run(&["analyse", "a", "mlp", "--view", "agreement"]).refused(
        2,
        "a and mlp have different networks",
        "cannot be compared",
    );
    // They have the same samples.
    place.run(&["analyse", "a", "mlp", "--view", "forgotten"]).done();
    // Of a replay the network is that of its run.
    place.run(&["replay", "a", "sieve.fraction=0.5", "--out", "again"]).done();
    place.run(&["analyse", "a", "again", "--view", "agreement"]).done();
}

#[test]
fn a_view_needs_those_streams_alone_that_it_reads() {
    let place = Place::new();
    let images =
        Images { channels: 1, height: 1, width: 1, pixels: vec![1_u8, 2].into(), labels: vec![0, 1] };
    let manifest = Manifest::new(&data_set::assemble("tiny", 2, images.clone(), images), 2);
    let (config, environment) = ("seed = 1\n".to_owned(), serde_json::json!({"version": "test"}));
    let beginning = Beginning { config, architecture: None, start: None, environment, manifest };
    let run = RunDirectory::create(&place.path("run"), &beginning).unwrap();
    for (epoch, correct) in [(0, true), (1, false)] {
        let (step, sample, loss, error_norm, trained) = (0, 1, 1.0, 0.5, true);
        let row = ScoreRow { epoch, step, sample, loss, correct, error_norm, trained };
        let mut writer = run.store().create("scores", &ScoreRow::columns(), epoch, 0).unwrap();
        writer.append(&Columns::from_rows([row])).unwrap();
        let segments = vec![writer.finish().unwrap()];
        run.commit_epoch(CompleteEpoch { epoch, segments, ..CompleteEpoch::default() }).unwrap();
    }
    run.finish(None).unwrap();
    for follow in [&[][..], &["--follow"]] {
        let words = [&["analyse", "run", "--view"], follow].concat();
        let view = |name| place.run(&[&words[..3], &[name], &words[3..]].concat());
        assert_eq!(view("forgotten").done().out, "epoch 2  runs 1  samples 1 (+1)\n");
        view("churn").refused(1, "run: stream masks was not recorded in epoch 1", "");
    }
}

#[test]
#[cfg(unix)]
fn a_view_goes_on_with_its_run() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;

    use crate::signals::{TRAIN, reach, send};

    let place = Place::with_data();
    let words: Vec<&str> = TRAIN.split(' ').chain(["train.epochs=10000"]).collect();
    let mut training = place.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    reach(&mut training, &place.path("run"), 1);
    let view = ["analyse", "run", "--view", "forgotten", "--json"];
    let mut follow = place.command(&[&view[..], &["--follow"]].concat());
    let mut child = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut read = String::new();
    while read.lines().last().is_none_or(|line| json(line)["epoch"].as_u64() < Some(5)) {
        assert!(out.read_line(&mut read).unwrap() > 0, "it ended: {read}");
    }
    send(&training, "-INT");
    assert_eq!(training.wait().unwrap().code(), Some(130));
    out.read_to_string(&mut read).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.starts_with("note: run: ended before its end, after "), "{said}");
    assert_eq!(read, place.run(&view).done().out);
}
