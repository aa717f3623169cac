//! A recorded run: its configuration and its streams.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use spfde_data::files::parquet_store::{read_stream, stored_bytes};
use spfde_data::files::run_directory::is_held;
use spfde_data::files::{
    DataError, FollowedTrace, MANIFEST_NAME, Manifest, RecordedRun, RecordedTrace, RunDirectory, plausible,
};
use spfde_data::{Densities, EpochRow, ParameterError, Recording, Row, Value};
use spfde_policy::sieve::Classes;

use crate::configuration::frozen;
use crate::data::classes;
use crate::replay::unrecorded;
use crate::{Configuration, Entry, Error, Experiment, Registry, Result, Source};

/// Recorded streams; of a run that goes on also what tells how it ended.
pub(crate) type Streams = (Arc<dyn Recording>, Option<Arc<FollowedTrace>>);

/// A run that was recorded, opened to be replayed.
#[derive(Clone, Debug)]
pub struct Record {
    run: RecordedRun,
    /// Its configuration, key by key.
    entries: Vec<Entry>,
    samples: u32,
    /// What there is to choose from, its own network among it.
    registry: Arc<Registry>,
    /// Whether the run may still go on, and is read as its epochs are committed.
    pub(crate) is_followed: bool,
    /// The class of every sample, once a sieve has asked for it: a grid has many.
    classes: Arc<OnceLock<Arc<Classes>>>,
}

impl Record {
    /// Opens the run in `directory`: manifest and configuration; segments are checked as they are read.
    ///
    /// # Errors
    /// If there is no run, or it has no complete epoch, or manifest and configuration do not hold together.
    pub fn open(directory: &Path) -> Result<Self> {
        let record = Self::open_any(directory)?;
        if record.epochs_reached() == 0 {
            let expected = "a complete epoch at least; nothing else can be replayed (--follow waits for it)";
            return Err(refuse(directory, "epochs_reached", "0", expected));
        }
        Ok(record)
    }

    /// As [`Record::open`], of a run that may still go on: it need not have a complete epoch, if a process
    /// holds it. Each epoch is read when it is committed, until the run is finished, or interrupted and held
    /// by no process; what a replay finds and writes is what one of the run that has ended would.
    ///
    /// # Errors
    /// As [`Record::open`].
    pub fn open_unfinished(directory: &Path) -> Result<Self> {
        // The holder first: what it wrote before it let go is in the manifest that is read afterwards.
        let held = is_held(directory)?;
        let record = Self::open_any(directory)?;
        // Before there are scores, the number of samples is believed only of a run that a process trains.
        if record.epochs_reached() == 0 && !held {
            return Err(unrecorded(&record));
        }
        Ok(Self { is_followed: true, ..record })
    }

    /// The run in `directory`, however far it is.
    fn open_any(directory: &Path) -> Result<Self> {
        let run = RunDirectory::open(directory)?;
        let manifest = run.manifest();
        if let Some(source) = &manifest.replay_of {
            let expected = format!("none; this is a replay itself, replay {} instead", source.path);
            return Err(refuse(directory, "replay_of", &source.path, &expected));
        }
        plausible::rows(directory, manifest)?;
        plausible::samples(directory, manifest, |segment| stored_bytes(directory, segment))?;
        let samples =
            u32::try_from(manifest.data_set.train_rows).expect("the limit on samples is below this");
        let source = Source::of_run(directory, &run.config_unchanged()?)?;
        let registry = Registry::standard().of_run(&run, source.entries())?;
        let (entries, classes) = (source.entries().to_vec(), Arc::default());
        let record = Self { entries, samples, run, registry, is_followed: false, classes };
        let epochs = record.run.manifest().epochs;
        if record.value("train.epochs") != Some(&Value::Integer(i64::from(epochs))) {
            let expected = "what config.toml says of train.epochs";
            return Err(refuse(directory, "epochs", &epochs.to_string(), expected));
        }
        Ok(record)
    }

    /// The same run, to be replayed with what `registry` knows; the network stays that of the run.
    ///
    /// # Panics
    /// If the run has changed since it was opened, so that its network cannot be read.
    #[must_use]
    pub fn knowing(mut self, registry: &Arc<Registry>) -> Self {
        self.registry =
            registry.of_run(&self.run, &self.entries).expect("it was read when the record was opened");
        self
    }

    /// The run.
    pub fn run(&self) -> &RecordedRun {
        &self.run
    }

