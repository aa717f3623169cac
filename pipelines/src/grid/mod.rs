//! Many policies at once over recorded scores: a grid of settings, judged as one dataflow.

mod axes;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use spfde_data::files::parquet_store::ParquetStore;
use spfde_data::files::score_files::ScoreFiles;
use spfde_data::files::{DataError, atomic, table_file};
use spfde_data::parameter::{Parameter, ParameterError, Value};
use spfde_data::scores::ScoreSource;
use spfde_data::segment::SegmentStore;
use spfde_flow::Tick;
use spfde_flow::grid::{Found, Grid, grid};
use spfde_policy::{SieveContext, SievePolicy, sieve};

use crate::configuration::Configuration;
use crate::error::Error;
use crate::workers::{Ending, work};

pub use axes::{Axes, MOST_MEMBERS};
pub(crate) use table::keys;
pub use table::{Column, Summary};

/// The name of the table of results within its directory.
pub const TABLE_NAME: &str = "grid.parquet";

/// How to judge a grid; none of it changes a bit of the result.
#[derive(Clone, Debug)]
pub struct GridOptions {
    /// Where to: a directory that does not exist yet, or is empty. `None`: nowhere.
    pub directory: Option<PathBuf>,
    /// Whether to write the decisions of every member, too.
    pub decisions: bool,
    /// Threads that work.
    pub workers: usize,
    /// Set to end it.
    pub interrupted: Arc<AtomicBool>,
}

/// A point of the grid.
#[derive(Clone, Debug)]
pub struct Member {
    /// The keys of its policy, and the seed.
    pub parameters: BTreeMap<String, Value>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The members, by number.
    pub members: Vec<Member>,
    /// What was found.
    pub found: Found,
    /// Files of scores.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Samples that occur.
    pub samples: u32,
    /// Epochs with scores.
    pub epochs: u32,
    /// Seconds to find out what is in the files, and for the rest.
    pub seconds: [f64; 2],
    /// What a user should know.
    pub notes: Vec<String>,
}

/// Judges sieve policies by the score files at `path`: every point of `axes`, with `settings` for all of them.
///
/// The last epoch is decided, too: what takes effect after it is the answer of the whole record.
///
/// # Errors
/// If a setting is unknown, out of range or none of the sieve's, before any work; if a file cannot be read or written,
/// or somebody interrupts: nothing is left then.
pub fn judge_scores(
    path: &Path,
    settings: &[(String, Value)],
    axes: &Axes,
    options: &GridOptions,
) -> Result<Judged, Error> {
    let points: Vec<Configuration> = axes
        .points()
        .into_iter()
        .map(|point| configuration(&[settings, &point].concat()))
        .collect::<Result<_, _>>()?;
    let start = Instant::now();
    // Whether losses are wanted is known to the policy alone, and that takes a number of samples.
    let wanted = points.iter().try_fold(false, |wanted, point| {
        Ok::<_, ParameterError>(wanted | build(point, u32::MAX, 2)?.reads_losses())
    })?;
    let files = Arc::new(ScoreFiles::open(path, options.workers, wanted)?);
    let (samples, epochs) = (files.samples(), files.epochs());
    let policies: Vec<Arc<dyn SievePolicy>> = points
        .iter()
        .map(|point| Ok(build(point, samples, epochs + 1)?.into()))
        .collect::<Result<_, ParameterError>>()?;
    let indexed = start.elapsed().as_secs_f64();
    let members: Vec<Member> = points.iter().map(member).collect();
    let mut notes: Vec<String> = points.iter().flat_map(|point| point.notes().iter().cloned()).collect();
    notes.sort();
    notes.dedup();
    if policies.iter().all(|policy| (1..=epochs).all(|epoch| !policy.decides(epoch))) {
        notes.push(format!(
            "nothing is decided: no interval ends within the {epochs} epochs of {}",
            path.display()
        ));
    }
    let source = Arc::clone(&files) as Arc<dyn ScoreSource>;
    let found = judge(source, policies, epochs, &members, options)?;
    let seconds = [indexed, start.elapsed().as_secs_f64() - indexed];
    let (files, rows) = (files.files(), files.rows());
    Ok(Judged { members, found, files, rows, samples, epochs, seconds, notes })
}

