//! An experiment: a configuration with its data, its policies and its plan; everything that can be checked
//! before the first step.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde_data::files::DataSetRecord;
use spfde_data::{
    Architecture, Augment, Augmentation, DataSet, Densities, Images, Normalization, Order, ParameterError,
    Parametric, Setting, Value,
};
use spfde_flow::{Policies, Seams, Settings};
use spfde_model::{InputShape, Kernel};
use spfde_policy::sieve::{Classes, STRATIFY, stratifies};
use spfde_policy::{
    FreezeContext, FreezeRule, MaskContext, MaskRule, Plan, SieveContext, SieveRule, freeze, mask, sieve,
};

use crate::configuration::frozen;
use crate::configuration::keys::{AUGMENT, Data, ORDER, Traced, Train, VALIDATION, cache_bytes};
use crate::data::{check_augmentation, load, reread, validated};
use crate::idle::idle;
use crate::seams::seams;
use crate::start::{self, Start};
use crate::{Configuration, Result, agreement};

/// What makes the experiment of a configuration: it may put policies of its own into it.
pub trait Prepare: FnOnce(Configuration) -> Result<Experiment> {}

impl<F: FnOnce(Configuration) -> Result<Experiment>> Prepare for F {}

/// A checked experiment, ready to run or to be planned only.
#[derive(Clone)]
pub struct Experiment {
    /// As it was asked for.
    asked: Configuration,
    /// With what it resolved to.
    configuration: Configuration,
    settings: Arc<Settings>,
    /// Of a replay: whose weights its costs count.
    densities: Densities,
    /// Of a replay: the run's policies that no registry knows, by their keys.
    unknown: BTreeMap<&'static str, String>,
    /// The weights that a run begins with, if it does not draw them.
    pub(crate) start: Option<Start>,
}

impl Experiment {
    /// Reads the data that the configuration names, sets a validation set aside, builds the policies by their
    /// names and plans the run.
    ///
    /// # Errors
    /// If the data cannot be read, or settings cannot hold together: no work has been done then.
    pub fn new(mut configuration: Configuration) -> Result<Self> {
        let data = load(&mut configuration)?;
        Self::with_data(configuration, Arc::new(data))
    }

    /// As [`Experiment::new`], on data that is at hand.
    ///
    /// # Errors
    /// If settings cannot hold together.
    pub fn with_data(mut configuration: Configuration, mut data: Arc<DataSet>) -> Result<Self> {
        let share = configuration.values().number(VALIDATION);
        if share > 0.0 && data.validation.is_empty() {
            data = Arc::new(validated(DataSet::clone(&data), configuration.values())?);
        }
        let kernel = Kernel::resolve(configuration.values().text("train.kernel"))?;
        configuration.settle("train.kernel", Value::Text(kernel.name().to_owned()));
        let (samples, images) = (data.train.len() as u32, Arc::clone(&data.train));
        let classes = |_: &_| Ok(Arc::new(Classes::new(&images.labels)));
        Self::prepare(configuration, data, samples, kernel, classes, true)
    }

    /// The experiment of a recorded run, without its data: to be replayed, not to be run. `unknown` policies
    /// have stand-ins in the configuration, to be replaced; `read_classes` is for a sieve that cuts by class.
    pub(crate) fn recorded(
        configuration: Configuration,
        record: &DataSetRecord,
        samples: u32,
        densities: Densities,
        unknown: BTreeMap<&'static str, String>,
        read_classes: impl FnOnce(&Configuration) -> Result<Arc<Classes>>,
    ) -> Result<Self> {
        let DataSetRecord { channels, height, width, classes, .. } = *record;
        let images = Arc::new(Images { channels, height, width, ..Images::default() });
        let data = DataSet {
            name: record.name.clone(),
            classes,
            class_names: Vec::new(),
            column_names: Vec::new(),
            row_groups: Vec::new(),
            train: Arc::clone(&images),
            test: images,
            validation: Arc::default(),
            normalization: Normalization { scale: vec![1.0; channels], shift: vec![0.0; channels] },
            fingerprint: record.fingerprint.clone(),
            augment: Augmentation::None,
        };
        // No kernel runs; the configuration keeps the name of the one that did.
        let kernel = Kernel::resolve("portable")?;
        let experiment = Self::prepare(configuration, Arc::new(data), samples, kernel, read_classes, false)?;
        Ok(Self { densities, unknown, ..experiment })
    }

