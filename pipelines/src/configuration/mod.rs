//! The configuration: keys with defaults and ranges, from a file, from the command line, resolved before any
//! work.

mod earlier;
pub(crate) mod frozen;
pub(crate) mod keys;
pub(crate) mod near;
mod render;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use spfde_data::files::StartedFrom;
use spfde_data::{Parameter, ParameterError, Parameters, Value};
use spfde_model::InputShape;
use spfde_policy::registry::{Listed, Member};

use crate::{Entry, Registry, layers};

use keys::{SHAPE, parse_shape};
pub use keys::{bench, core};
pub use source::Source;
pub(crate) use source::word_error;

/// A resolved configuration: every key of the run has a checked value.
#[derive(Clone, Debug)]
pub struct Configuration {
    registry: Arc<Registry>,
    values: Parameters,
    given: BTreeSet<String>,
    notes: Vec<String>,
    /// Where the run began: relative paths in it are meant from there.
    begun_in: Option<PathBuf>,
    /// Of a run that goes on: its own copy of the weights that it began with.
    own_start: Option<(PathBuf, StartedFrom)>,
}

impl Configuration {
    /// Resolves what was `given`, later entries over earlier ones, with defaults for the rest.
    ///
    /// # Errors
    /// A key that nothing knows, or a value out of its range.
    pub fn resolve(given: &[Entry]) -> Result<Self, ParameterError> {
        Self::resolve_over(&Registry::standard(), &[], given)
    }

    /// As [`Configuration::resolve`], of what a registry knows, with `inherited` values in place of the
    /// defaults wherever they fit the chosen policies. The user did not ask for them: they are not
    /// [given](Configuration::is_given), and those that are of no use go without a note.
    ///
    /// # Errors
    /// As [`Configuration::resolve`]; of the inherited values only those of keys that every run has can be
    /// wrong.
    pub fn resolve_over(
        registry: &Arc<Registry>,
        inherited: &[Entry],
        given: &[Entry],
    ) -> Result<Self, ParameterError> {
        Self::resolve_with(registry, inherited, given, false)
    }

    /// As [`Configuration::resolve`], for `spfde bench`, which has keys of its own.
    ///
    /// # Errors
    /// As [`Configuration::resolve`].
    pub fn resolve_bench(registry: &Arc<Registry>, given: &[Entry]) -> Result<Self, ParameterError> {
        Self::resolve_with(registry, &[], given, true)
    }

    /// Resolves with the keys that every run has, and those that only a bench has if this `is_bench`.
    fn resolve_with(
        registry: &Arc<Registry>,
        inherited: &[Entry],
        given: &[Entry],
        is_bench: bool,
    ) -> Result<Self, ParameterError> {
        let (mut core, mut elsewhere) = (core(registry), bench());
        if is_bench {
            core.append(&mut elsewhere);
        }
        let families = registry.families();
        let given = &with_model(current(&families, given, inherited));
        let inherited = &current(&families, inherited, &[]);
        let members = families.iter().flat_map(|family| &family.members);
        let everything: Vec<&Parameter> =
            core.iter().chain(&elsewhere).chain(members.flat_map(|member| &member.parameters)).collect();
        for (key, _) in given {
            if !everything.iter().any(|parameter| parameter.key == key) {
                return Err(near::unknown(key, everything.iter().map(|parameter| parameter.key)));
            }
        }
        let mut values = Parameters::default();
        let take = |parameters: &[Parameter], is_core: bool, values: &mut Parameters| {
            for parameter in parameters {
                let value = match (latest(given, parameter.key), latest(inherited, parameter.key)) {
                    (Some(value), _) => checked(parameter, value.clone())?,
                    (None, None) => parameter.default.clone(),
                    (None, Some(value)) if is_core => parameter.check(value.clone())?,
                    // Another policy than the one it was meant for may have another range.
                    (None, Some(value)) => {
                        parameter.check(value.clone()).unwrap_or(parameter.default.clone())
                    }
                };
                values.insert(parameter.key, value);
            }
            Ok::<_, ParameterError>(())
        };
        take(&core, true, &mut values)?;
        for family in &families {
            let member = chosen(family, &values).expect("a choice was checked");
            take(&member.parameters, false, &mut values)?;
        }
        for (key, value) in keys::optimizer(&values).defaults() {
            if latest(given, key).or(latest(inherited, key)).is_none() {
                values.insert(key, Value::Number(*value));
            }
        }
        // Known to another command, or another policy than the chosen one: its range still holds, and the
        // user is told.
        let (used, unused): (Vec<_>, Vec<_>) = given.iter().partition(|(key, _)| values.get(key).is_some());
        let mut notes = Vec::new();
        for (key, value) in unused {
            let parameter = everything.iter().find(|parameter| parameter.key == key);
            checked(parameter.expect("an unknown key was refused"), value.clone())?;
            let owner = families.iter().find(|family| family.members.iter().any(|member| member.knows(key)));
            notes.push(match owner.map(|family| family.choice.key) {
                Some(choice) => {
                    let chosen = values.text(choice);
                    format!("`{key}` has no effect: {choice} = \"{chosen}\" does not use it")
                }
                None => format!("`{key}` has no effect: only `spfde bench` reads it"),
            });
        }
        let given = used.into_iter().map(|(key, _)| key.clone()).collect();
        Ok(Self { registry: Arc::clone(registry), values, given, notes, begun_in: None, own_start: None })
    }

    /// The shape that `data.shape` gives to the random images of a bench.
    ///
    /// # Panics
    /// If the configuration was not resolved with [`Configuration::resolve_bench`].
    pub fn shape(&self) -> InputShape {
        let text = Value::Text(self.values.text(SHAPE).to_owned());
        parse_shape(&text).expect("it was checked when the configuration was resolved")
    }

