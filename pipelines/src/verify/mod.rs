//! Is a recorded run what it was? Hashes, schemas and row counts; and that deltas add up to what the tables say.
//!
//! The sums are taken afresh from the recorded deltas, with plain sets and loops, by none of the code that trains.

mod findings;
mod gradients;
mod layers;
mod masks;
mod recount;
mod replay;
mod samples;
mod settled;
mod trace;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use spfde_data::architecture::Architecture;
use spfde_data::files::manifest::DataSetRecord;
use spfde_data::files::run_directory::RecordedRun;
use spfde_data::files::{plausible, verify};
use spfde_data::words::counted;
use spfde_flow::Observe;
use spfde_model::InputShape;

use crate::configuration::{Configuration, Source};
use crate::error::Error;
use crate::experiment;
use samples::Samples;
use settled::settled;
use trace::Trace;

pub use findings::Findings;

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
        let (wanted, segments) = (counted(*wanted, "epoch"), counted(*segments, "segment"));
        write!(f, "{epochs} of {wanted}, {segments}, {}", counted(*rows, "row"))
    }
}

/// Checks the run in `directory`, which may be written meanwhile.
///
/// # Errors
/// If the directory is no run or cannot be read; if anything is not as it should be: all findings go into the
/// error. If it is written faster than it can be looked at.
pub fn verify(directory: &Path) -> Result<Sound, Error> {
    let (run, findings) = settled(directory, findings)?;
    if let Some(first) = findings.told().first() {
        let (first, told, findings) = (first.clone(), findings.told().to_vec(), findings.count());
        return Err(Error::Unsound { directory: directory.to_owned(), findings, first, told });
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
/// Memory holds the state of each sample and each weight, one segment and a batch of its rows: not the rows of an epoch.
///
/// # Errors
/// If the configuration or the data of the run cannot be read at all.
pub fn findings(run: &RecordedRun) -> Result<Findings, Error> {
    let manifest = run.manifest();
    let mut findings = Findings::default();
    if let Err(error) = run.config_unchanged() {
        findings.push(|| error.to_string());
    }
    if let Err(error) = run.environment() {
        findings.push(|| error.to_string());
    }
    for error in verify::segments(run.path(), manifest) {
        findings.push(|| error.to_string());
    }
    if findings.count() == 0
        && let Err(error) = plausible::samples(run.path(), manifest, |segment| Ok(segment.bytes))
    {
        findings.push(|| error.to_string());
    }
    if findings.count() > 0 {
        // Sums over damaged files say nothing more.
        return Ok(findings);
    }
    let trace = Trace::new(run.path(), manifest);
    let configuration = configuration(run)?;
    let architecture = architecture(run, &configuration)?;
    let observe = Observe::named(configuration.values().text("trace.observe")).expect("a choice was checked");
    let mut sums = masks::check(&trace, &architecture, &mut findings)?;
    layers::check(&trace, &sums, &mut findings)?;
    let mut samples = Samples::new(&trace);
    for (epoch, sums) in trace.epochs().zip(&sums) {
        let steps = samples.check(&trace, epoch, observe, &mut findings)?;
        if !trace.is_replay() {
            gradients::check(&trace, epoch, observe, sums, &steps, &mut findings)?;
        }
    }
    if let Some(source) = &manifest.replay_of {
        replay::check(&trace, source, &architecture, &mut sums, &mut findings)?;
    }
    recount::check(&trace, &architecture, observe, &sums, &mut findings)?;
    Ok(findings)
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
