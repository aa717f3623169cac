//! Running an experiment: workers, run directory, stop. And what a process may do in the run directory:
//! process 0 commits, all write their segments.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use spfde_data::files::layout::PREFIX_CACHE;
use spfde_data::files::run_directory::{Member, default_directory};
use spfde_data::files::{DataError, Kind, Manifest, ParquetStore, RunDirectory, ScratchFile};
use spfde_data::{Commit, CompleteEpoch, StorageError};
use spfde_flow::{Cause, Checkpoints, Fault, Observer, PrefixCache, Services, Snapshot, Stop};

use crate::checkpoint::CheckpointFiles;
use crate::cluster::{Cluster, Meeting, Network};
use crate::environment::beginning;
use crate::error::UNWRITTEN;
use crate::workers::{Ended, execute};
use crate::{Build, Error, Experiment, Reached, Result, Why, memory};

/// How to run an experiment; none of it changes a bit of the result.
#[derive(Clone)]
pub struct Options {
    /// Where to: a directory that does not exist yet, or is empty. `None`: `runs/<model>-<seed>-<n>`; a
    /// replay then writes nothing.
    pub directory: Option<PathBuf>,
    /// Threads of this process that train; those beyond the shards idle.
    pub workers: usize,
    /// The processes that train together, of which this is one; `None`: it is the only one, as in every
    /// replay.
    pub cluster: Option<Arc<Cluster>>,
    /// Is shown how it goes.
    pub observer: Arc<dyn Observer>,
    /// Set to end the run after the step in flight.
    pub interrupted: Arc<AtomicBool>,
}

impl Options {
    /// How many processes train together.
    pub(crate) fn processes(&self) -> usize {
        self.cluster.as_ref().map_or(1, |cluster| cluster.processes())
    }

    /// Whether this process speaks for all.
    pub(crate) fn is_first(&self) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| cluster.is_first())
    }

    /// Waits, as process 0 or the only one, for the others; all begin with the run in `directory` at `epoch`.
    pub(crate) fn network(&self, meeting: &Meeting, directory: &RunDirectory, epoch: u32) -> Result<Network> {
        match &self.cluster {
            None => Ok(Network::alone(self.workers)),
            Some(cluster) => cluster.gather(meeting, directory.path(), epoch, &self.interrupted),
        }
    }
}

impl Default for Options {
    /// All cores, the default directory, no observer.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { directory: None, workers, cluster: None, observer: Arc::new(()), interrupted: Arc::default() }
    }
}

/// Runs `experiment`: `build` wires its graph, once on each worker. The directory it was written to.
///
/// ```no_run
/// use spfde::prelude::*;
/// let experiment = Experiment::new(Configuration::resolve(&[])?)?;
/// let directory = spfde::run(&experiment, Options::default(), spfde::wire)?;
/// # let _ = directory; Ok::<(), spfde::Error>(())
/// ```
///
/// # Errors
/// If the directory cannot be created, before any work; if the run stopped before its last epoch: what is
/// committed by then is kept.
pub fn run(experiment: &Experiment, options: Options, build: impl Build) -> Result<PathBuf> {
    let meeting = Meeting::new("spfde train", options.workers, experiment);
    match options.cluster.clone().filter(|cluster| !cluster.is_first()) {
        Some(cluster) => {
            let (path, interrupted) = (options.directory.as_deref(), &options.interrupted);
            let (network, member) = cluster.join(&meeting, path, interrupted, |_, member| Ok(member))?;
            work_on(experiment, Place::Joined(member), None, network, options, build)
        }
        None => {
            let directory = Arc::new(create(experiment, &options)?);
            let network =
                options.network(&meeting, &directory, 0).map_err(|error| discard(&directory, error))?;
            work_on(experiment, Place::Held(directory), None, network, options, build)
        }
    }
}

