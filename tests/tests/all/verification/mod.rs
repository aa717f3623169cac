//! `verify` finds a fresh run sound, and every kind of damage and forgery.

mod changes;
mod damage;
mod forgeries;
mod workers;

use std::path::Path;

use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::ParquetStore;
use spfde_data::segment::SegmentStore;
use spfde_data::table::{Columns, Row};
use spfde_tests::segments::read_segment;

use crate::support::{Bench, Recorded};

pub(super) const EPOCHS: u32 = 5;

/// A finished run on one worker, whose streams are one segment an epoch, with decisions of every kind.
pub(super) fn sound_run() -> (Bench, Recorded) {
    let words = [
        "model.name=lenet5",
        "mask.sparsity=0.7",
        "sieve.fraction=0.3",
        "freeze.flops_reduction=0.1",
        "train.epochs=5",
    ];
    let bench = Bench::new(64);
    let experiment = bench.experiment(&words);
    let run = bench.record("sound", &experiment, 1);
    run.assert_sound(EPOCHS);
    (bench, run)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        match from.is_dir() {
            true => copy(&from, &to),
            false => drop(std::fs::copy(&from, &to).unwrap()),
        }
    }
}

/// What is found wrong in a copy of the run after `damage`.
pub(super) fn found_after(run: &Recorded, damage: impl FnOnce(&Recorded)) -> Vec<String> {
    let copied = tempfile::tempdir().unwrap();
    copy(&run.path, copied.path());
    damage(&Recorded::open(copied.path()));
    match Manifest::read(copied.path()) {
        Ok(_) => Recorded::open(copied.path()).findings(),
        Err(error) => vec![error.to_string()],
    }
}

/// Asserts that one of the findings has all of `parts` in it.
pub(super) fn assert_found(what: &str, findings: &[String], parts: &[&str]) {
    let fits = findings.iter().any(|finding| parts.iter().all(|part| finding.contains(part)));
    assert!(fits, "{what}: none of {findings:#?} says {parts:?}");
}

/// Changes the bytes of a file of the run.
pub(super) fn change_file(run: &Recorded, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = run.path.join(path);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Changes the manifest of the run.
pub(super) fn change_manifest(run: &Recorded, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = run.manifest.clone();
    change(&mut manifest);
    manifest.write(&run.path).unwrap();
}

/// Rewrites the segment of the first worker with other rows, and lets the manifest name it as if it had
/// always been so.
pub(super) fn forge<R: Row>(run: &Recorded, epoch: u32, change: impl FnOnce(&mut Vec<R>)) {
    forge_of(run, epoch, 0, change);
}

/// As [`forge`], the segment of any worker.
pub(super) fn forge_of<R: Row>(run: &Recorded, epoch: u32, worker: u32, change: impl FnOnce(&mut Vec<R>)) {
    let segment = run.segment(R::STREAM, epoch, worker);
    let mut rows = read_segment::<R>(&run.path, segment).unwrap();
    change(&mut rows);
    let mut writer = ParquetStore::new(&run.path).create(R::STREAM, &R::columns(), epoch, worker).unwrap();
    writer.append(&Columns::from_rows(rows)).unwrap();
    let forged = writer.finish().unwrap();
    assert_ne!(forged.blake3, segment.blake3, "something changed");
    change_manifest(run, |manifest| {
        let named = manifest.segments.iter_mut().find(|named| named.path == forged.path);
        *named.unwrap() = forged.clone();
    });
}

/// Takes a row out.
pub(super) fn without<R>(row: usize) -> impl FnOnce(&mut Vec<R>) {
    move |rows| {
        rows.remove(row);
    }
}

/// A way to forge something.
pub(super) type Change<T> = fn(&mut T);