    fn prepare(
        mut asked: Configuration,
        data: Arc<DataSet>,
        samples: u32,
        kernel: Kernel,
        read_classes: impl FnOnce(&Configuration) -> Result<Arc<Classes>>,
        trains: bool,
    ) -> Result<Self> {
        let augment = asked.values().get(AUGMENT).and_then(Augmentation::from_value);
        let augment = augment.unwrap_or(data.augment);
        check_augmentation(augment, &data.train)?;
        asked.settle(AUGMENT, augment.to_value());
        if samples == 0 {
            let reason = format!("the data set {} has no training images", data.name);
            return Err(ParameterError::contradiction("data.path", reason).into());
        }
        let images = &data.train;
        let input = InputShape { channels: images.channels, height: images.height, width: images.width };
        let description = asked.registry().describe(asked.values(), input, data.classes)?;
        let start = if trains { start::read(&mut asked, &description)? } else { None };
        let data_keys = Data::from_parameters(asked.values());
        let order = if data.is_by_blocks(data_keys.order) { Order::Blocks } else { Order::Full };
        asked.settle(ORDER, order.to_value());
        reread(&data, order, cache_bytes(asked.values())).into_iter().for_each(|note| asked.note(note));
        let values = asked.values();
        let train = Train::from_parameters(values);
        let Traced { observe, predictions } = Traced::from_parameters(values);
        let architecture = description.architecture();
        let registry = &asked.registry().policies;
        let (mask, freeze, sieve) = contexts(&asked, architecture, samples);
        let mut policies = Policies {
            mask: registry.mask.build(values.text("mask.policy"), values, &mask)?,
            freeze: registry.freeze.build(values.text("freeze.policy"), values, &freeze)?,
            sieve: registry.sieve.build(values.text("sieve.policy"), values, &sieve)?,
        };
        if stratifies(values) {
            policies.sieve = policies.sieve.stratified(&read_classes(&asked)?)?;
        }
        let plan = plan(architecture, train.epochs, samples, &policies)?;
        let settings = Settings {
            seed: mask.seed,
            epochs: train.epochs,
            batch_size: data_keys.batch_size as usize,
            shards: train.shards as usize,
            model: values.text("model.name").to_owned(),
            network: Arc::new(description),
            kernel,
            storage: train.storage,
            learning_rate: values.number("train.learning_rate"),
            seams: (asked.registry().seams)(seams(&train)),
            augment: Augment::of(augment, data_keys.crop_padding as u8, [input.height, input.width]),
            order,
            observe,
            predictions,
            prefix_cache: frozen::prefix_cache(values),
            probe: frozen::probe(values, policies.freeze.reads_similarity()),
            data,
            policies,
            patience: train.patience,
            plan: Arc::new(plan),
            start: start.as_ref().map(|start| Arc::clone(&start.layers)),
            chosen: Arc::default(),
        };
        if trains {
            agreement::check(&asked, &settings)?;
        }
        Ok(Self { start, ..Self::planned(asked, settings) })
    }

    /// Whose weights the costs of a replay count: those of the record, unless a mask policy was chosen for
    /// it.
    pub fn densities(&self) -> Densities {
        self.densities
    }

