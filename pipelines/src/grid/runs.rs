//! Whole experiments judged by the records of runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use spfde_data::files::FollowedEnd;
use spfde_data::table::Record as _;
use spfde_data::{
    Densities, EpochRow, FreezeRow, GradientRow, LayerRow, MaskRow, Recording, RecordingError, Row, ScoreRow,
    Segment, SegmentStore, SieveRow,
};
use spfde_flow::grid::{Found, Freezing, Grid, MemberCosts, RecordedScores, RunMember, RunMembers};
use spfde_policy::SievePolicy;

use super::axes::each;
use super::directory::Directory;
use super::{Axes, GridOptions, Member, judge};
use crate::replay::{check, streams, unrecorded};
use crate::{Configuration, Entry, Experiment, Record, Result};

/// The streams that every grid reads: those that decide, the recorded decisions, and what they cost.
const STREAMS: [&str; 7] = [
    ScoreRow::STREAM,
    GradientRow::STREAM,
    LayerRow::STREAM,
    MaskRow::STREAM,
    SieveRow::STREAM,
    FreezeRow::STREAM,
    EpochRow::STREAM,
];

/// The keys that choose the policies.
const CHOICES: [&str; 3] = ["mask.policy", "freeze.policy", "sieve.policy"];

/// A run to judge by: a [`Record`] alone is called by its directory.
pub struct RunCase {
    /// What it is called in the results.
    pub name: String,
    /// Its record.
    pub record: Record,
    /// The directory below that of the results to which its decisions go; empty: that one itself.
    pub below: String,
}

impl From<Record> for RunCase {
    fn from(record: Record) -> Self {
        Self { name: record.run().path().display().to_string(), record, below: String::new() }
    }
}

/// What came of a grid by one record.
#[derive(Clone, Debug, Default)]
pub struct JudgedRun {
    /// What the record is called.
    pub name: String,
    /// The members, by number.
    pub members: Vec<Member>,
    /// What was found.
    pub found: Found,
    /// Samples of its data set.
    pub samples: u32,
    /// Layers of its network; 0 of bare scores.
    pub layers: u32,
    /// Epochs that were recorded.
    pub epochs: u32,
    /// Epochs that the run was to have; of bare scores those that there are.
    pub planned: u32,
    /// What was recorded of them.
    pub recorded: Vec<EpochRow>,
    /// How the run ended, if it was followed and has.
    pub end: Option<FollowedEnd>,
}

impl JudgedRun {
    /// Whether the record is one of a run, not of bare scores.
    pub fn is_run(&self) -> bool {
        self.layers > 0
    }
}

/// Judges every point of `axes`, with `settings` for all of them, by the records of some runs. What is not
/// set is as each run had it; `prepare` has the last word on every experiment.
///
/// Every member decides and costs what a replay of its own would.
///
/// # Errors
/// If a setting is unknown, out of range or fixed by a record, or a record lacks a stream, before any work;
/// if a file cannot be read or written, or it is interrupted: nothing is left then.
pub fn judge_runs(
    cases: &[RunCase],
    settings: &[Entry],
    axes: &Axes,
    prepare: impl Fn(Experiment) -> Result<Experiment>,
    options: &GridOptions,
) -> Result<Vec<JudgedRun>> {
    let (points, mut prepared, mut notes) = (axes.points(), Vec::new(), Vec::new());
    for case in cases {
        let experiments = each(&points, |_, point| {
            let experiment = prepare(case.record.experiment(&[settings, point].concat())?)?;
            check(&experiment)?;
            Ok(experiment)
        })?;
        let configurations = experiments.iter().map(Experiment::configuration);
        notes.extend(configurations.flat_map(|configuration| configuration.notes().iter().cloned()));
        let all: Vec<&Experiment> = experiments.iter().collect();
        let (recording, followed) = streams(&case.record, &STREAMS, &all)?;
        prepared.push((case, experiments, recording, followed));
    }
    options.tell(notes);
    let mut directory = Directory::create(options)?;
    let mut runs = Vec::new();
    for (case, experiments, recording, followed) in prepared {
        let store = directory.as_mut().and_then(|directory| directory.store(options, &case.below));
        let mut run = judge_run(case, &experiments, &recording, store, options)?;
        run.end = followed.and_then(|followed| followed.end());
        // Of a run that was interrupted: what was decided for an epoch that never came.
        let epochs = run.found.epochs;
        let (kept, beyond) = run.found.segments.into_iter().partition(|segment| segment.epoch < epochs);
        run.found.segments = kept;
        for Segment { path, .. } in beyond {
            if let Some(directory) = &directory {
                directory.remove(&case.below, &path)?;
            }
        }
        runs.push(run);
    }
    if let Some(directory) = directory {
        directory.keep(&runs)?;
    }
    Ok(runs)
}

