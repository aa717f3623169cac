//! Runs side by side, and where they first decide differently.

use std::collections::BTreeMap;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use spfde_data::files::parquet_store::read_stream;
use spfde_data::files::{Manifest, RunDirectory};
use spfde_data::{EpochRow, FreezeRow, Row, SieveRow};

use crate::place::{Place, RUN};

/// The rows of a table of a run, in their order.
pub(crate) fn rows<R: Row>(place: &Place, run: &str) -> Vec<R> {
    let path = place.path(run);
    let manifest = Manifest::read(&path).unwrap();
    let batches = read_stream::<R>(&path, &manifest, 0..manifest.epochs_reached);
    let mut rows: Vec<R> = batches.flat_map(|batch| batch.unwrap().into_rows::<R>()).collect();
    rows.sort_by_key(Row::order);
    rows
}

pub(crate) fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The rows of any Parquet file: by the name of the column, as the reader of the format shows values.
pub(crate) fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let cells = |row: parquet::record::Row| {
        let cells = row.get_column_iter().map(|(name, value)| (name.clone(), value.to_string()));
        cells.collect()
    };
    reader.get_row_iter(None).unwrap().map(|row| cells(row.unwrap())).collect()
}

/// Two seeds, and another sieve.
fn place() -> Place {
    let place = Place::with_runs(&[("a", "seed=1"), ("b", "seed=2")]);
    place.run(&[&RUN[..], &["seed=1", "sieve.fraction=0.4", "--run-dir", "c"]].concat()).done();
    place
}

#[test]
fn seeds_are_one_line_in_every_format() {
    let place = place();
    let compared = json(&place.run(&["compare", "a", "b", "c", "--json"]).done().out);
    assert_eq!(compared["keys"], serde_json::json!(["sieve.fraction"]));
    let group = |fraction: f64| {
        let groups = compared["groups"].as_array().unwrap();
        groups.iter().find(|group| group["sieve.fraction"] == fraction).unwrap()
    };
    let (both, one) = (group(0.15), group(0.4));
    assert_eq!((&both["directories"], &one["runs"]), (&serde_json::json!(["a", "b"]), &Value::from(1)));
    assert_eq!(one["test_accuracy_std"], Value::Null);
    // From the rows, by hand.
    let all = ["a", "b"].map(|run| rows::<EpochRow>(&place, run));
    let last = [&all[0], &all[1]].map(|rows| rows.last().unwrap().test_accuracy.unwrap());
    let near = |name: &str, expected: f64| {
        let found = both[name].as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{name}: {found}, not {expected}");
    };
    near("test_accuracy", (last[0] + last[1]) / 2.0);
    near("test_accuracy_std", (last[0] - last[1]).abs() / 2.0_f64.sqrt());
    let sum = |of: fn(&EpochRow) -> f64| all.iter().flatten().map(of).sum::<f64>() / 2.0;
    let flops = sum(|row| (row.forward_flops + row.backward_flops + row.extra_flops) as f64);
    near("flops", flops);
    near("of_dense", flops / sum(|row| row.dense_flops as f64));
    near("seconds", sum(|row| row.seconds.unwrap()));
    let peak = ["a", "b"].map(|run| Manifest::read(&place.path(run)).unwrap().peak_memory_bytes);
    if cfg!(target_os = "linux") {
        assert!(peak[0] > Some(1 << 20), "{peak:?}");
    }
    assert_eq!(both["peak_memory_bytes"].as_u64(), peak[0].max(peak[1]));

    let csv = place.run(&["compare", "a", "b", "c", "--csv"]).done().out;
    let mut lines = csv.lines();
    let heads =
        "sieve.fraction,runs,test_accuracy,test_accuracy_std,flops,of_dense,seconds,peak_memory_bytes";
    assert_eq!(lines.next(), Some(heads));
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let group = group(cells[0].parse().unwrap());
        for (head, cell) in heads.split(',').zip(cells) {
            let [csv, json] = [cell.parse::<f64>().ok(), group[head].as_f64()];
            // Readers of JSON may miss the last bit.
            let near = csv.zip(json).is_some_and(|(csv, json)| (csv - json).abs() <= 1e-15 * json.abs());
            assert!(near || csv == json, "{head}: {csv:?}, not {json:?}");
        }
    }
    let markdown = place.run(&["compare", "a", "b", "c", "--markdown"]).done().out;
    let ruler = "| --- | ---: | ---: | ---: | ---: | ---: | ---: |";
    assert!(markdown.lines().count() == 4 && markdown.lines().nth(1) == Some(ruler), "{markdown}");
    place.run(&["compare", "a", "b", "c", "--sort", "flops", "--parquet", "all.parquet"]).done();
    let found = table(&place.path("all.parquet"));
    let column = |name: &str| [0, 1].map(|row| found[row][name].parse::<f64>().unwrap());
    assert_eq!((column("sieve.fraction"), column("runs")), ([0.4, 0.15], [1.0, 2.0]));
    assert_eq!((column("flops")[1], &*found[0]["test_accuracy_std"]), (flops, "null"));
    let table = place.run(&["compare", "c", "--by", "seed"]).done().out;
    assert!(table.starts_with("seed  runs  test accuracy") && table.lines().count() == 2, "{table}");
    place.run(&["compare", "a", "--by", "sieve.fracton"]).refused(
        2,
        "--by sieve.fracton: none",
        "did you mean `sieve.fraction`?",
    );
    place.run(&["compare", "nowhere"]).refused(1, "nowhere: there is nothing", "");
}

