//! Replays of recorded runs: under their own policies, under others, of damaged traces, in pipelines of one's
//! own.

mod broken;
mod chosen;
mod flight;
pub(crate) mod following;
mod grids;
mod identity;
mod truth;
mod verified;

use std::path::Path;

use spfde::configuration::Source;
use spfde::{Error, Experiment, Options, Record, Replayed};
use spfde_data::rows::*;

use crate::support::{Bench, Recorded};

/// Settings in the words of the command line.
pub(crate) fn settings(words: &[&str]) -> Source {
    Source::from_words(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// The experiment of a recorded run with other settings.
pub(crate) fn experiment(run: &Path, words: &[&str]) -> Result<(Record, Experiment), Error> {
    let record = Record::open(run)?;
    let experiment = record.experiment(settings(words).entries())?;
    Ok((record, experiment))
}

/// Replays a run with other settings into the directory `name`.
pub(super) fn replay_into(
    bench: &Bench,
    name: &str,
    run: &Recorded,
    words: &[&str],
    workers: usize,
) -> Result<Replayed, Error> {
    let (record, experiment) = experiment(&run.path, words)?;
    let options = Options { directory: Some(bench.path(name)), workers, ..Options::default() };
    spfde::replay(&record, &experiment, options, spfde::wire)
}

/// Asserts that a run of a rule that `own` adds freezes and costs the same in a replay.
pub(crate) fn assert_replays(bench: &Bench, run: &Recorded, own: fn(Experiment) -> Experiment) {
    let name = run.path.file_name().unwrap().to_str().unwrap();
    let (record, experiment) = experiment(&run.path, &[]).unwrap();
    let directory = bench.path(&format!("replay of {name}"));
    let options = Options { workers: 2, directory: Some(directory.clone()), ..Options::default() };
    spfde::replay(&record, &own(experiment), options, spfde::wire).unwrap();
    let replay = Recorded::open(&directory);
    replay.assert_sound(run.manifest.epochs);
    assert_eq!(run.rows::<FreezeRow>(), replay.rows::<FreezeRow>(), "{name}");
    assert_eq!(costs(run), costs(&replay), "{name}");
}

/// As [`replay_into`], for what can be replayed; what was found, and the run that was written, which is
/// sound.
pub(crate) fn replayed(
    bench: &Bench,
    name: &str,
    run: &Recorded,
    words: &[&str],
    workers: usize,
) -> (Replayed, Recorded) {
    let replayed =
        replay_into(bench, name, run, words, workers).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = Recorded::open(&bench.path(name));
    written.assert_sound(run.manifest.epochs_reached);
    assert_eq!(written.rows::<EpochRow>(), replayed.epochs, "{name}: what is told is what is written");
    assert_eq!(written.rows::<CensoredRow>(), replayed.censored, "{name}: what is told is what is written");
    (replayed, written)
}

/// The rows of `epochs` without what only training knows.
pub(crate) fn costs(run: &Recorded) -> Vec<EpochRow> {
    let none = |row| EpochRow {
        train_loss: None,
        train_accuracy: None,
        test_loss: None,
        test_accuracy: None,
        seconds: None,
        cached_flops: None,
        ..row
    };
    run.rows::<EpochRow>().into_iter().map(none).collect()
}