/// Runs the dataflow, and writes what it finds; all of it or nothing.
fn judge(
    source: Arc<dyn ScoreSource>,
    policies: Vec<Arc<dyn SievePolicy>>,
    last: u32,
    members: &[Member],
    options: &GridOptions,
) -> Result<Found, Error> {
    let directory = options.directory.as_deref().map(Directory::create).transpose()?;
    let store = directory
        .as_ref()
        .filter(|_| options.decisions)
        .map(|directory| Arc::new(ParquetStore::new(&directory.path)) as Arc<dyn SegmentStore>);
    let interrupted = Arc::clone(&options.interrupted);
    let shared = Arc::new(Grid::new(source, policies, last, store, Arc::clone(&interrupted)));
    let (built, watched) = (Arc::clone(&shared), Arc::clone(&shared));
    let endings = work(
        options.workers,
        move |worker| {
            worker.dataflow::<Tick, _, _>(|scope| grid(scope, &built));
            || ()
        },
        move || watched.failed(),
    );
    let found = shared.take();
    let panicked = endings.into_iter().enumerate().find_map(|(worker, ending)| match ending {
        Ending::Panicked(message) => Some(Error::ReplayWorker { worker, message }),
        _ => None,
    });
    if let Some(error) = panicked {
        return Err(error);
    }
    if interrupted.load(Ordering::Relaxed) {
        return Err(Error::GridInterrupted);
    }
    if let Some((_, reason)) = found.failed {
        return Err(Error::Grid { reason });
    }
    if let Some(directory) = directory {
        table_file::write(&directory.path.join(TABLE_NAME), table::columns(members, &found))?;
        directory.keep();
    }
    Ok(found)
}

/// The directory of results; what is in it goes again unless it is kept.
struct Directory {
    path: PathBuf,
    /// Whether it was there before.
    existed: bool,
    kept: bool,
}

impl Directory {
    fn create(path: &Path) -> Result<Self, DataError> {
        let existed = path.exists();
        atomic::create_directory(path)?;
        let mut entries = path.read_dir().map_err(|source| DataError::Io {
            path: path.to_owned(),
            action: "list the directory",
            source,
        })?;
        match entries.next() {
            Some(_) => Err(DataError::NotEmpty { path: path.to_owned() }),
            None => Ok(Self { path: path.to_owned(), existed, kept: false }),
        }
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // That it may fail changes nothing: without its table the directory is no result.
        let _ = std::fs::remove_dir_all(self.path.join("trace"));
        if !self.existed {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// The configuration of a member; only keys of the sieve, and the seed.
fn configuration(settings: &[(String, Value)]) -> Result<Configuration, ParameterError> {
    let configuration = Configuration::resolve(settings)?;
    if let Some((key, _)) = settings.iter().find(|(key, _)| key != "seed" && !key.starts_with("sieve.")) {
        let reason = "bare scores tell of samples only: the seed and the keys of the sieve can be set";
        return Err(ParameterError::contradiction(key, reason));
    }
    Ok(configuration)
}

fn build(
    configuration: &Configuration,
    samples: u32,
    epochs: u32,
) -> Result<Box<dyn SievePolicy>, ParameterError> {
    let values = configuration.values();
    let context = SieveContext { seed: u64::from(values.integer("seed")), epochs, samples };
    sieve::build(values.text("sieve.policy"), values, &context)
}

/// The keys that the member's policy uses.
fn member(configuration: &Configuration) -> Member {
    let values = configuration.values();
    let chosen = values.text("sieve.policy");
    let own: Vec<Parameter> = sieve::registry()
        .iter()
        .find(|entry| entry.name == chosen)
        .map(|entry| (entry.parameters)())
        .unwrap_or_default();
    let used = own.iter().map(|parameter| parameter.key).chain(["seed", "sieve.policy"]);
    let value = |key: &str| values.get(key).map(|value| (key.to_owned(), value.clone()));
    Member { parameters: used.filter_map(value).collect() }
}
