//! Fuzz targets: every format that is read from disk, from bytes that may be anything.
//!
//! A target reads its input as a file of its format. Whatever the input is, it returns: a refusal is an error
//! and no panic, and what is accepted is consistent with itself. `tests/fuzz` runs the targets under
//! libFuzzer; the test `fuzzing` runs them on [`mutate`]d seeds, with any compiler. Seeds are committed below
//! `tests/fuzz/corpus`.

mod cifar;
mod configuration;
mod data_set;
mod gradients;
mod hosts;
mod hub;
mod idx;
mod layers;
mod manifest;
pub mod memory;
pub mod mutate;
mod npz;
mod pictures;
mod results;
mod scores;
mod secret;
mod segment;
mod table;
mod weights;

use std::path::{Path, PathBuf};

/// What is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of its binary and of its corpus.
    pub name: &'static str,
    /// Reads the bytes as a file.
    ///
    /// # Panics
    /// If something is wrong with the reader.
    pub run: fn(&[u8]),
    /// Files to start from, by name: small ones that are accepted.
    pub seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
}

/// All targets, by name.
pub const TARGETS: [Target; 17] = [
    Target { name: "cifar", run: cifar::run, seeds: cifar::seeds },
    Target { name: "configuration", run: configuration::run, seeds: configuration::seeds },
    Target { name: "data_set", run: data_set::run, seeds: data_set::seeds },
    Target { name: "gradients", run: gradients::run, seeds: gradients::seeds },
    Target { name: "hosts", run: hosts::run, seeds: hosts::seeds },
    Target { name: "hub", run: hub::run, seeds: hub::seeds },
    Target { name: "idx", run: idx::run, seeds: idx::seeds },
    Target { name: "layers", run: layers::run, seeds: layers::seeds },
    Target { name: "manifest", run: manifest::run, seeds: manifest::seeds },
    Target { name: "npz", run: npz::run, seeds: npz::seeds },
    Target { name: "pictures", run: pictures::run, seeds: pictures::seeds },
    Target { name: "results", run: results::run, seeds: results::seeds },
    Target { name: "scores", run: scores::run, seeds: scores::seeds },
    Target { name: "secret", run: secret::run, seeds: secret::seeds },
    Target { name: "segment", run: segment::run, seeds: segment::seeds },
    Target { name: "table", run: table::run, seeds: table::seeds },
    Target { name: "weights", run: weights::run, seeds: weights::seeds },
];

/// Runs the target called `name`.
///
/// # Panics
/// If there is none; if the target fails.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("{name} is no target")).run)(bytes);
}

/// Where the seeds of a target are committed.
pub fn corpus(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name)
}

/// A file that the tool of users wrote, which the tests of imports share.
fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/imports").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
