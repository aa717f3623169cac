//! Power cuts: after any file operation the disk may hold, of what was not made durable, any part. What the
//! manifest names is whole all the same, what was committed stays, and the run goes on to the same bits.
//!
//! A run notes its file operations. A model of a disk takes them one by one; after each the power is cut, in
//! several ways, and a run goes on from what is left. By default after a sample of the operations. After all
//! of them:
//!
//! ```text
//! cargo test --release -p spfde-tests --test all -- \
//!     --ignored --nocapture every_file_operation_before_a_power_cut
//! ```

mod disk;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use spfde_data::files::manifest::{MANIFEST_NAME, Manifest};
use spfde_data::files::operation::Change;
use spfde_data::files::run_directory::RunDirectory;

use crate::crashing::{Crew, WORDS, command, go_on, output, pair, prepared};
use crate::faults;
use crate::support::{Bench, Recorded, again};
use disk::{Disk, Fate, Image, write};

/// How often a draw decides what survives a power cut.
const DRAWN: u64 = 4;

/// What a crew does to the disk that trains in `path`, or goes on training there.
fn journal(bench: &Bench, path: &Path, crew: Crew) -> Vec<Change<'static>> {
    let journal = bench.path("journal");
    let _ = std::fs::remove_file(&journal);
    let codes = run(bench, path, crew, "SPFDE_JOURNAL", journal.to_str().unwrap());
    assert!(codes.iter().all(|code| *code == Some(0)), "{codes:?}");
    read(&journal)
}

/// Lets a crew train in `path`, or go on there, with a variable for each process that writes the manifest,
/// and, if it is the journal, for the others; how they ended.
fn run(bench: &Bench, path: &Path, crew: Crew, name: &'static str, value: &str) -> Vec<Option<i32>> {
    let Crew::Workers(workers) = crew else {
        let words: &[&str] = if path.join("config.toml").exists() { &[] } else { &WORDS };
        let mut team = pair(bench, words);
        let of = if name == "SPFDE_JOURNAL" { 0..2 } else { 0..1 };
        team.variables.extend(of.map(|process| (process, name, value.to_owned())));
        return team.run(path).iter().map(|ended| ended.code).collect();
    };
    vec![output(command(path, workers, 3).env(name, value)).0.status.code()]
}

fn read(journal: &Path) -> Vec<Change<'static>> {
    let lines = std::fs::read_to_string(journal).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What may survive a power cut after operation `number`.
fn fates(number: usize) -> impl Iterator<Item = Fate> {
    let drawn = (0..DRAWN).map(move |draw| Fate::Drawn(number as u64 * DRAWN + draw));
    [Fate::Lost, Fate::NamesOnly, Fate::Zeros, Fate::BytesOnly].into_iter().chain(drawn)
}

/// Where runs go on after power cuts.
struct Cut<'a> {
    bench: &'a Bench,
    whole: &'a Recorded,
    /// What has been tried already: most operations change little of what would be left.
    tried: BTreeSet<[u8; 32]>,
}

impl Cut<'_> {
    /// Cuts the power after each of the operations `wanted` of a run in `path`, whose disk was `disk` before
    /// it.
    fn after(&mut self, path: &Path, mut disk: Disk, changes: &[Change], wanted: impl Fn(usize) -> bool) {
        let mut committed = 0;
        for (number, change) in changes.iter().enumerate() {
            disk.take(change);
            // What was durable once stays.
            let reached = epochs(&disk.image(path, Fate::Lost));
            assert!(reached >= committed, "operation {number}: {reached} of {committed} epochs are left");
            committed = reached;
            if !wanted(number) {
                continue;
            }
            for fate in fates(number) {
                let what = format!("power cut after operation {number}, {change:.60?}: {fate:?}");
                self.go_on(&disk.image(path, fate), committed, &what);
            }
        }
        assert_eq!(committed, self.whole.manifest.epochs, "all is durable at the end");
    }

    /// Goes on from what is left.
    fn go_on(&mut self, image: &Image, committed: u32, what: &str) {
        assert!(epochs(image) >= committed, "{what}: {} of {committed} epochs are left", epochs(image));
        let mut hasher = blake3::Hasher::new();
        for (path, bytes) in image {
            hasher.update(path.as_os_str().as_encoded_bytes()).update(&[u8::from(bytes.is_some())]);
            hasher.update(blake3::hash(bytes.as_deref().unwrap_or(&[])).as_bytes());
        }
        if !self.tried.insert(*hasher.finalize().as_bytes()) {
            return;
        }
        let path = self.bench.path("cut");
        write(image, &path);
        if image.contains_key(Path::new(MANIFEST_NAME)) {
            assert_eq!(Recorded::open(&path).findings(), [""; 0], "{what}");
        }
        go_on(self.bench, &path, self.whole, what);
        std::fs::remove_dir_all(&path).unwrap();
    }
}

