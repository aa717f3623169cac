//! From settings to an experiment on random images.

use std::sync::Arc;

use spfde_data::parameter::{ParameterError, Value};
use spfde_flow::Cache;
use spfde_model::{Description, InputShape};
use spfde_policy::SieveContext;
use spfde_policy::mask::distribution::masked;

use crate::configuration::frozen::prefix_cache;
use crate::{Configuration, Experiment, Result, Source};

use super::data::{self, CLASSES};
use super::prefix::Prefix;
use super::{Options, ROUNDS};

/// FLOPs that all timed steps of a path have together, unless the user says how many steps.
const TIMED_FLOPS: u64 = 240_000_000_000;

/// Timed steps at most, unless the user says how many.
const MOST_STEPS: u64 = 200;

/// Timed steps at least, unless the user says how many: of the configured path, and of the dense one beside
/// it.
const FEWEST_STEPS: [u64; 2] = [6, 4];

/// Bytes of random images at most.
const MOST_BYTES: usize = 1 << 30;

/// What holds unless the user says otherwise. Random labels do not drive this learning rate to infinity; it
/// has no influence on time.
const DEFAULTS: [&str; 4] =
    ["mask.policy=static", "sieve.policy=none", "data.augment=none", "train.learning_rate=0.01"];

/// What holds whatever the user says.
const FIXED: [&str; 1] = ["freeze.policy=none"];

/// How many epochs a round has: with a cache of the frozen prefix the first one fills it.
const EPOCHS: [&str; 2] = ["train.epochs=1", "train.epochs=2"];

/// What holds with such a cache: both epochs show the same variant of an augmented image.
const ONE_VARIANT: &str = "freeze.cache_variants=1";

/// The keys by which something might change between the two, if it did so in every epoch.
const INTERVALS: [&str; 2] = ["mask.interval", "sieve.interval"];

/// How the keys begin that say what is kept of the frozen prefix.
const PREFIX_CACHE: &str = "freeze.cache";

/// How the keys begin that have no effect, and why.
const UNUSED: [(&str, &str); 4] = [
    ("freeze.", "--frozen K freezes K blocks"),
    ("freeze.cache_variants", "it shows one variant of each image"),
    ("train.epochs", "it times steps, see --steps"),
    ("data.path", "its images are random, of the shape `data.shape`"),
];

/// A configuration to measure, and for how many steps.
pub(super) struct Path {
    configuration: Configuration,
    frozen: usize,
    /// Timed steps of all rounds.
    timed: u32,
    is_floor: bool,
    images: usize,
}

impl Path {
    /// The path as `options` describe it, and what the user should know of them.
    pub(super) fn configured(options: &Options) -> Result<(Self, Vec<String>)> {
        let given = &options.given;
        let entries = [&words(&DEFAULTS)?[..], given].concat();
        // Values are checked as they were given, before any of them is replaced.
        let asked = Configuration::resolve_bench(&options.registry, &entries)?;
        let mut notes: Vec<String> =
            asked.notes().iter().filter(|note| !note.starts_with("`freeze.")).cloned().collect();
        for (start, reason) in UNUSED {
            let of_cache = start.starts_with(PREFIX_CACHE);
            let unused = |key: &&String| key.starts_with(start) && key.starts_with(PREFIX_CACHE) == of_cache;
            let keys = given.iter().map(|(key, _)| key).filter(unused);
            notes.extend(keys.map(|key| format!("`{key}` has no effect on a bench: {reason}")));
        }
        let kept = prefix_cache(asked.values()).cache != Cache::Off;
        let mut fixed = words(&[FIXED[0], EPOCHS[usize::from(kept)]])?;
        if kept {
            let is_one = |key: &&&str| asked.values().get(key) == Some(&Value::Integer(1));
            fixed.extend(words(&[ONE_VARIANT])?);
            fixed.extend(INTERVALS.iter().filter(is_one).map(|key| ((*key).to_owned(), Value::Integer(2))));
        }
        Ok((Self::new(&[&entries[..], &fixed].concat(), options, FEWEST_STEPS[0])?, notes))
    }

    /// The dense path beside this one.
    pub(super) fn dense(&self, options: &Options) -> Result<Self> {
        Self::new(&[self.entries(), words(&["mask.policy=dense"])?].concat(), options, FEWEST_STEPS[1])
    }

