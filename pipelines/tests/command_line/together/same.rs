//! Processes together record what one alone does.

use std::process::{Command, Stdio};

use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::read_stream;
use spfde_data::row;
use spfde_data::rows::*;
use spfde_data::table::Row;

use super::{WORDS, end, hosts, spawn, words};
use crate::place::Place;

fn transcript(place: &Place, run: &str) -> Vec<String> {
    fn rows<R: Row>(place: &Place, run: &str) -> Vec<R> {
        let path = place.path(run);
        let manifest = Manifest::read(&path).unwrap();
        let batches = read_stream::<R>(&path, &manifest, 0..manifest.epochs);
        let mut rows: Vec<R> = batches.flat_map(|batch| batch.unwrap().into_rows::<R>()).collect();
        rows.sort_by_key(Row::order);
        rows
    }
    fn lines<R: Row + std::fmt::Debug>(place: &Place, run: &str) -> Vec<String> {
        rows::<R>(place, run).iter().map(|row| format!("{row:?}")).collect()
    }
    // Seconds differ.
    let costs = rows::<EpochRow>(place, run).into_iter();
    let costs = costs.map(|row| format!("{:?}", EpochRow { seconds: None, ..row })).collect();
    [
        lines::<ScoreRow>(place, run),
        lines::<GradientRow>(place, run),
        lines::<LayerRow>(place, run),
        lines::<MaskRow>(place, run),
        lines::<FreezeRow>(place, run),
        lines::<SieveRow>(place, run),
        costs,
        lines::<ClassRow>(place, run),
    ]
    .concat()
}

row! {
    /// What the example `front_door` records on top.
    struct ClassRow in "classes" by (epoch, label) {
        epoch: u32,
        label: u16,
        presented: u32,
        correct: u32,
    }
}

fn weights(place: &Place, run: &str) -> Vec<u8> {
    std::fs::read(place.path(run).join("checkpoint/e00004.safetensors")).unwrap()
}

#[test]
fn the_program_and_the_examples_record_the_same_on_two_processes() {
    let place = Place::with_data();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_spfde"));
    let cases: [(_, &[_]); 4] = [
        (None, &[]),
        (Some("sparse_training"), &[]),
        (Some("front_door"), &[]),
        (Some("own_sieve"), &["sieve.policy=lowest-loss"]),
    ];
    for (example, more) in cases {
        let name = example.unwrap_or("spfde");
        let settings = &[&WORDS[..], more].concat()[..];
        let command = |words: &[&str]| match example {
            None => place.command(words),
            Some(example) => {
                let path = program.with_file_name("examples").join(example);
                assert!(path.is_file(), "{}: build the examples first", path.display());
                let mut command = Command::new(path);
                command.args(words).current_dir(place.path("")).stdin(Stdio::null());
                command
            }
        };
        let (one, two) = (format!("{name}-1"), format!("{name}-2"));
        let alone = [settings, &["--run-dir", &one, "--workers", "2"]].concat();
        end(spawn(command(&alone))).done();
        hosts(&place, 2);
        let other = spawn(command(&words(settings, "1")));
        let first = end(spawn(command(&words(&[settings, &["--run-dir", &two]].concat(), "0")))).done();
        assert!(first.out.contains("(verified: 4 of 4 epochs"), "{first:?}");
        let other = end(other).done();
        assert!(other.out.ends_with("(process 0 verifies it)\n"), "{other:?}");
        assert!(transcript(&place, &one) == transcript(&place, &two), "{name}");
        assert!(weights(&place, &one) == weights(&place, &two), "{name}");
        let mut left: Vec<_> =
            place.path(&two).read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let files = ["architecture.json", "checkpoint", "config.toml", "environment.json", "lock"];
        assert_eq!(left, [&files[..], &["manifest.json", "trace"]].concat());
    }
}