    /// The policies of the record that no registry knows, by their keys: to be replaced before a replay.
    pub(crate) fn unknown(&self) -> &BTreeMap<&'static str, String> {
        &self.unknown
    }

    /// The same experiment under another mask rule, whether a registry knows it or not.
    ///
    /// # Errors
    /// If its parameters or the plan do not hold.
    pub fn with_mask(self, rule: impl MaskRule) -> Result<Self> {
        let mask = mask::policy(rule, &self.contexts().0)?;
        let policies = Policies { mask: Arc::clone(&mask), ..self.settings.policies.clone() };
        let changed = self.with_policies("mask.policy", mask.name(), policies)?;
        Ok(Self { densities: Densities::Scheduled, ..changed })
    }

    /// The same experiment under another freeze rule, whether a registry knows it or not.
    ///
    /// # Errors
    /// If its parameters or the plan do not hold.
    pub fn with_freeze(self, rule: impl FreezeRule) -> Result<Self> {
        let freeze = freeze::policy(rule, &self.contexts().1)?;
        let policies = Policies { freeze: Arc::clone(&freeze), ..self.settings.policies.clone() };
        self.with_policies("freeze.policy", freeze.name(), policies)
    }

    /// The same experiment under another sieve rule, whether a registry knows it or not.
    ///
    /// # Errors
    /// If its parameters or the plan do not hold; if the configuration asks for cuts by class.
    pub fn with_sieve(self, rule: impl SieveRule) -> Result<Self> {
        if stratifies(self.configuration.values()) {
            let reason =
                "a sieve that is handed over cuts without classes; register it, or set the key to false";
            return Err(ParameterError::contradiction(STRATIFY, reason).into());
        }
        let sieve = sieve::policy(rule, &self.contexts().2)?;
        let policies = Policies { sieve: Arc::clone(&sieve), ..self.settings.policies.clone() };
        self.with_policies("sieve.policy", sieve.name(), policies)
    }

    fn contexts(&self) -> (MaskContext, FreezeContext, SieveContext) {
        let plan = self.plan();
        contexts(&self.configuration, &plan.architecture, plan.samples)
    }

    /// The same experiment with other things plugged into a training step.
    pub fn with_seams(self, seams: Seams) -> Self {
        let settings = Settings { seams, ..(*self.settings).clone() };
        Self { settings: Arc::new(settings), ..self }
    }

    fn with_policies(self, key: &'static str, name: &str, policies: Policies) -> Result<Self> {
        let probe = frozen::probe(self.asked.values(), policies.freeze.reads_similarity());
        let mut settings = Settings { policies, probe, chosen: Arc::default(), ..(*self.settings).clone() };
        let (architecture, samples) = (&settings.plan.architecture, settings.plan.samples);
        settings.plan = Arc::new(plan(architecture, settings.epochs, samples, &settings.policies)?);
        let mut asked = self.asked;
        asked.replace_member(key, name);
        let (densities, mut unknown, start) = (self.densities, self.unknown, self.start);
        unknown.remove(key);
        Ok(Self { densities, unknown, start, ..Self::planned(asked, settings) })
    }

    /// Writes down what the plan says of the configuration.
    fn planned(asked: Configuration, settings: Settings) -> Self {
        let mut configuration = asked.clone();
        if let Some(note) = &settings.plan.note {
            configuration.note(note.clone());
            configuration.settle("freeze.flops_reduction", Value::Number(0.0));
        }
        idle(asked.values(), &settings).into_iter().for_each(|note| configuration.note(note));
        let (densities, unknown) = (Densities::Recorded, BTreeMap::new());
        Self { asked, configuration, settings: Arc::new(settings), densities, unknown, start: None }
    }

    /// The resolved configuration.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// What the workers are told.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Densities, sizes, freezing times and costs.
    pub fn plan(&self) -> &Plan {
        &self.settings.plan
    }

    /// The steps of an epoch.
    pub fn steps(&self, epoch: u32) -> u64 {
        let active = self.plan().active_samples[epoch as usize] as usize;
        active.div_ceil(self.settings.batch_size) as u64
    }
}

/// What policies are told of the run.
pub(crate) fn contexts(
    configuration: &Configuration,
    architecture: &Arc<Architecture>,
    samples: u32,
) -> (MaskContext, FreezeContext, SieveContext) {
    let values = configuration.values();
    let (seed, epochs) = (u64::from(values.integer("seed")), values.integer("train.epochs"));
    let mask = MaskContext { seed, epochs, architecture: Arc::clone(architecture) };
    let freeze = FreezeContext {
        epochs,
        architecture: Arc::clone(architecture),
        mask_interval: values.get("mask.interval").map_or(2, |_| values.integer("mask.interval")),
        reduction_required: configuration.is_given("freeze.flops_reduction"),
        learning_rate: Train::from_parameters(values).schedule,
    };
    (mask, freeze, SieveContext { seed, epochs, samples })
}

fn plan(architecture: &Arc<Architecture>, epochs: u32, samples: u32, of: &Policies) -> Result<Plan> {
    Ok(Plan::new(Arc::clone(architecture), epochs, samples, &of.mask, &*of.freeze, &*of.sieve)?)
}