    /// The path with one weight in the smallest masked layer and few in the others, for as many steps.
    pub(super) fn floor(&self, options: &Options) -> Result<Self> {
        let options = Options { steps: Some(self.timed), ..options.clone() };
        let description = self.description()?;
        let architecture = description.architecture();
        let layers = architecture.layers.iter().zip(masked(architecture));
        let weights = layers.filter(|(_, masked)| *masked).map(|(layer, _)| layer.weights());
        let fewest = weights.min().unwrap_or(1);
        let sparsity = format!("mask.sparsity={}", 1.0 - 1.0 / fewest as f64);
        let entries = [self.entries(), words(&["mask.policy=static", &sparsity])?].concat();
        Ok(Self { is_floor: true, ..Self::new(&entries, &options, FEWEST_STEPS[1])? })
    }

    /// Its settings.
    fn entries(&self) -> Vec<(String, Value)> {
        let values = self.configuration.values().iter();
        values.map(|(key, value)| (key.to_owned(), value.clone())).collect()
    }

    fn new(entries: &[(String, Value)], options: &Options, fewest: u64) -> Result<Self> {
        let configuration = Configuration::resolve_bench(&options.registry, entries)?;
        let mut path = Self { configuration, frozen: options.frozen, timed: 1, is_floor: false, images: 1 };
        // A few images are enough to learn what a step costs, and whether everything holds together.
        let batch = path.configuration.values().integer("data.batch_size");
        path.images = path.images(u64::from(batch))?;
        let flops = super::flops(path.experiment()?.settings()).max(1);
        let steps = (TIMED_FLOPS / flops).clamp(fewest, MOST_STEPS);
        path.timed = options.steps.unwrap_or(steps as u32).max(1);
        path.images = path.images(u64::from(batch) * u64::from(path.steps_of_epoch()))?;
        Ok(path)
    }

    /// The name of its mask policy.
    pub(super) fn mask(&self) -> &str {
        self.configuration.values().text("mask.policy")
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        if self.is_floor { "floor" } else { self.mask() }
    }

    /// Epochs of a round.
    pub(super) fn epochs(&self) -> u32 {
        self.configuration.values().integer("train.epochs")
    }

    /// Steps of a round, counted from 1, that are not timed: all but its part of the timed ones.
    pub(super) fn warm_up(&self, round: u32) -> u32 {
        self.epochs() * self.steps_of_epoch() - (self.timed + ROUNDS - round) / ROUNDS
    }

    /// All steps of an epoch. The first ones of the last are not timed: in one the buffers grow to their
    /// sizes, in another the tables take the initial masks; in a long round caches and predictors get some
    /// more to settle.
    pub(super) fn steps_of_epoch(&self) -> u32 {
        let timed = self.timed.div_ceil(ROUNDS);
        2 + timed / 10 + timed
    }

    /// The experiment on its random images: every batch full.
    pub(super) fn experiment(&self) -> Result<Experiment> {
        let values = self.configuration.values();
        let data = data::random(u64::from(values.integer("seed")), self.configuration.shape(), self.images);
        let experiment = Experiment::with_data(self.configuration.clone(), Arc::new(data))?;
        experiment.with_freeze(Prefix { blocks: self.frozen as u32 })
    }

    /// The network, if images of its shape fit it.
    fn description(&self) -> Result<Description, ParameterError> {
        let configuration = &self.configuration;
        configuration.registry().describe(configuration.values(), configuration.shape(), CLASSES)
    }

    /// How many images there have to be, so that `wanted` of them are active.
    fn images(&self, wanted: u64) -> Result<usize, ParameterError> {
        let values = self.configuration.values();
        let InputShape { channels, height, width } = self.configuration.shape();
        // Refuses a shape that does not fit the model before any image is made.
        self.description()?;
        let stride = channels * height * width;
        let mut images = wanted;
        loop {
            let bytes = (stride as u64).saturating_mul(images);
            if bytes > MOST_BYTES as u64 {
                let reason = format!(
                    "{images} random images of {channels}x{height}x{width} would take {bytes} bytes, more \
                     than the {MOST_BYTES} that a bench makes; choose smaller ones, a smaller \
                     `data.batch_size` or fewer --steps"
                );
                return Err(ParameterError::contradiction("data.shape", reason));
            }
            let samples = images as u32;
            let context =
                SieveContext { seed: u64::from(values.integer("seed")), epochs: self.epochs(), samples };
            let policy = self.configuration.registry().policies.sieve.build(
                values.text("sieve.policy"),
                values,
                &context,
            )?;
            // A sample more makes at most one more active, so this never oversteps.
            let missing = wanted.saturating_sub(u64::from(policy.active_samples(0)));
            if missing == 0 {
                return Ok(images as usize);
            }
            images += missing;
        }
    }
}

/// Settings as the command line has them.
fn words(words: &[&str]) -> Result<Vec<(String, Value)>> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Ok(Source::from_words(&words)?.entries().to_vec())
}
