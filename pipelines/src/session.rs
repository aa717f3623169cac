//! Running an experiment: workers, run directory, stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use spfde_data::files::DataError;
use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::ParquetStore;
use spfde_data::files::run_directory::{Member, RunDirectory, default_directory};
use spfde_data::segment::{Commit, Segment, StorageError};
use spfde_flow::{Checkpoints, Fault, Observer, Run, Services, Settings, Snapshot, Stop, Tick};

use crate::checkpoint::CheckpointFiles;
use crate::cluster::{Cluster, Invitation, Lost, Meeting, Purpose};
use crate::error::{Error, Reached};
use crate::experiment::Experiment;
use crate::workers::{Crew, Ending, work};

/// How to run an experiment; none of it changes a bit of the result.
#[derive(Clone)]
pub struct Options {
    /// Where to: a directory that does not exist yet, or is empty. `None`: `runs/<model>-<seed>-<n>`; a replay then
    /// writes nothing.
    pub directory: Option<PathBuf>,
    /// Threads of this process that train; those beyond the shards idle.
    pub workers: usize,
    /// The processes that train together, of which this is one; `None`: it is the only one.
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
}

impl Default for Options {
    /// All cores, the default directory, nobody watching.
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
/// let directory = spfde::run(&experiment, Options::default(), spfde::pipeline)?;
/// # let _ = directory; Ok::<(), spfde::Error>(())
/// ```
///
/// # Errors
/// If the directory cannot be created, before any work; if the run stopped before its last epoch: what is committed
/// by then is kept.
pub fn run(
    experiment: &Experiment,
    options: Options,
    build: impl Fn(&Run<'_>) + Send + Sync + 'static,
) -> Result<PathBuf, Error> {
    let meeting = Meeting::of(Purpose::Train, experiment, options.workers);
    let interrupted = Arc::clone(&options.interrupted);
    match options.cluster.clone() {
        Some(cluster) if !cluster.is_first() => {
            let join = |invitation: &Invitation| invitation.member(&cluster);
            let (network, member) =
                cluster.join(&meeting, options.directory.as_deref(), &interrupted, join)?;
            work_on(experiment, Place::Joined(Arc::new(member)), None, network, options, build)
        }
        cluster => {
            let directory = Arc::new(create(experiment, &options)?);
            let crew = match cluster {
                None => Crew::from(options.workers),
                Some(cluster) => match cluster.gather(&meeting, Some(directory.path()), 0, &interrupted) {
                    Ok(network) => Crew::from(network),
                    Err(error) => {
                        discard(&directory);
                        return Err(error);
                    }
                },
            };
            work_on(experiment, Place::Held(directory), None, crew, options, build)
        }
    }
}

/// The run directory, as a process of the run has it.
pub(crate) enum Place {
    /// The process that holds it, and commits.
    Held(Arc<RunDirectory>),
    /// Another one, which only writes its own segments there.
    Joined(Arc<Member>),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Place::Held(directory) => directory.path(),
            Place::Joined(member) => member.run(),
        }
    }

    pub(crate) fn store(&self) -> ParquetStore {
        match self {
            Place::Held(directory) => directory.store(),
            Place::Joined(member) => member.store(),
        }
    }

    fn checkpoints(&self) -> CheckpointFiles {
        CheckpointFiles::written(match self {
            Place::Held(directory) => directory.checkpoints(),
            Place::Joined(member) => member.checkpoints(),
        })
    }

    pub(crate) fn commit(&self) -> Arc<dyn Commit> {
        match self {
            Place::Held(directory) => Arc::clone(directory) as Arc<dyn Commit>,
            Place::Joined(member) => Arc::new(Elsewhere { _member: Arc::clone(member) }),
        }
    }

    /// How far the run has come, and the epoch of its last checkpoint; `None` if this process cannot tell. In a shared file
    /// system a process that has joined may see it late.
    fn reached(&self) -> Option<Reached> {
        let manifest = match self {
            Place::Held(directory) => directory.manifest(),
            Place::Joined(member) => match Manifest::read(member.run()) {
                Ok(manifest) => manifest,
                Err(error) => {
                    crate::command::remark(format_args!("what is committed cannot be told: {error}"));
                    return None;
                }
            },
        };
        Some(Reached { epochs: manifest.epochs_reached, checkpoint: manifest.last_checkpoint() })
    }

    /// Ends the work on the run; the manifest is process 0's.
    fn finish(&self, stopped: Option<String>) -> Result<(), DataError> {
        match self {
            Place::Held(directory) => directory.finish(stopped),
            Place::Joined(_) => Ok(()),
        }
    }
}