/// Judges the members of a grid, which are `experiments`, by one record.
fn judge_run(
    case: &RunCase,
    experiments: &[Experiment],
    recording: &Arc<dyn Recording>,
    store: Option<Arc<dyn SegmentStore>>,
    options: &GridOptions,
) -> Result<JudgedRun> {
    let settings = experiments[0].settings();
    let samples = settings.plan.samples;
    let (sieves, run) = members(experiments, Arc::clone(recording));
    let losses = sieves.iter().any(|sieve| sieve.reads_losses());
    let source = Arc::new(RecordedScores::new(Arc::clone(recording), samples, losses));
    let epochs = if case.record.is_followed { settings.epochs } else { case.record.epochs_reached() };
    let of = |experiment: &Experiment| Member::of(experiment.configuration(), &CHOICES);
    let so_far = Arc::new(Mutex::new(JudgedRun {
        name: case.name.clone(),
        members: experiments.iter().map(of).collect(),
        samples,
        layers: settings.plan.architecture.layers.len() as u32,
        planned: settings.epochs,
        ..JudgedRun::default()
    }));
    let (seen, record, observer) =
        (Arc::clone(&so_far), Arc::clone(recording), Arc::clone(&options.observer));
    let observe = move |costs: &[MemberCosts]| {
        let Some(first) = costs.first() else { return Ok(()) };
        let recorded = recorded(&*record, first.epoch.epoch).map_err(|error| error.to_string())?;
        let run = &mut *seen.lock().unwrap_or_else(PoisonError::into_inner);
        run.recorded.extend(recorded);
        run.epochs = first.epoch.epoch + 1;
        run.found.costs.extend_from_slice(costs);
        observer.epoch(run, run.epochs >= record.extent().epochs);
        Ok(())
    };
    let grid = Grid {
        run: Some(run),
        follows: case.record.is_followed,
        observer: Arc::new(observe),
        ..Grid::new(source, sieves, epochs.saturating_sub(1), store, Arc::clone(&options.interrupted))
    };
    let found = judge(grid, options.workers)?;
    if found.epochs == 0 {
        return Err(unrecorded(&case.record));
    }
    let judged = so_far.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(JudgedRun { found, ..judged })
}

/// The recorded costs of an epoch.
fn recorded(recording: &dyn Recording, epoch: u32) -> Result<Vec<EpochRow>, RecordingError> {
    let mut rows = Vec::new();
    for segment in 0..recording.segments(EpochRow::STREAM, epoch) {
        for batch in recording.open(EpochRow::STREAM, &EpochRow::columns(), epoch, segment)?.batches {
            rows.extend(batch?.into_rows::<EpochRow>());
        }
    }
    Ok(rows)
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

/// What the policies of some families follow from: the seed and their keys; of one from outside the
/// registries only its maker knows, so it is like no other.
fn identity(number: usize, configuration: &Configuration, families: &[&str]) -> (Option<usize>, Vec<String>) {
    let values = configuration.values();
    let of_family = |key: &str| families.iter().any(|family| key.starts_with(family));
    let choices = configuration.registry().families().into_iter().map(|family| family.choice);
    let ready = choices
        .filter(|choice| of_family(choice.key))
        .all(|choice| values.get(choice.key).is_some_and(|name| choice.check(name.clone()).is_ok()));
    let keys = values.iter().filter(|(key, _)| *key == "seed" || of_family(key));
    ((!ready).then_some(number), keys.map(|(key, value)| format!("{key}={value}")).collect())
}
