//! What a configuration can choose from: policies, models and data sets, as one value that a program extends.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use spfde_data::files::layout::ARCHITECTURE_NAME;
use spfde_data::files::{DataError, RecordedRun, data_set};
use spfde_data::{DataSet, Parameter, ParameterError, Parameters, Value};
use spfde_flow::Seams;
use spfde_model::models::{self, LEARNING_RATE, ModelEntry};
use spfde_model::{Description, InputShape};
use spfde_policy::registry::{Listed, Member};

use crate::configuration::frozen;
use crate::{Result, layers};

/// A setting: key and value.
pub type Entry = (String, Value);

/// A data set that needs no path.
#[derive(Clone)]
pub struct DataEntry {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub summary: String,
    /// Its licence and where it comes from.
    pub licence: String,
    /// Reads it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub load: Arc<dyn Fn() -> Result<DataSet> + Send + Sync>,
}

/// Policies, models and data sets by name.
#[derive(Clone)]
pub struct Registry {
    /// The families of policies.
    pub policies: spfde_policy::Registry,
    /// The models.
    pub models: Vec<ModelEntry>,
    /// The data sets that need no path.
    pub data: Vec<DataEntry>,
    /// What a training step has plugged in, given what a configuration says of it.
    pub seams: Arc<dyn Fn(Seams) -> Seams + Send + Sync>,
}

/// The policies, with what stands in for one that no registry knows.
const STAND_INS: [(&str, &str); 3] =
    [("mask.policy", "dense"), ("freeze.policy", "none"), ("sieve.policy", "none")];

impl Default for Registry {
    /// What comes with the program.
    fn default() -> Self {
        let fashion_mnist = DataEntry {
            name: "fashion-mnist".to_owned(),
            summary: "60 000 + 10 000 grey images of clothes, 28 × 28, 10 classes, flipped; embedded".into(),
            licence: "MIT, Copyright 2017 Zalando SE, https://github.com/zalandoresearch/fashion-mnist"
                .into(),
            load: Arc::new(|| Ok(data_set::embedded()?)),
        };
        let (policies, mut models) = (spfde_policy::Registry::default(), models::registry());
        models.push(layers::entry());
        Self { policies, models, data: vec![fashion_mnist], seams: Arc::new(|seams| seams) }
    }
}

impl Registry {
    /// What comes with the program, shared.
    pub fn standard() -> Arc<Self> {
        static STANDARD: LazyLock<Arc<Registry>> = LazyLock::new(Arc::default);
        Arc::clone(&STANDARD)
    }

    /// The families of which a run chooses one member each: models first, then those of the policies.
    pub fn families(&self) -> Vec<Listed> {
        let names = self.models.iter().map(|entry| entry.name).collect();
        let member = |entry: &ModelEntry| Member {
            name: entry.name.to_owned(),
            summary: entry.summary.to_owned(),
            parameters: entry.keys(),
        };
        let models = Listed {
            name: "model",
            choice: Parameter::choice("model.name", "resnet20", names, "the network"),
            members: self.models.iter().map(member).collect(),
        };
        std::iter::once(models).chain(self.policies.families()).collect()
    }

    /// This registry, with the network that a run recorded as the model that its configuration names: a
    /// program that has the run directory needs no name. Of a run of version 2 the registry itself.
    ///
    /// # Errors
    /// If the recorded network cannot be read.
    pub(crate) fn of_run(self: &Arc<Self>, run: &RecordedRun, entries: &[Entry]) -> Result<Arc<Self>> {
        let named = entries.iter().rev().find(|(key, _)| key == "model.name");
        let (Some(json), Some((_, Value::Text(name)))) = (run.architecture()?, named) else {
            return Ok(Arc::clone(self));
        };
        let description = Description::from_json(&json).map_err(|error| {
            let path = run.path().join(ARCHITECTURE_NAME);
            DataError::unfit(&path, "is no network", error.to_string(), "the network of the run", "")
        })?;
        let known = self.models.iter().find(|entry| entry.name == *name);
        // A name lives as long as the program, as those of all models do.
        let fixed = known.map_or_else(|| &*Box::leak(name.clone().into_boxed_str()), |entry| entry.name);
        let recorded = ModelEntry {
            name: fixed,
            summary: "the network of the run",
            parameters: known.map_or(Vec::new, |entry| entry.parameters),
            learning_rate: known.map_or(LEARNING_RATE, |entry| entry.learning_rate),
            build: Arc::new(move |_, input, classes| {
                let (takes, told_apart) = description.task();
                if (takes, told_apart) == (input, classes) {
                    return Ok(description.clone());
                }
                let images = |InputShape { channels, height, width }, classes| {
                    format!("images of {channels} × {height} × {width} in {classes} classes")
                };
                let (takes, data) = (images(takes, told_apart), images(input, classes));
                let reason = format!("the network of the run is for {takes}; the data set has {data}");
                Err(ParameterError::contradiction("model.name", reason))
            }),
        };
        // In its old place: the order of names is part of what config.toml says.
        let mut registry = Self::clone(self);
        match registry.models.iter_mut().find(|entry| entry.name == *name) {
            Some(entry) => *entry = recorded,
            None => registry.models.push(recorded),
        }
        Ok(Arc::new(registry))
    }

    /// The entries of a recorded configuration that this registry knows, and the policies that it does not
    /// know: their keys and names. Parameters of a model or a policy that is not known go without a word.
    pub(crate) fn known(&self, entries: &[Entry]) -> (Vec<Entry>, Vec<Entry>) {
        let families = self.families();
        let of_all = frozen::parameters();
        let shared = |key: &str| of_all.iter().any(|parameter| parameter.key == key);
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for entry in entries {
            let (key, value) = entry;
            match families.iter().find(|family| key.split('.').next() == Some(family.name)) {
                Some(family) if family.choice.key == key => match family.choice.check(value.clone()) {
                    Ok(_) => known.push(entry.clone()),
                    Err(_) => unknown.push(entry.clone()),
                },
                Some(family) if !shared(key) && !family.members.iter().any(|member| member.knows(key)) => (),
                _ => known.push(entry.clone()),
            }
        }
        (known, unknown)
    }

    /// As [`Registry::known`], and something stands in for each policy that is not known. The names of those,
    /// by their keys.
    pub(crate) fn with_stand_ins(&self, entries: &[Entry]) -> (Vec<Entry>, BTreeMap<&'static str, String>) {
        let ((mut known, lacking), mut unknown) = (self.known(entries), BTreeMap::new());
        for (key, stand_in) in STAND_INS {
            let Some((_, name)) = lacking.iter().find(|(name, _)| name == key) else { continue };
            known.push((key.to_owned(), Value::Text(stand_in.to_owned())));
            unknown.insert(key, name.to_string());
        }
        (known, unknown)
    }

    /// The model called `name`.
    ///
    /// # Panics
    /// If there is none: the choice is checked before.
    pub fn model(&self, name: &str) -> &ModelEntry {
        self.models.iter().find(|entry| entry.name == name).expect("a choice was checked")
    }

    /// The configured model on images of this shape, without its weights.
    ///
    /// # Errors
    /// If the images do not fit it.
    pub(crate) fn describe(
        &self,
        values: &Parameters,
        input: InputShape,
        classes: usize,
    ) -> Result<Description, ParameterError> {
        (self.model(values.text("model.name")).build)(values, input, classes)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("models", &self.models).finish_non_exhaustive()
    }
}
