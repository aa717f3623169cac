//! Whole experiments judged by the records of runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use spfde_data::files::table_file;
use spfde_data::parameter::Value;
use spfde_data::rows::{EpochRow, FreezeRow, GradientRow, MaskRow, ScoreRow, SieveRow};
use spfde_data::segment::{Densities, Recording};
use spfde_data::table::Row;
use spfde_flow::grid::{Found, Freezing, Grid, RecordedScores, RunMember, RunMembers};
use spfde_policy::{SievePolicy, freeze, mask, sieve};

use super::directory::Directory;
use super::work::judge;
use super::{Axes, GridOptions, Member, TABLE_NAME, run_table};
use crate::configuration::Configuration;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::replay::{Record, check};

/// The streams that a grid reads: those that decide, and the recorded decisions.
const STREAMS: [&str; 5] =
    [ScoreRow::STREAM, GradientRow::STREAM, MaskRow::STREAM, SieveRow::STREAM, FreezeRow::STREAM];

/// The keys that choose the policies.
const CHOICES: [&str; 3] = ["mask.policy", "freeze.policy", "sieve.policy"];

/// A run to judge by.
pub struct RunCase {
    /// What it is called in the results.
    pub name: String,
    /// Its record.
    pub record: Record,
    /// The directory below that of the results to which its decisions go; empty: that one itself.
    pub below: String,
}

impl RunCase {
    /// The run in a directory, called by it.
    ///
    /// # Errors
    /// As [`Record::open`].
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let name = directory.display().to_string();
        Ok(Self { name, record: Record::open(directory)?, below: String::new() })
    }
}

/// What came of a grid over runs.
#[derive(Clone, Debug)]
pub struct JudgedRuns {
    /// Run by run.
    pub runs: Vec<JudgedRun>,
    /// What a user should know.
    pub notes: Vec<String>,
}

/// What came of it by the record of one run.
#[derive(Clone, Debug)]
pub struct JudgedRun {
    /// What the run is called.
    pub name: String,
    /// The members, by number.
    pub members: Vec<Member>,
    /// What was found.
    pub found: Found,
    /// Samples of its data set.
    pub samples: u32,
    /// Layers of its network.
    pub layers: u32,
    /// Epochs that were recorded.
    pub epochs: u32,
    /// What was recorded of them.
    pub recorded: Vec<EpochRow>,
}

/// Judges every point of `axes`, with `settings` for all of them, by the records of some runs. What is not set is as each
/// run had it; `prepare` has the last word on every experiment.
///
/// Every member decides and costs what a replay of its own would.
///
/// # Errors
/// If a setting is unknown, out of range or fixed by a record, or a record lacks a stream, before any work; if a file
/// cannot be read or written, or somebody interrupts: nothing is left then.
pub fn judge_runs(
    cases: &[RunCase],
    settings: &[(String, Value)],
    axes: &Axes,
    prepare: impl Fn(Experiment) -> Result<Experiment, Error>,
    options: &GridOptions,
) -> Result<JudgedRuns, Error> {
    let (points, mut notes) = (axes.points(), Vec::new());
    let mut prepared = Vec::new();
    for case in cases {
        let mut experiments = Vec::new();
        for point in &points {
            let experiment = prepare(case.record.experiment(&[settings, point].concat())?)?;
            check(&experiment)?;
            notes.extend(experiment.configuration().notes().iter().cloned());
            experiments.push(experiment);
        }
        let trace: Arc<dyn Recording> = Arc::new(case.record.streams(&STREAMS)?);
        prepared.push((case, experiments, trace));
    }
    notes.sort();
    notes.dedup();
    let mut directory = options.directory.as_deref().map(Directory::create).transpose()?;
    let mut runs = Vec::new();
    for (case, experiments, trace) in prepared {
        let store = match (&mut directory, options.decisions) {
            (Some(directory), true) => Some(directory.store(&case.below)),
            _ => None,
        };
        let first = experiments[0].settings();
        let (samples, layers) = (first.plan.samples, first.plan.architecture.layers.len() as u32);
        let (sieves, members) = members(&experiments, Arc::clone(&trace));
        let losses = sieves.iter().any(|sieve| sieve.reads_losses());
        let epochs = case.record.epochs_reached();
        let source = Arc::new(RecordedScores::new(trace, samples, losses));
        let interrupted = Arc::clone(&options.interrupted);
        let grid = Grid::new(source, sieves, epochs.saturating_sub(1), store, interrupted);
        runs.push(JudgedRun {
            name: case.name.clone(),
            members: experiments
                .iter()
                .map(|experiment| Member::of(experiment.configuration(), &CHOICES))
                .collect(),
            found: judge(grid.with_run(members), options.workers)?,
            samples,
            layers,
            epochs,
            recorded: case.record.recorded_epochs()?,
        });
    }
    if let Some(directory) = directory {
        table_file::write(&directory.path().join(TABLE_NAME), run_table::columns(&runs))?;
        directory.keep();
    }
    Ok(JudgedRuns { runs, notes })
}

/// The members of a grid, each sieve and each freezing once.
fn members(
    experiments: &[Experiment],
    recording: Arc<dyn Recording>,
) -> (Vec<Arc<dyn SievePolicy>>, RunMembers) {
    let (mut sieves, mut freezings, mut members) = (Vec::new(), Vec::new(), Vec::new());
    let mut known_sieves = BTreeMap::new();
    let mut known_freezings = BTreeMap::new();
    for (number, experiment) in experiments.iter().enumerate() {
        let (settings, configuration) = (experiment.settings(), experiment.configuration());
        let sieve = *known_sieves.entry(identity(number, configuration, &["sieve."])).or_insert_with(|| {
            sieves.push(Arc::clone(&settings.policies.sieve));
            sieves.len() - 1
        });
        // A plan follows from the masks, the freezing and how many samples are active.
        let plan = &settings.plan;
        let own = (
            identity(number, configuration, &["mask.", "freeze."]),
            configuration.is_given("freeze.flops_reduction"),
            plan.active_samples.clone(),
            experiment.densities() == Densities::Recorded,
        );
        let freezing = *known_freezings.entry(own).or_insert_with(|| {
            freezings.push(Freezing { settings: Arc::clone(settings), densities: experiment.densities() });
            freezings.len() - 1
        });
        members.push(RunMember { settings: Arc::clone(settings), sieve, freezing });
    }
    (sieves, RunMembers { recording, freezings, members })
}

/// What the policies of some families follow from: the seed and their keys; of one from outside the registries nobody
/// but its maker knows, so it is like no other.
fn identity(number: usize, configuration: &Configuration, families: &[&str]) -> (Option<usize>, Vec<String>) {
    let values = configuration.values();
    let registered = |key: &str| {
        let name = values.text(key);
        match key {
            "mask.policy" => mask::registry().iter().any(|entry| entry.name == name),
            "freeze.policy" => freeze::registry().iter().any(|entry| entry.name == name),
            _ => sieve::registry().iter().any(|entry| entry.name == name),
        }
    };
    let of_family = |key: &str| families.iter().any(|family| key.starts_with(family));
    let ready = CHOICES.iter().filter(|key| of_family(key)).all(|key| registered(key));
    let keys = values.iter().filter(|(key, _)| *key == "seed" || of_family(key));
    ((!ready).then_some(number), keys.map(|(key, value)| format!("{key}={value}")).collect())
}