    /// What there is to choose from.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The values.
    pub fn values(&self) -> &Parameters {
        &self.values
    }

    /// The same configuration, of a run that began in the directory `begun_in`: relative paths in it are
    /// meant from there.
    pub(crate) fn begun_in(self, begun_in: Option<PathBuf>) -> Self {
        Self { begun_in, ..self }
    }

    /// The same configuration, of a run that has its own copy of the weights that it began with.
    pub(crate) fn started_with(self, own_start: Option<(PathBuf, StartedFrom)>) -> Self {
        Self { own_start, ..self }
    }

    /// The copy of the weights that a run that goes on began with, if it did not draw them.
    pub(crate) fn own_start(&self) -> Option<&(PathBuf, StartedFrom)> {
        self.own_start.as_ref()
    }

    /// Where the data is: `data.path`; a relative path from where the run began, if there is something, or
    /// else from here.
    pub fn data_path(&self) -> PathBuf {
        let found = self.data_places().into_iter().find(|place| place.exists());
        found.unwrap_or_else(|| PathBuf::from(self.values.text("data.path")))
    }

    /// Where the data may be, in the order in which it is looked for; nowhere if it comes with the program.
    pub(crate) fn data_places(&self) -> Vec<PathBuf> {
        let path = self.values.text("data.path");
        if self.registry.data.iter().any(|entry| entry.name == path) {
            return Vec::new();
        }
        let there = self.begun_in.as_ref().map(|directory| directory.join(path));
        there.into_iter().chain([PathBuf::from(path)]).collect()
    }

    /// The learning rate that a run with this model and optimiser has unless it states another.
    pub(crate) fn usual_rate(&self) -> f64 {
        let stated = keys::optimizer(&self.values).defaults().iter();
        let stated = stated.copied().find(|(key, _)| *key == "train.learning_rate");
        let of_model = || self.registry.model(self.values.text("model.name")).learning_rate;
        stated.map_or_else(of_model, |(_, rate)| rate)
    }

    /// Whether the user asked for the value of `key`, rather than taking its default.
    pub fn is_given(&self, key: &str) -> bool {
        self.given.contains(key)
    }

    /// What the user should know although it is no error.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Adds a note.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Replaces a value by what it resolved to.
    pub(crate) fn settle(&mut self, key: &str, value: Value) {
        self.values.insert(key, value);
    }

    /// Another member of the family that `key` chooses from takes over, one from outside the registry: the
    /// keys of the one before go.
    pub(crate) fn replace_member(&mut self, key: &'static str, name: &str) {
        let families = self.registry.families();
        let (family, others): (Vec<_>, Vec<_>) = families.iter().partition(|family| family.choice.key == key);
        let others: Vec<&Member> =
            others.into_iter().filter_map(|other| chosen(other, &self.values)).collect();
        let members = family.iter().flat_map(|family| &family.members);
        for parameter in members.flat_map(|member| &member.parameters) {
            if !others.iter().any(|other| other.knows(parameter.key)) {
                self.values.remove(parameter.key);
            }
        }
        self.settle(key, Value::Text(name.to_owned()));
    }

    /// Every key with its value, for the manifest of a run.
    pub(crate) fn settings(&self) -> BTreeMap<String, serde_json::Value> {
        let json = |value| serde_json::to_value(value).expect("a value is plain data");
        self.values.iter().map(|(key, value)| (key.to_owned(), json(value))).collect()
    }

    /// The configuration as TOML, with every default filled in and a comment for every key: reads back as the
    /// same.
    pub fn to_toml(&self) -> String {
        render::to_toml(&self.registry, &self.values)
    }
}

/// The latest value of `key`.
fn latest<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Value> {
    entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// The entries under the keys of today. What a key was called before depends on the members that the entries
/// choose; where they do not, `over` what else holds.
fn current(families: &[Listed], entries: &[Entry], over: &[Entry]) -> Vec<Entry> {
    let members = families.iter().filter_map(|family| {
        let key = family.choice.key;
        let name = latest(entries, key).or(latest(over, key)).unwrap_or(&family.choice.default);
        family.members.iter().find(|member| matches!(name, Value::Text(name) if *name == member.name))
    });
    let parameters: Vec<&Parameter> = members.flat_map(|member| &member.parameters).collect();
    let today = |key: &String| {
        let renamed = parameters.iter().find(|parameter| parameter.formerly == Some(key));
        renamed.map_or_else(|| key.clone(), |parameter| parameter.key.to_owned())
    };
    entries.iter().map(|(key, value)| (today(key), value.clone())).collect()
}

/// The member of `family` that the configuration chooses, if the registry knows it.
fn chosen<'a>(family: &'a Listed, values: &Parameters) -> Option<&'a Member> {
    family.members.iter().find(|member| member.name == values.text(family.choice.key))
}

/// Checks a value against its parameter's range; a shape and a list of layers against more than that they are
/// texts.
fn checked(parameter: &Parameter, value: Value) -> Result<Value, ParameterError> {
    if parameter.key == SHAPE {
        parse_shape(&value)?;
    }
    match parameter.check(value)? {
        Value::Text(list) if parameter.key == layers::KEY => Ok(Value::Text(layers::canonical(&list)?)),
        value => Ok(value),
    }
}

/// The entries, with the model of a list of layers where they have such a list and no model.
fn with_model(mut entries: Vec<Entry>) -> Vec<Entry> {
    if latest(&entries, layers::KEY).is_some() && latest(&entries, "model.name").is_none() {
        entries.push(("model.name".to_owned(), Value::Text(layers::NAME.to_owned())));
    }
    entries
}

#[cfg(test)]
mod tests;