/// Epochs that the manifest names.
fn epochs(image: &Image) -> u32 {
    let manifest = image.get(Path::new(MANIFEST_NAME)).cloned().flatten();
    manifest.map_or(0, |bytes| Manifest::parse(Path::new(MANIFEST_NAME), &bytes).unwrap().epochs_reached)
}

/// Cuts the power of runs of a crew, and of a run that goes on after its process died, after every operation
/// whose number `wanted` likes, of so many; returns how many disks there were to go on from.
fn cut(crew: Crew, wanted: impl Fn(usize, usize) -> bool) -> usize {
    let (bench, whole) = prepared();
    let mut cut = Cut { bench: &bench, whole: &whole, tried: BTreeSet::new() };
    let path = bench.path("whole-again");
    let disk = Disk::of(path.parent().unwrap());
    let changes = journal(&bench, &path, crew);
    cut.after(&path, disk, &changes, |number| wanted(number, changes.len()));
    // One that goes on from the second of three epochs, and overwrites what is left of the third.
    let path = bench.path("died");
    let own = match crew {
        Crew::Workers(_) => changes.len(),
        // Of the two the one that commits has more to do.
        Crew::TwoProcesses => changes.len() * 2 / 3,
    };
    let codes = run(&bench, &path, crew, "SPFDE_ABORT_AT", &(own * 4 / 5).to_string());
    assert!(codes.iter().all(|code| *code != Some(0)), "{codes:?}");
    assert!((1..3).contains(&Manifest::read(&path).unwrap().epochs_reached));
    let disk = Disk::of(&path);
    let changes = journal(&bench, &path, crew);
    cut.after(&path, disk, &changes, |number| wanted(number, changes.len()));
    cut.tried.len()
}

/// Where [`discarding`] finds a run.
const DISCARDED: &str = "SPFDE_TEST_DISCARDED";

#[test]
#[ignore = "another test runs it as a process of its own"]
fn discarding() {
    let Some(path) = std::env::var_os(DISCARDED) else { return };
    faults::install();
    RunDirectory::resume(Path::new(&path)).unwrap().discard().unwrap();
}

#[test]
fn a_run_that_is_discarded_is_whole_or_none() {
    let bench = Bench::new(60);
    let path = bench.path("run");
    let (_, text) = output(command(&path, 1, 3).env("SPFDE_ABORT_AT", "150"));
    assert!((1..3).contains(&Manifest::read(&path).unwrap().epochs_reached), "{text}");
    let mut disk = Disk::of(&path);
    let journal = bench.path("journal");
    let mut discard = again("power::discarding");
    let (ended, text) =
        output(discard.env(DISCARDED, &path).env("SPFDE_JOURNAL", &journal).stderr(Stdio::piped()));
    assert!(ended.status.success(), "{text}");
    assert!(!path.exists() || path.read_dir().unwrap().next().is_none(), "nothing is left");
    let (mut whole, mut none) = (0, 0);
    for (number, change) in read(&journal).iter().enumerate() {
        disk.take(change);
        for fate in fates(number) {
            let (image, path) = (disk.image(&path, fate), bench.path("cut"));
            write(&image, &path);
            if image.contains_key(Path::new(MANIFEST_NAME)) {
                assert_eq!(Recorded::open(&path).findings(), [""; 0], "operation {number}, {fate:?}");
                whole += 1;
            } else {
                none += 1;
            }
            std::fs::remove_dir_all(&path).unwrap();
        }
    }
    assert!(whole > 0 && none > 0, "{whole} and {none}");
}

#[test]
fn a_power_cut_loses_nothing_that_was_committed() {
    let some = |number: usize, of: usize| number % (of / 7) == 3 || number + 2 > of;
    assert!(cut(Crew::Workers(2), some) > 20);
}

#[test]
fn a_power_cut_under_two_processes_loses_nothing_that_was_committed() {
    assert!(cut(Crew::TwoProcesses, |number, of| number % (of / 5) == 3) > 10);
}

#[test]
#[ignore = "minutes: see the module's documentation"]
fn every_file_operation_before_a_power_cut() {
    for crew in [Crew::Workers(1), Crew::Workers(2), Crew::TwoProcesses] {
        let disks = cut(crew, |_, _| true);
        eprintln!("{crew:?}: {disks} different disks after power cuts");
    }
}