/// Trains in `place` from `resumed`, or from the beginning, to the end.
pub(crate) fn work_on(
    experiment: &Experiment,
    place: Place,
    resumed: Option<Snapshot>,
    network: Network,
    options: Options,
    build: impl Build,
) -> Result<PathBuf> {
    let settings = experiment.settings();
    let (several, workers) = (options.processes() > 1, options.workers.max(1));
    let place = Arc::new(place);
    options.observer.begun(place.path());
    let services = Services {
        store: Arc::new(ParquetStore::new(place.path())),
        commit: Arc::clone(&place) as Arc<dyn Commit>,
        stop: Stop::when(options.interrupted),
        checkpoints: Some(Checkpoints {
            every: experiment.configuration().values().integer("train.checkpoint_every"),
            store: Arc::new(CheckpointFiles(place.path().to_owned())),
        }),
        resumed: resumed.map(Arc::new),
        recorded: None,
        prefix_cache: PrefixCache::new(&settings.kept_of_prefix(), &|| {
            Box::new(ScratchFile::new(&place.path().join(PREFIX_CACHE)))
        }),
        observer: options.observer,
    };
    let Ended { done, panicked, lost } = execute(settings, services, network, build);
    let fault = done.into_iter().flatten().min();
    let (directory, epochs) = (place.path().to_owned(), settings.epochs);
    // What is committed is for process 0 to tell.
    let (committed, is_enough) = match place.held().map(RunDirectory::manifest) {
        Some(manifest) => (manifest.epochs_reached, manifest.ended_early.is_some()),
        None => (epochs, matches!(&fault, Some(Fault { cause: Cause::Enough(_), .. }))),
    };
    let panicked = panicked.map(|(worker, message)| Why::Panic { worker, message });
    let (why, process) = match (panicked.or(lost.map(Why::Lost)), fault) {
        (Some(why), _) => (why, None),
        (None, Some(fault)) if !is_enough => {
            let process = several.then(|| (fault.worker as usize / workers) as u16);
            (Why::Fault(fault), process)
        }
        (None, None) if committed < epochs && !is_enough => {
            let written = place.finish(Some("the pipeline traced no training".to_owned()));
            return Err(Error::Untraced { stage: "train", committed, epochs }.and(UNWRITTEN, written));
        }
        (None, _) => {
            place.finish(None)?;
            return Ok(directory);
        }
    };
    let unwritten = place.finish(Some(why.to_string())).err().map(Box::new);
    let (why, reached) = (Box::new(why), place.reached());
    Err(Error::Stopped { why, process, directory, reached, epochs, unwritten })
}

/// Creates the run directory; if none is named, the first that is free.
fn create(experiment: &Experiment, options: &Options) -> Result<RunDirectory, DataError> {
    let settings = experiment.settings();
    let beginning = beginning(experiment, options.workers, options.processes());
    loop {
        let default = || default_directory(Path::new("runs"), &settings.model, settings.seed);
        let path = options.directory.clone().unwrap_or_else(default);
        match RunDirectory::create(&path, &beginning) {
            // Another run took the same name at the same time.
            Err(error)
                if options.directory.is_none()
                    && [Kind::Taken, Kind::Locked].into_iter().any(|kind| error.is(kind)) => {}
            created => return created,
        }
    }
}

/// Gives up a run of which nothing is to be kept, for `error`.
pub(crate) fn discard(directory: &RunDirectory, error: Error) -> Error {
    error.and("what had been written could not be removed", directory.discard())
}

/// The run directory, as a process of the run has it. It is held as long as a worker may write there, be it
/// one that is left behind: each has it to commit.
pub(crate) enum Place {
    /// The process that holds it, and commits.
    Held(Arc<RunDirectory>),
    /// Another one, which only writes its own segments there.
    Joined(Member),
}

impl Place {
    /// The run directory, if this process holds it: whatever concerns the whole run is then for it to do.
    pub(crate) fn held(&self) -> Option<&RunDirectory> {
        if let Place::Held(directory) = self { Some(directory) } else { None }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::Held(directory) => directory.path(),
            Place::Joined(member) => member.run(),
        }
    }

    /// How far the run has come, and the epoch of its last checkpoint; `None` if this process cannot tell. In
    /// a shared file system a process that has joined may see it late.
    pub(crate) fn reached(&self) -> Option<Reached> {
        let manifest = match self {
            Place::Held(directory) => directory.manifest(),
            Place::Joined(member) => Manifest::read(member.run()).ok()?,
        };
        Some(Reached { epochs: manifest.epochs_reached, checkpoint: manifest.last_checkpoint() })
    }

    /// Ends the work on the run; the manifest is process 0's.
    pub(crate) fn finish(&self, stopped: Option<String>) -> Result<(), DataError> {
        self.held().map_or(Ok(()), |directory| directory.finish(stopped))
    }
}

/// Worker 0 commits, which belongs to process 0; the others have nothing to commit.
impl Commit for Place {
    fn commit_epoch(&self, complete: CompleteEpoch) -> Result<(), StorageError> {
        let complete = CompleteEpoch { peak_memory_bytes: memory::peak(), ..complete };
        self.held().map_or(Ok(()), |directory| directory.commit_epoch(complete))
    }
}

#[cfg(test)]
mod tests {
    use spfde_data::files::Kind;

    use super::*;

    #[test]
    fn a_process_works_on_its_run_as_long_as_one_of_its_workers_may() {
        let directory = tempfile::tempdir().unwrap();
        let place = Arc::new(Place::Joined(Member::join(directory.path(), 1).unwrap()));
        let left_behind = Arc::clone(&place) as Arc<dyn Commit>;
        drop(place);
        let error = Member::join(directory.path(), 1).unwrap_err();
        assert!(error.is(Kind::Locked), "{error}");
        drop(left_behind);
        Member::join(directory.path(), 1).unwrap();
    }
}
