//! Running an experiment: workers, run directory, stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use spfde_data::files::manifest::Manifest;
use spfde_data::files::run_directory::{RunDirectory, default_directory};
use spfde_data::files::{DataError, Kind};
use spfde_flow::{Cause, Checkpoints, Fault, Observer, Run, Services, Snapshot, Stop};

use crate::cluster::{Cluster, Meeting, Network, Purpose};
use crate::environment::environment;
use crate::error::{Error, Why};
use crate::execute::{Ended, execute};
use crate::experiment::Experiment;
use crate::place::Place;

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
    pub(crate) fn network(
        &self,
        meeting: &Meeting,
        directory: &RunDirectory,
        epoch: u32,
    ) -> Result<Network, Error> {
        match &self.cluster {
            None => Ok(Network::alone(self.workers)),
            Some(cluster) => Ok(cluster.gather(meeting, directory.path(), epoch, &self.interrupted)?),
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
pub fn run(
    experiment: &Experiment,
    options: Options,
    build: impl Fn(&Run<'_>) + Send + Sync + 'static,
) -> Result<PathBuf, Error> {
    let meeting = meeting(Purpose::Train, experiment, options.workers);
    let interrupted = Arc::clone(&options.interrupted);
    match options.cluster.clone().filter(|cluster| !cluster.is_first()) {
        Some(cluster) => {
            let path = options.directory.as_deref();
            let joined = cluster.join(&meeting, path, &interrupted, |_, member| Ok::<_, Error>(member));
            let (network, member) = joined?;
            work_on(experiment, Place::Joined(Arc::new(member)), None, network, options, build)
        }
        None => {
            let directory = Arc::new(create(experiment, &options)?);
            let network =
                options.network(&meeting, &directory, 0).map_err(|error| discard(&directory, error))?;
            work_on(experiment, Place::Held(directory), None, network, options, build)
        }
    }
}

/// What the processes of a run have to agree on: what `experiment` is, for a process of so many workers.
pub(crate) fn meeting(purpose: Purpose, experiment: &Experiment, workers: usize) -> Meeting {
    let values = experiment.configuration().values();
    let settings = values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Meeting::new(purpose, workers, settings, experiment.settings().data.fingerprint.clone())
}

/// Trains in `place` from `resumed`, or from the beginning, to the end.
pub(crate) fn work_on(
    experiment: &Experiment,
    place: Place,
    resumed: Option<Snapshot>,
    network: Network,
    options: Options,
    build: impl Fn(&Run<'_>) + Send + Sync + 'static,
) -> Result<PathBuf, Error> {
    let settings = Arc::clone(experiment.settings());
    let (several, workers) = (options.processes() > 1, options.workers.max(1));
    let services = Services {
        store: Arc::new(place.store()),
        commit: place.commit(),
        stop: Stop::when(options.interrupted),
        checkpoints: Some(Checkpoints {
            every: experiment.configuration().values().integer("train.checkpoint_every"),
            store: Arc::new(place.checkpoints()),
        }),
        resumed: resumed.map(Arc::new),
        recorded: None,
        observer: options.observer,
    };
    let Ended { fault, panicked, lost } = execute(&settings, services, network, build);
    let (directory, epochs) = (place.path().to_owned(), settings.epochs);
    let process = fault.as_ref().filter(|_| several).map(|fault| (fault.worker as usize / workers) as u16);
    let panicked = panicked.map(|(worker, message)| Why::Panic { worker, message });
    let why = panicked.or(lost.map(Why::Lost)).map(|why| (why, None));
    // Whether the epoch that was enough is committed is for process 0 to tell.
    let is_enough = match &place {
        Place::Held(held) => held.manifest().ended_early.is_some(),
        Place::Joined(_) => matches!(&fault, Some(Fault { cause: Cause::Enough(_), .. })),
    };
    if why.is_none() && is_enough {
        place.finish(None)?;
        return Ok(directory);
    }
    if let Some((why, process)) = why.or(fault.map(|fault| (Why::Fault(fault), process))) {
        let unwritten = place.finish(Some(why.to_string())).err().map(Box::new);
        let (why, reached) = (Box::new(why), place.reached());
        return Err(Error::Stopped { why, process, directory, reached, epochs, unwritten });
    }
    // Whether all is committed is for process 0 to tell.
    if let Place::Held(held) = &place {
        let committed = held.manifest().epochs_reached;
        if committed < epochs {
            let written = place.finish(Some("the pipeline traced no training".to_owned()));
            return Err(unwritten(Error::Untraced { stage: "train", committed, epochs }, written));
        }
    }
    place.finish(None)?;
    Ok(directory)
}

/// Creates the run directory; if none is named, the first that is free.
fn create(experiment: &Experiment, options: &Options) -> Result<RunDirectory, DataError> {
    let settings = experiment.settings();
    let environment = environment(experiment, options.workers, options.processes());
    let configuration = experiment.configuration().to_toml();
    let network = settings.network.to_json();
    loop {
        let default = || default_directory(Path::new("runs"), &settings.model, settings.seed);
        let path = options.directory.clone().unwrap_or_else(default);
        let manifest = Manifest::new(&settings.data, settings.epochs);
        match RunDirectory::create(&path, &configuration, Some(&network), &environment, manifest) {
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

/// The error for which a run ends, and that the manifest does not say so, if it could not be `written`.
pub(crate) fn unwritten(error: Error, written: Result<(), DataError>) -> Error {
    error.and("the manifest does not say why the run ended", written)
}