    /// How many epochs were recorded.
    pub fn epochs_reached(&self) -> u32 {
        self.run.manifest().epochs_reached
    }

    /// Whether the freeze policy of the run has this name.
    pub(super) fn is_under(&self, policy: &str) -> bool {
        self.value("freeze.policy") == Some(&Value::Text(policy.to_owned()))
    }

    /// The run's value of a key.
    fn value(&self, key: &str) -> Option<&Value> {
        self.entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The experiment of the run, with other settings: the seed of every draw, or keys of the policies.
    /// Values of the run take the place of defaults. A policy of the run that no registry knows has to be
    /// replaced, by a setting or by [`Experiment::with_sieve`] and its like.
    ///
    /// With settings of the mask costs come from the density schedule of the mask policy, without from the
    /// recorded mask deltas.
    ///
    /// # Errors
    /// If a setting is unknown, out of range, or one of those that the record fixes; if settings cannot hold
    /// together.
    pub fn experiment(&self, settings: &[Entry]) -> Result<Experiment> {
        // How the frozen prefix was kept, and what was compared, are of the run.
        let of_run = frozen::parameters();
        let is_policy = |key: &str| {
            ["mask.", "freeze.", "sieve."].iter().any(|family| key.starts_with(family))
                && !of_run.iter().any(|own| own.key == key)
        };
        // Something stands in for a policy that the registry does not know, until it is replaced.
        let (inherited, mut unknown) = self.registry.with_stand_ins(&self.entries);
        unknown.retain(|key, _| !settings.iter().any(|(given, _)| given == key));
        let configuration = Configuration::resolve_over(&self.registry, &inherited, settings)?;
        for (key, _) in settings.iter().filter(|(key, _)| !is_policy(key) && key != "seed") {
            let (asked, recorded) = (configuration.values().get(key), self.value(key));
            if asked != recorded {
                let recorded = recorded.map_or_else(|| "its default".to_owned(), Value::to_string);
                let reason = format!(
                    "the run was recorded with {recorded}, which no replay can change; only `seed`, the \
                     policies and their own keys can be"
                );
                return Err(ParameterError::contradiction(key, reason).into());
            }
        }
        let densities = match settings.iter().any(|(key, _)| key.starts_with("mask.")) {
            true => Densities::Scheduled,
            false => Densities::Recorded,
        };
        let data_set = &self.run.manifest().data_set;
        Experiment::recorded(configuration, data_set, self.samples, densities, unknown, |configuration| {
            if let Some(classes) = self.classes.get() {
                return Ok(Arc::clone(classes));
            }
            // Which images are the validation set, the seed of the run has drawn.
            let mut own = configuration.clone();
            if let Some(seed) = self.value("seed") {
                own.settle("seed", seed.clone());
            }
            let classes = classes(&self.run, &own, ", or set sieve.stratify=false")?;
            Ok(Arc::clone(self.classes.get_or_init(|| classes)))
        })
    }

    /// Some of the recorded streams; of a run that may go on, also as what tells how it ended.
    pub(crate) fn streams(&self, streams: &[&str]) -> Result<Streams, DataError> {
        let (run, manifest) = (self.run.path(), self.run.manifest());
        if !self.is_followed {
            return Ok((Arc::new(RecordedTrace::new(run, manifest, streams)?), None));
        }
        let followed = Arc::new(FollowedTrace::open(run, streams)?.of(manifest)?);
        Ok((Arc::clone(&followed) as Arc<dyn Recording>, Some(followed)))
    }

    /// The recorded costs and accuracies, epoch by epoch.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn recorded_epochs(&self) -> Result<Vec<EpochRow>, DataError> {
        rows(self.run.path(), self.run.manifest(), 0..self.epochs_reached())
    }
}

/// The rows of a table in some epochs, in their order.
pub(crate) fn rows<R: Row>(run: &Path, manifest: &Manifest, epochs: Range<u32>) -> Result<Vec<R>, DataError> {
    let mut rows: Vec<R> = Vec::new();
    for batch in read_stream::<R>(run, manifest, epochs) {
        rows.extend(batch?.into_rows::<R>());
    }
    rows.sort_by_key(Row::order);
    Ok(rows)
}

/// A field of the manifest that does not fit.
fn refuse(directory: &Path, field: &str, found: &str, expected: &str) -> Error {
    DataError::value(&directory.join(MANIFEST_NAME), field, found, expected).into()
}