/// Trains in `place` from `resumed`, or from the beginning, to the end.
pub(crate) fn work_on(
    experiment: &Experiment,
    place: Place,
    resumed: Option<Snapshot>,
    crew: impl Into<Crew>,
    options: Options,
    build: impl Fn(&Run<'_>) + Send + Sync + 'static,
) -> Result<PathBuf, Error> {
    let settings = Arc::clone(experiment.settings());
    let (several, workers) = (options.processes() > 1, options.workers.max(1));
    let interrupted = Arc::clone(&options.interrupted);
    let path = place.path().to_owned();
    let services = Services {
        store: Arc::new(place.store()),
        commit: place.commit(),
        stop: Stop::when(Arc::clone(&interrupted)),
        checkpoints: Some(Checkpoints {
            every: experiment.configuration().values().integer("train.checkpoint_every"),
            store: Arc::new(place.checkpoints()),
        }),
        resumed: resumed.map(Arc::new),
        recorded: None,
        observer: options.observer,
    };
    let Ended { fault, panicked, lost } = execute(&settings, services, crew, build);
    if fault.is_some() {
        // Nobody may keep it from its end who does not read why.
        crate::command::hurry();
    }
    let epochs = settings.epochs;
    if let Some((worker, message)) = panicked {
        keep(place.finish(Some(format!("worker {worker} failed: {message}"))));
        let reached = place.reached();
        return Err(Error::Worker { worker, message, directory: path, reached });
    }
    if let Some(Lost { process, address, reason }) = lost {
        if interrupted.load(Ordering::Relaxed) {
            keep(
                place.finish(Some(format!("interrupted, without process {process} at {address} ({reason})"))),
            );
            let reached = place.reached();
            return Err(Error::InterruptedAlone { process, address, reason, directory: path, reached });
        }
        keep(place.finish(Some(format!("process {process} at {address} was lost ({reason})"))));
        let reached = place.reached();
        return Err(Error::Lost { process, address, reason, directory: path, reached });
    }
    if let Some(fault) = fault {
        keep(place.finish(Some(fault.to_string())));
        let reached = place.reached();
        let process =
            several.then(|| fault.worker as usize / workers).and_then(|process| process.try_into().ok());
        return Err(Error::Stopped { fault, process, directory: path, reached, epochs });
    }
    // Whether all is committed is for process 0 to tell.
    if let Place::Held(directory) = &place {
        let committed = directory.manifest().epochs_reached;
        if committed < epochs {
            keep(place.finish(Some("the pipeline traced no training".to_owned())));
            return Err(Error::Untraced { directory: path, committed, epochs });
        }
    }
    place.finish(None)?;
    Ok(path)
}

/// Commits nothing: worker 0 does that, which belongs to process 0. Holds the process's part in the run as long as one of its
/// workers may write there, be it one that is left behind.
struct Elsewhere {
    _member: Arc<Member>,
}

impl Commit for Elsewhere {
    fn commit(&self, _: u32, _: Vec<Segment>) -> Result<(), StorageError> {
        Ok(())
    }
}

/// How all workers ended.
pub(crate) struct Ended {
    /// The first fault.
    pub(crate) fault: Option<Fault>,
    /// The first worker of this process that panicked, and the panic's message.
    pub(crate) panicked: Option<(usize, String)>,
    /// Another process that is gone.
    pub(crate) lost: Option<Lost>,
}

/// Builds the graph on every worker and runs it until it runs dry.
pub(crate) fn execute(
    settings: &Arc<Settings>,
    services: Services,
    crew: impl Into<Crew>,
    build: impl Fn(&Run<'_>) + Send + Sync + 'static,
) -> Ended {
    let crew = crew.into();
    let first = crew.first_worker();
    let settings = Arc::clone(settings);
    let build = move |worker: &mut timely::worker::Worker| {
        let finished = worker.dataflow::<Tick, _, _>(|scope| {
            let run = Run::new(scope, Arc::clone(&settings), services.clone());
            build(&run);
            run.finish()
        });
        move || finished.fault()
    };
    let endings = work(crew, build);
    let mut ended = Ended { fault: None, panicked: None, lost: None };
    for (worker, ending) in endings.into_iter().enumerate() {
        match ending {
            Ending::Done(seen) => ended.fault = ended.fault.into_iter().chain(seen).min(),
            Ending::Panicked(message) => ended.panicked = ended.panicked.or(Some((first + worker, message))),
            Ending::Lost(lost) => ended.lost = ended.lost.or(Some(lost)),
            Ending::Abandoned => (),
        }
    }
    ended
}

/// Creates the run directory; if nobody named one, the first that is free.
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
            Err(DataError::NotEmpty { .. } | DataError::RunThere { .. } | DataError::Locked { .. })
                if options.directory.is_none() => {}
            created => return created,
        }
    }
}

/// Gives up a run of which nothing is to be kept. Why it is given up matters more than that something of it stays.
pub(crate) fn discard(directory: &RunDirectory) {
    if let Err(error) = directory.discard() {
        crate::command::remark(format_args!("what had been written could not be removed: {error}"));
    }
}

/// The reason why a run ended matters more than that it could not be written down.
pub(crate) fn keep(written: Result<(), DataError>) {
    if let Err(error) = written {
        crate::command::remark(format_args!("the manifest does not say why the run ended: {error}"));
    }
}

/// What is worth knowing of machine and program; compared with nothing.
pub(crate) fn environment(experiment: &Experiment, workers: usize, processes: usize) -> serde_json::Value {
    let features: Vec<&str> = cpu_features();
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": option_env!("SPFDE_REVISION"),
        "architecture": std::env::consts::ARCH,
        "system": std::env::consts::OS,
        "cpu_features": features,
        "kernel": experiment.settings().kernel.name(),
        "workers": workers,
        "processes": processes,
        // What relative paths of the configuration are relative to.
        "working_directory": std::env::current_dir().ok().and_then(|path| path.to_str().map(str::to_owned)),
    })
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let known = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    known.into_iter().filter(|(_, found)| *found).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_works_on_its_run_as_long_as_one_of_its_workers_may() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::Joined(Arc::new(Member::join(directory.path(), 1).unwrap()));
        let left_behind = place.commit();
        drop(place);
        let error = Member::join(directory.path(), 1).unwrap_err();
        assert!(matches!(error, DataError::Locked { .. }), "{error}");
        drop(left_behind);
        Member::join(directory.path(), 1).unwrap();
    }
}
