//! Runs that a program of manifest version 2 recorded: verified, replayed with the same decisions and counts,
//! not resumed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parquet::file::reader::SerializedFileReader;
use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::read_stream;
use spfde_data::rows::{CensoredRow, CostRow, EpochRow, FreezeRow, MaskRow, SieveRow};
use spfde_data::table::Row;

use crate::place::Place;

/// The settings of each variant of a replay.
const VARIANTS: [(&str, &[&str]); 6] = [
    ("own", &[]),
    ("forgetting", &["sieve.policy=forgetting", "sieve.interval=1"]),
    ("none", &["sieve.policy=none", "freeze.policy=none"]),
    (
        "norm",
        &[
            "freeze.policy=gradient-norm",
            "freeze.threshold=0.5",
            "freeze.patience=1",
            "freeze.flops_reduction=0.4",
            // What held then for keys that there were not.
            "freeze.scale=weights",
            "freeze.cap=1",
            "freeze.floor=0",
            "freeze.thaw_rate=0",
            "freeze.thaw_rise=0",
        ],
    ),
    (
        "progressive",
        &[
            // It was called `progressive` then.
            "freeze.policy=progressive-fewest",
            "freeze.flops_reduction=0.05",
            "sieve.policy=circular",
            "sieve.fraction=0.1",
        ],
    ),
    ("mask", &["mask.policy=mest-ems", "mask.sparsity=0.8"]),
];

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/v2")
}

/// A copy of a recorded run, which commands may lock.
fn copy(place: &Place, run: &str) {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir(to).unwrap();
        for entry in from.read_dir().unwrap().map(Result::unwrap) {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            match from.is_dir() {
                true => copy(&from, &to),
                false => assert!(std::fs::copy(from, to).is_ok()),
            }
        }
    }
    copy(&recorded().join(run), &place.path(run));
}

/// What was made of the replays then: the number of rows and their BLAKE3, by run, variant and table.
fn expected() -> BTreeMap<[String; 3], [String; 2]> {
    let text = std::fs::read_to_string(recorded().join("replays.txt")).unwrap();
    let line = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let [run, variant, table, rows, blake3] = words.try_into().unwrap();
        ([run, variant, table], [rows, blake3])
    };
    text.lines().map(line).collect()
}

/// The number of rows of a table and the BLAKE3 of their lines, which have the columns of then.
fn digest<R: Row>(run: &Path, line: impl Fn(&R) -> String) -> [String; 2] {
    let manifest = Manifest::read(run).unwrap();
    let batches = read_stream::<R>(run, &manifest, 0..manifest.epochs_reached);
    let mut rows: Vec<R> = batches.flat_map(|batch| batch.unwrap().into_rows::<R>()).collect();
    rows.sort_by_key(Row::order);
    let text: String = rows.iter().map(line).collect();
    [rows.len().to_string(), blake3::hash(text.as_bytes()).to_hex().to_string()]
}

/// The digests of all tables of a replay.
fn digests(run: &Path) -> BTreeMap<&'static str, [String; 2]> {
    let sieves = digest(run, |SieveRow { epoch, sample, diff, key, .. }: &SieveRow| {
        format!("{epoch},{sample},{diff},{key}\n")
    });
    let freezes = digest(run, |FreezeRow { epoch, step, layer, diff, reason }: &FreezeRow| {
        format!("{epoch},{step},{layer},{diff},{reason}\n")
    });
    let masks = digest(run, |MaskRow { epoch, step, layer, index, diff }: &MaskRow| {
        format!("{epoch},{step},{layer},{index},{diff}\n")
    });
    let costs = digest(run, |row: &CostRow| {
        let CostRow { epoch, layer, nonzero, frozen, forward_flops, backward_flops } = row;
        format!("{epoch},{layer},{nonzero},{frozen},{forward_flops},{backward_flops}\n")
    });
    let censored = digest(run, |CensoredRow { epoch, samples, layers, norms }: &CensoredRow| {
        format!("{epoch},{samples},{layers},{norms}\n")
    });
    let epochs = digest(run, |row: &EpochRow| {
        let EpochRow { epoch, active_samples, nonzero, frozen_layers, forward_flops, .. } = row;
        let EpochRow { backward_flops, observed_flops, dense_flops, activation_bytes, .. } = row;
        format!(
            "{epoch},{active_samples},{nonzero},{frozen_layers},{forward_flops},{backward_flops},\
             {observed_flops},{dense_flops},{activation_bytes}\n"
        )
    });
    let tables = ["sieves", "freezes", "masks", "costs", "censored", "epochs"];
    tables.into_iter().zip([sieves, freezes, masks, costs, censored, epochs]).collect()
}

#[test]
fn they_are_verified_and_replayed_as_they_were_then() {
    let (place, expected) = (Place::new(), expected());
    for run in ["circular", "random", "forgetting"] {
        copy(&place, run);
        place.run(&["verify", run]).done();
        for (variant, settings) in VARIANTS {
            let out = format!("{run}-{variant}");
            // The program of then took what this run's mest-em called `mask.soft` for that of mest-ems.
            let then: &[&str] = if (run, variant) == ("random", "mask") { &["mask.soft=0.2"] } else { &[] };
            place.run(&[&["replay", run], settings, then, &["--out", &out]].concat()).done();
            for (table, digest) in digests(&place.path(&out)) {
                let key = [run, variant, table].map(str::to_owned);
                assert_eq!(digest, expected[&key], "{key:?}");
            }
        }
    }
}

#[test]
fn a_grid_has_the_numbers_of_then() {
    const COLUMNS: [&str; 14] = [
        "member",
        "epoch",
        "active_samples",
        "entered",
        "left",
        "nonzero",
        "frozen_layers",
        "forward_flops",
        "backward_flops",
        "observed_flops",
        "dense_flops",
        "censored_samples",
        "censored_layers",
        "censored_norms",
    ];
    let place = Place::new();
    copy(&place, "circular");
    let axes = ["--grid", "sieve.fraction=0.1,0.2,0.3", "--grid", "sieve.policy=circular,forgetting"];
    place.run(&[&["replay", "circular"][..], &axes, &["--out", "grid"]].concat()).done();
    let file = std::fs::File::open(place.path("grid/grid.parquet")).unwrap();
    let rows = SerializedFileReader::new(file).unwrap().into_iter().map(Result::unwrap);
    let mut rows: Vec<Vec<u64>> = rows
        .map(|row| {
            let columns: BTreeMap<&str, u64> = row
                .get_column_iter()
                .filter_map(|(name, field)| Some((name.as_str(), field.to_string().parse().ok()?)))
                .collect();
            COLUMNS.iter().map(|name| columns[name]).collect()
        })
        .collect();
    rows.sort();
    let line = |row: &Vec<u64>| {
        let numbers: Vec<String> = row.iter().map(u64::to_string).collect();
        format!("{}\n", numbers.join(","))
    };
    let text: String = rows.iter().map(line).collect();
    let digest = [rows.len().to_string(), blake3::hash(text.as_bytes()).to_hex().to_string()];
    assert_eq!(digest, expected()[&["circular", "grid", "grid"].map(str::to_owned)]);
}

#[test]
fn one_that_did_not_come_to_its_end_is_not_gone_on_with() {
    let place = Place::new();
    copy(&place, "unfinished");
    place.run(&["verify", "unfinished"]).done();
    let end = "resume it with the program that began it";
    place.run(&["resume", "unfinished"]).refused(2, "unfinished: the run was begun by spfde 0.1.0", end);
}
