//! Recorded runs, opened to be analysed, and the dataflow that does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use spfde_data::Recording;
use spfde_data::files::parquet_store::stored_bytes;
use spfde_data::files::run_directory::is_held;
use spfde_data::files::{FollowedEnd, FollowedTrace, RecordedRun, RecordedTrace, RunDirectory, plausible};
use spfde_flow::analysis::{Analysed, Analysis, Streams};
use spfde_flow::{Cause, Tick};

use super::labels::Labels;
use crate::cluster::Network;
use crate::workers::work;
use crate::{Entry, Error, Options, Registry, Result, Source};

/// Recorded runs, opened to be analysed, replays among them.
pub struct Runs {
    runs: Vec<RecordedRun>,
    streams: Vec<crate::replay::Streams>,
    /// Where the data sets are that need no path: those that come with the program unless it says otherwise.
    pub registry: Arc<Registry>,
    /// Threads that work; the result is the same for any number.
    pub workers: usize,
    /// Set to end the analysis.
    pub interrupted: Arc<AtomicBool>,
}

impl Runs {
    /// Opens runs as far as they are committed.
    ///
    /// # Errors
    /// If there is none, one is no run, or has no complete epoch.
    pub fn open<P: AsRef<Path>>(runs: impl IntoIterator<Item = P>) -> Result<Self> {
        Self::opened(runs, false)
    }

    /// As [`Runs::open`], of runs that may go on: each epoch is read when it is committed.
    ///
    /// # Errors
    /// As [`Runs::open`]; a run that a process holds need not have a complete epoch.
    pub fn follow<P: AsRef<Path>>(runs: impl IntoIterator<Item = P>) -> Result<Self> {
        Self::opened(runs, true)
    }

    fn opened<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>, follow: bool) -> Result<Self> {
        let Options { workers, interrupted, .. } = Options::default();
        let (runs, streams, registry) = (Vec::new(), Vec::new(), Registry::standard());
        let mut all = Self { runs, streams, registry, workers, interrupted };
        for path in paths {
            let path = path.as_ref();
            // The holder first: what it wrote before it let go is in the manifest that is read afterwards.
            let held = follow && is_held(path)?;
            let run = RunDirectory::open(path)?;
            let manifest = run.manifest();
            plausible::rows(path, manifest)?;
            plausible::samples(path, manifest, |segment| stored_bytes(path, segment))?;
            if manifest.epochs_reached == 0 && !held {
                let path = path.display();
                return Err(Error::failed(format!("{path}: has no complete epoch that could be analysed")));
            }
            all.streams.push(match follow {
                true => {
                    // Which streams are needed is known once they are read.
                    let followed = Arc::new(FollowedTrace::open(path, &[])?.of(manifest)?);
                    (Arc::clone(&followed) as Arc<dyn Recording>, Some(followed))
                }
                false => (Arc::new(RecordedTrace::new(path, manifest, &[])?) as Arc<dyn Recording>, None),
            });
            all.runs.push(run);
        }
        if all.runs.is_empty() {
            return Err(Error::usage("a recorded run is missing, such as runs/resnet20-0-1"));
        }
        Ok(all)
    }

    /// The directories, in the order in which they were named.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.runs.iter().map(|run| run.path().to_owned()).collect()
    }

    /// How each run ended, if it was followed and has.
    pub fn ends(&self) -> impl Iterator<Item = Option<FollowedEnd>> {
        self.streams.iter().map(|(_, followed)| followed.as_ref().and_then(|followed| followed.end()))
    }

    /// The labels of the training set of the first run.
    ///
    /// # Errors
    /// If its data set cannot be read any more, is not in the [`registry`](Runs::registry), or is not what it
    /// was.
    pub fn labels(&self) -> Result<Arc<Labels>> {
        Labels::of(&self.runs[0], &self.registry).map(Arc::new)
    }

    /// An error if the samples of some runs are not the same, so that what they say of them cannot be
    /// compared.
    ///
    /// # Errors
    /// Names the runs.
    pub fn comparable(&self) -> Result<()> {
        let of = |run: &RecordedRun| {
            let manifest = run.manifest();
            let setting = |key: &str| manifest.settings.get(key).cloned().unwrap_or_default();
            // Which images are the validation set depends on the seed.
            let share = setting("data.validation");
            let seed = if share.as_f64().unwrap_or(0.0) > 0.0 { setting("seed") } else { share.clone() };
            (manifest.data_set.fingerprint.clone(), share, seed)
        };
        match self.runs.iter().find(|run| of(run) != of(&self.runs[0])) {
            None => Ok(()),
            Some(other) => {
                let (one, other) = (self.runs[0].path().display(), other.path().display());
                Err(Error::usage(format!(
                    "{one} and {other} have other training samples: their data sets, or what data.validation \
                     sets aside with their seeds, differ"
                )))
            }
        }
    }

    /// An error if the networks of some runs are not the same, so that what they say of weights and layers
    /// cannot be compared.
    ///
    /// # Errors
    /// Names the runs; or one cannot be read any more.
    pub fn same_networks(&self) -> Result<()> {
        let one = &self.runs[0];
        for other in &self.runs[1..] {
            if differ(one, other)? {
                let (one, other) = (one.path().display(), other.path().display());
                return Err(Error::usage(format!(
                    "{one} and {other} have different networks: their weights and layers cannot be compared"
                )));
            }
        }
        Ok(())
    }
}

/// Whether two runs have different networks. Runs of early versions recorded none: what their configurations
/// say of it counts.
fn differ(one: &RecordedRun, other: &RecordedRun) -> Result<bool> {
    if let (Some(one), Some(other)) = (&one.manifest().architecture, &other.manifest().architecture) {
        return Ok(one != other);
    }
    let model = |run: &RecordedRun| -> Result<Vec<Entry>> {
        let source = Source::of_run(run.path(), &run.config_unchanged()?)?;
        Ok(source.entries().iter().filter(|(key, _)| key.starts_with("model.")).cloned().collect())
    };
    Ok(model(one)? != model(other)?)
}

/// Has `build` wire an analysis of `runs`, once on each worker, and runs it until the runs end.
///
/// # Errors
/// If something cannot be read, or was not recorded; if the analysis was asked to end.
pub fn analyse(
    runs: &Runs,
    build: impl for<'a, 's> Fn(&'a Streams<'s>) + Send + Sync + 'static,
) -> Result<()> {
    let analysed = runs.runs.iter().zip(&runs.streams).map(|(run, (recording, _))| Analysed {
        name: run.path().display().to_string(),
        samples: u32::try_from(run.manifest().data_set.train_rows)
            .expect("the limit on samples is below this"),
        recording: Arc::clone(recording),
    });
    let analysis = Arc::new(Analysis::new(analysed.collect(), Arc::clone(&runs.interrupted)));
    let shared = Arc::clone(&analysis);
    let ended = work(Network::alone(runs.workers), move |worker| {
        worker.dataflow::<Tick, _, _>(|scope| Streams::build(scope, &shared, |streams| build(streams)));
        || ()
    });
    if let Some((worker, message)) = ended.panicked {
        return Err(Error::failed(format!("worker {worker} failed: {message}")));
    }
    match analysis.failed() {
        None => Ok(()),
        Some(Cause::Interrupted) => Err(Error::Failed { reason: "interrupted".to_owned(), code: 130 }),
        Some(Cause::Recording(reason)) => Err(Error::failed(reason)),
        Some(cause) => unreachable!("reading ends by other causes than {cause:?}"),
    }
}
