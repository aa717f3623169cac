//! Whole experiments judged by the records of runs.

use std::path::Path;
use std::sync::Arc;

use spfde_data::files::recording::{FollowedEnd, FollowedTrace};
use spfde_data::files::table_file;
use spfde_data::parameter::Value;
use spfde_data::rows::{EpochRow, FreezeRow, GradientRow, MaskRow, ScoreRow, SieveRow};
use spfde_data::segment::{Recording, Segment, SegmentStore};
use spfde_data::table::Row;
use spfde_flow::grid::{Found, Grid, GridObserver, RecordedScores};

use super::axes::at_point;
use super::directory::Directory;
use super::members::members;
use super::seen::Seen;
use super::work::judge;
use super::{Axes, GridOptions, Member, TABLE_NAME, run_table};
use crate::error::Error;
use crate::experiment::Experiment;
use crate::replay::{Record, check, unrecorded};

/// The streams that a grid reads: those that decide, the recorded decisions, and what they cost.
const STREAMS: [&str; 6] = [
    ScoreRow::STREAM,
    GradientRow::STREAM,
    MaskRow::STREAM,
    SieveRow::STREAM,
    FreezeRow::STREAM,
    EpochRow::STREAM,
];

/// The keys that choose the policies.
pub(super) const CHOICES: [&str; 3] = ["mask.policy", "freeze.policy", "sieve.policy"];

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

    /// As [`RunCase::open`], of a run that may still go on.
    ///
    /// # Errors
    /// As [`Record::open_unfinished`].
    pub fn open_unfinished(directory: &Path) -> Result<Self, Error> {
        let name = directory.display().to_string();
        Ok(Self { name, record: Record::open_unfinished(directory)?, below: String::new() })
    }
}

/// What came of a grid over runs.
#[derive(Clone, Debug)]
pub struct JudgedRuns {
    /// Run by run.
    pub runs: Vec<JudgedRun>,
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
    /// How the run ended, if it was followed and has.
    pub end: Option<FollowedEnd>,
}

/// A run with the experiments that are judged by it.
struct Prepared<'a> {
    case: &'a RunCase,
    experiments: Vec<Experiment>,
    recording: Arc<dyn Recording>,
    followed: Option<Arc<FollowedTrace>>,
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
            let own = || {
                let experiment = prepare(case.record.experiment(&[settings, point].concat())?)?;
                check(&experiment)?;
                Ok::<_, Error>(experiment)
            };
            let experiment = own().map_err(|error| at_point(point, error))?;
            notes.extend(experiment.configuration().notes().iter().cloned());
            experiments.push(experiment);
        }
        let followed = match options.follow {
            true => Some(Arc::new(case.record.followed(&STREAMS)?)),
            false => None,
        };
        let recording = match &followed {
            Some(followed) => Arc::clone(followed) as Arc<dyn Recording>,
            None => Arc::new(case.record.streams(&STREAMS)?),
        };
        prepared.push(Prepared { case, experiments, recording, followed });
    }
    notes.sort();
    notes.dedup();
    options.observer.notes(&notes);
    let mut directory = options.directory.as_deref().map(Directory::create).transpose()?;
    let mut runs = Vec::new();
    for prepared in prepared {
        let below = &prepared.case.below;
        let store = match (&mut directory, options.decisions) {
            (Some(directory), true) => Some(directory.store(below)),
            _ => None,
        };
        let mut run = prepared.judge(store, options)?;
        // Of a run that was interrupted: what was decided for an epoch that never came.
        let epochs = run.found.epochs;
        let (kept, beyond) = run.found.segments.into_iter().partition(|segment| segment.epoch < epochs);
        run.found.segments = kept;
        for Segment { path, .. } in beyond {
            if let Some(directory) = &directory {
                directory.remove(below, &path)?;
            }
        }
        runs.push(run);
    }
    if let Some(directory) = directory {
        table_file::write(&directory.path().join(TABLE_NAME), run_table::columns(&runs))?;
        directory.keep();
    }
    Ok(JudgedRuns { runs })
}

impl Prepared<'_> {
    fn judge(self, store: Option<Arc<dyn SegmentStore>>, options: &GridOptions) -> Result<JudgedRun, Error> {
        let Self { case, experiments, recording, followed } = self;
        let settings = experiments[0].settings();
        let samples = settings.plan.samples;
        let (sieves, run) = members(&experiments, Arc::clone(&recording));
        let losses = sieves.iter().any(|sieve| sieve.reads_losses());
        let source = Arc::new(RecordedScores::new(Arc::clone(&recording), samples, losses));
        let epochs = if options.follow { settings.epochs } else { case.record.epochs_reached() };
        let of = |experiment: &Experiment| Member::of(experiment.configuration(), &CHOICES);
        let judged = JudgedRun {
            name: case.name.clone(),
            members: experiments.iter().map(of).collect(),
            found: Found::default(),
            samples,
            layers: settings.plan.architecture.layers.len() as u32,
            epochs: 0,
            recorded: Vec::new(),
            end: None,
        };
        let seen = Arc::new(Seen::new(judged, recording, Arc::clone(&options.observer)));
        let grid =
            Grid::new(source, sieves, epochs.saturating_sub(1), store, Arc::clone(&options.interrupted))
                .with_run(run)
                .following(options.follow)
                .with_observer(Arc::clone(&seen) as Arc<dyn GridObserver>);
        let found = judge(grid, options.workers)?;
        let judged = seen.so_far();
        if found.epochs == 0 {
            return Err(unrecorded(&case.record));
        }
        Ok(JudgedRun { found, end: followed.and_then(|followed| followed.end()), ..judged })
    }
}
