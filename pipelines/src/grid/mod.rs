//! Many policies at once: a grid of settings, judged as one dataflow, over bare scores or over recorded runs.
//!
//! ```no_run
//! use spfde::grid::{Axes, GridOptions, judge_runs};
//! let grid = ["sieve.fraction=0.1,0.2", "freeze.policy=none,gradient-norm"].map(str::to_owned);
//! let axes = Axes::from_words(&grid)?;
//! let runs = [spfde::Record::open("runs/resnet20-0-1".as_ref())?.into()];
//! let judged = judge_runs(&runs, &[], &axes, Ok, &GridOptions::default())?;
//! for costs in &judged[0].found.costs {
//!     println!("{} {} {}", costs.member, costs.epoch.epoch, costs.epoch.forward_flops);
//! }
//! # Ok::<(), spfde::Error>(())
//! ```

mod axes;
mod directory;
mod gradients;
mod layers_file;
mod runs;
mod scores;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use spfde_data::Value;
use spfde_flow::Tick;
use spfde_flow::grid::{Found, Grid, grid};

use crate::cluster::Network;
use crate::workers::work;
use crate::{Configuration, Error, Options, Registry, Result};

pub use axes::{Axes, MOST_MEMBERS};
pub(crate) use directory::refuse_taken;
pub(crate) use gradients::is_of_freezing;
pub use gradients::{FREEZES_NAME, JudgedFreezing, JudgedGradients, judge_gradients};
pub use layers_file::{LAYERS_NAME, parse as parse_layers};
pub use runs::{JudgedRun, RunCase, judge_runs};
pub use scores::{Judged, ScoreInput, judge_scores};
pub use table::{Column, Summary};
pub(crate) use table::{NUMBERS, keys, narrowest, text};

/// The name of the table of results within its directory.
pub const TABLE_NAME: &str = "grid.parquet";

/// The name of the table of the samples that the last decisions keep: `member`, `sample`, `kept`, `key`.
pub const KEPT_NAME: &str = "kept.parquet";

/// The name of the table of the names of samples that are texts: `sample`, their number in the decisions,
/// `name`.
pub const NAMES_NAME: &str = "sample-names.parquet";

/// How to judge a grid; none of it changes a bit of the result.
#[derive(Clone)]
pub struct GridOptions {
    /// What there is to choose from.
    pub registry: Arc<Registry>,
    /// Where to: a directory that does not exist yet, or is empty. `None`: nowhere.
    pub directory: Option<PathBuf>,
    /// Whether to write the decisions of every member, too.
    pub decisions: bool,
    /// Threads of this process that work.
    pub workers: usize,
    /// Set to end it.
    pub interrupted: Arc<AtomicBool>,
    /// Is shown how it goes.
    pub observer: Arc<dyn JudgeObserver>,
}

/// Is shown how a grid goes.
pub trait JudgeObserver: Send + Sync {
    /// What is worth knowing about the settings, before anything is judged.
    fn notes(&self, _notes: &[String]) {}

    /// The members of `run` have been judged in one epoch more; its costs so far are in there. `caught_up`:
    /// that is all that is recorded of it by now.
    fn epoch(&self, _run: &JudgedRun, _caught_up: bool) {}
}

/// Looks away.
impl JudgeObserver for () {}

impl Default for GridOptions {
    /// All cores, nothing written.
    fn default() -> Self {
        let (registry, Options { workers, interrupted, .. }) = (Registry::standard(), Options::default());
        Self { registry, directory: None, decisions: false, workers, interrupted, observer: Arc::new(()) }
    }
}

impl GridOptions {
    /// Tells what is worth knowing, each once.
    fn tell(&self, mut notes: Vec<String>) {
        notes.sort();
        notes.dedup();
        self.observer.notes(&notes);
    }
}

/// A point of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The keys of its policies, and the seed.
    pub parameters: BTreeMap<String, Value>,
}

impl Member {
    /// The seed, and the keys that the chosen members of some families use; each family by the key that
    /// chooses.
    fn of(configuration: &Configuration, chosen: &[&str]) -> Self {
        let values = configuration.values();
        let mut used = vec!["seed"];
        let families = configuration.registry().families().into_iter();
        for family in families.filter(|family| chosen.contains(&family.choice.key)) {
            used.push(family.choice.key);
            let name = values.text(family.choice.key);
            let member = family.members.into_iter().find(|member| member.name == name);
            let parameters = member.map(|member| member.parameters).unwrap_or_default();
            used.extend(parameters.iter().map(|parameter| parameter.key));
        }
        let value = |key: &str| values.get(key).map(|value| (key.to_owned(), value.clone()));
        Self { parameters: used.into_iter().filter_map(value).collect() }
    }
}

/// Runs the dataflow of a grid on so many workers; what it finds.
///
/// # Errors
/// If something could not be read or written, on any worker, or the grid was asked to end.
fn judge(asked: Grid, workers: usize) -> Result<Found> {
    let shared = Arc::new(asked);
    let built = Arc::clone(&shared);
    let ended = work(Network::alone(workers), move |worker| {
        worker.dataflow::<Tick, _, _>(|scope| grid(scope, &built));
        || ()
    });
    let found = shared.take();
    if let Some((worker, message)) = ended.panicked {
        return Err(Error::no_replay(format!("worker {worker} failed: {message}"), false));
    }
    match found.failed {
        _ if shared.interrupted.load(Ordering::Relaxed) => Err(Error::no_replay("interrupted", true)),
        Some(failure) => Err(Error::no_replay(failure.into_reason(), false)),
        None => Ok(found),
    }
}
