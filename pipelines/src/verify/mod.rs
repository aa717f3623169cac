//! Is a recorded run what it was? Hashes, schemas and row counts; and that deltas add up to what the tables say.
//!
//! The sums are taken afresh from the recorded deltas, with plain sets and loops, by none of the code that trains.

mod gradients;
mod masks;
mod recount;
mod replay;
mod samples;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use spfde_data::architecture::Architecture;
use spfde_data::files::manifest::{DataSetRecord, Manifest};
use spfde_data::files::parquet_store::read_stream;
use spfde_data::files::run_directory::{RecordedRun, RunDirectory};
use spfde_data::files::{DataError, verify};
use spfde_data::rows::EpochRow;
use spfde_data::table::Row;
use spfde_flow::Observe;
use spfde_model::InputShape;

use crate::configuration::{Configuration, Source};
use crate::error::Error;
use crate::experiment;

/// Findings that are told; a broken file has as many as it has rows.
const MOST_FINDINGS: usize = 50;

/// What was found sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Complete epochs.
    pub epochs: u32,
    /// Epochs that the configuration asks for.
    pub wanted: u32,
    /// Files.
    pub segments: usize,
    /// Rows in them.
    pub rows: u64,
}

impl fmt::Display for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epochs, wanted, segments, rows } = self;
        write!(f, "{epochs} of {wanted} epochs, {segments} segments, {rows} rows")
    }
}

/// Checks the run in `directory`.
///
/// # Errors
/// If the directory is no run or cannot be read; if anything is not as it should be: every finding goes to standard
/// error, the first into the error.
pub fn verify(directory: &Path) -> Result<Sound, Error> {
    let run = RunDirectory::open(directory)?;
    let findings = findings(&run)?;
    if let Some(first) = findings.first() {
        let told = findings.iter().take(MOST_FINDINGS);
        told.for_each(|finding| crate::command::complain(format!("{}: {finding}", directory.display())));
        let (first, findings) = (first.clone(), findings.len());
        return Err(Error::Unsound { directory: directory.to_owned(), findings, first });
    }
    let manifest = run.manifest();
    Ok(Sound {
        epochs: manifest.epochs_reached,
        wanted: manifest.epochs,
        segments: manifest.segments.len(),
        rows: manifest.segments.iter().map(|segment| segment.rows).sum(),
    })
}

/// Everything that is not as it should be, in words.
///
/// # Errors
/// If the configuration or the data of the run cannot be read at all.
pub fn findings(run: &RecordedRun) -> Result<Vec<String>, Error> {
    let manifest = run.manifest();
    let configuration_file = run.config_unchanged().err();
    let files = configuration_file.into_iter().chain(verify::segments(run.path(), manifest));
    let files: Vec<String> = files.map(|finding| finding.to_string()).collect();
    if !files.is_empty() {
        // Sums over damaged files say nothing more.
        return Ok(files);
    }
    let trace = Trace { run: run.path(), manifest };
    let configuration = configuration(run)?;
    let architecture = architecture(run, &configuration)?;
    let observe = Observe::named(configuration.values().text("trace.observe")).expect("a choice was checked");
    let mut findings = Vec::new();
    let mut masks = masks::check(&trace, &architecture, &mut findings)?;
    samples::check(&trace, observe, &mut findings)?;
    match &manifest.replay_of {
        None => gradients::check(&trace, observe, &masks, &mut findings)?,
        Some(source) => replay::check(&trace, source, &architecture, &mut masks, &mut findings)?,
    }
    recount::check(&trace, &architecture, observe, &masks, &mut findings)?;
    Ok(findings)
}

/// The recorded streams.
struct Trace<'a> {
    run: &'a Path,
    manifest: &'a Manifest,
}

impl Trace<'_> {
    /// All rows of one epoch, of all workers, in their order.
    fn rows<R: Row>(&self, epoch: u32) -> Result<Vec<R>, DataError> {
        let mut rows = Vec::new();
        for batch in read_stream::<R>(self.run, self.manifest, epoch..epoch + 1) {
            rows.extend(batch?.into_rows::<R>());
        }
        rows.sort_by_key(Row::order);
        Ok(rows)
    }

    /// Whether this is a replay: it has decisions and costs, but no scores, norms and layers.
    fn is_replay(&self) -> bool {
        self.manifest.replay_of.is_some()
    }

    /// The row of an epoch.
    fn epoch(&self, epoch: u32, findings: &mut Vec<String>) -> Result<Option<EpochRow>, DataError> {
        let rows = self.rows::<EpochRow>(epoch)?;
        match &rows[..] {
            [row] => Ok(Some(row.clone())),
            rows => {
                findings.push(format!("epochs: epoch {epoch} has {} rows, expected 1", rows.len()));
                Ok(None)
            }
        }
    }

    fn epochs(&self) -> std::ops::Range<u32> {
        0..self.manifest.epochs_reached
    }
}

/// The run's configuration.
fn configuration(run: &RecordedRun) -> Result<Configuration, Error> {
    let path = run.path().join("config.toml");
    let source = Source::parse_file(&path.display().to_string(), &run.config_unchanged()?)?;
    // A policy from outside the registry has a name that only its own pipeline knows; no sum depends on it.
    let known = |key: &str| !["mask.policy", "freeze.policy", "sieve.policy"].contains(&key);
    let registered = |key: &str, name: &spfde_data::parameter::Value| {
        let core = crate::configuration::core();
        core.iter()
            .find(|parameter| parameter.key == key)
            .is_none_or(|known| known.check(name.clone()).is_ok())
    };
    let entries: Vec<_> = source
        .entries()
        .iter()
        .filter(|(key, value)| known(key) || registered(key, value))
        .cloned()
        .collect();
    Ok(Configuration::resolve(&entries)?)
}

/// The layers of the run's model, from its configuration and the shape of its data.
fn architecture(run: &RecordedRun, configuration: &Configuration) -> Result<Arc<Architecture>, Error> {
    let DataSetRecord { channels, height, width, classes, .. } = run.manifest().data_set;
    Ok(experiment::architecture(configuration, InputShape { channels, height, width }, classes)?)
}