#[test]
fn decisions_differ_first_where_the_tables_do() {
    let place = place();
    place.run(&["replay", "a", "--out", "same"]).done();
    let same = place.run(&["compare", "--decisions", "a", "same"]).done().out;
    assert_eq!(same.lines().count(), 3, "{same}");
    assert!(same.lines().all(|line| line.ends_with(": the same in all 5 epochs")), "{same}");
    // Without freezing.
    place.run(&["replay", "a", "freeze.policy=none", "--out", "thawed"]).done();
    let found = place.run(&["compare", "--decisions", "a", "thawed", "--json"]).done().out;
    let streams: Vec<Value> = found.lines().map(json).collect();
    let names: Vec<&str> = streams.iter().map(|stream| stream["stream"].as_str().unwrap()).collect();
    assert_eq!(names, ["masks", "freezes", "sieves"]);
    assert!(streams[2]["difference"].is_null() && streams[2]["same"] == 5, "{found}");
    let first = rows::<FreezeRow>(&place, "a").remove(0);
    let difference = &streams[1]["difference"];
    assert_eq!((&streams[1]["same"], &difference["epoch"]), (&first.epoch.into(), &first.epoch.into()));
    assert_eq!(difference["layer"], first.layer);
    let [with, without] = [0, 1].map(|run| &difference["runs"][run]);
    assert_eq!((&with["evidence"], &with["row"]["diff"]), (&Value::from(first.reason), &Value::from(1)));
    assert_eq!((&without["row"], &without["decides"]), (&Value::Null, &"leaves the layer as it is".into()));
    // Another sieve holds other samples out from the start.
    let found = place.run(&["compare", "--decisions", "a", "c", "--json"]).done().out;
    let difference = &json(found.lines().nth(2).unwrap())["difference"];
    let decided = |run: &str| -> Vec<(u32, i8)> {
        let rows = rows::<SieveRow>(&place, run).into_iter().filter(|row| row.epoch == 0);
        rows.map(|row| (row.sample, row.diff)).collect()
    };
    let (a, c) = (decided("a"), decided("c"));
    let only = |of: &[(u32, i8)], other: &[(u32, i8)]| -> Vec<u32> {
        of.iter().filter(|row| !other.contains(row)).map(|row| row.0).collect()
    };
    let (of_a, of_c) = (only(&a, &c), only(&c, &a));
    assert_eq!(difference["rows"], of_a.len() + of_c.len());
    assert_eq!(difference["sample"], of_a.into_iter().chain(of_c).min().unwrap());
    place.run(&["compare", "--decisions", "a"]).refused(2, "--decisions compares two runs, not 1", "");
}

#[test]
fn a_run_that_is_not_finished_counts_as_far_as_it_is() {
    let place = Place::with_runs(&[("a", "seed=1")]);
    let path = place.path("a");
    let mut manifest = RunDirectory::open(&path).unwrap().manifest().clone();
    (manifest.epochs_reached, manifest.finished) = (2, false);
    manifest.segments.retain(|segment| segment.epoch < 2);
    manifest.checkpoints.clear();
    manifest.write(&path).unwrap();
    let compared = place.run(&["compare", "a", "--json"]).done();
    assert_eq!(compared.err, "note: a: 2 of 5 epochs are recorded\n");
    let flops: f64 = rows::<EpochRow>(&place, "a")[..2]
        .iter()
        .map(|row| (row.forward_flops + row.backward_flops) as f64)
        .sum();
    assert_eq!(json(&compared.out)["groups"][0]["flops"].as_f64(), Some(flops));
}
