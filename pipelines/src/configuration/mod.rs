//! The configuration: keys with defaults and ranges, from a file, from the command line, resolved before any
//! work.

mod error;
mod keys;
mod render;
mod shape;
mod source;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use spfde_data::parameter::{Parameter, ParameterError, Parameters, Value, nearest};
use spfde_model::InputShape;

use crate::registry::Registry;

pub use error::ConfigurationError;
pub(crate) use keys::SHAPE;
pub use keys::{bench, core};
pub use source::Source;

/// A resolved configuration: every key of the run has a checked value.
#[derive(Clone, Debug)]
pub struct Configuration {
    registry: Arc<Registry>,
    values: Parameters,
    given: BTreeSet<String>,
    notes: Vec<String>,
    /// Where the run began: relative paths in it are meant from there.
    begun_in: Option<PathBuf>,
}

impl Configuration {
    /// Resolves what was `given`, later entries over earlier ones, with defaults for the rest.
    ///
    /// # Errors
    /// A key that nothing knows, or a value out of its range.
    pub fn resolve(given: &[(String, Value)]) -> Result<Self, ParameterError> {
        Self::resolve_over(&Registry::standard(), &[], given)
    }

    /// As [`Configuration::resolve`], of what a registry knows, with `inherited` values in place of the
    /// defaults wherever they fit the chosen policies. Nobody asked for them: they are not
    /// [given](Configuration::is_given), and those that are of no use go without a note.
    ///
    /// # Errors
    /// As [`Configuration::resolve`]; of the inherited values only those of keys that every run has can be
    /// wrong.
    pub fn resolve_over(
        registry: &Arc<Registry>,
        inherited: &[(String, Value)],
        given: &[(String, Value)],
    ) -> Result<Self, ParameterError> {
        Self::resolve_with(registry, inherited, given, &core(registry), &bench())
    }

    /// As [`Configuration::resolve`], for `spfde bench`, which has keys of its own.
    ///
    /// # Errors
    /// As [`Configuration::resolve`].
    pub fn resolve_bench(
        registry: &Arc<Registry>,
        given: &[(String, Value)],
    ) -> Result<Self, ParameterError> {
        Self::resolve_with(registry, &[], given, &[core(registry), bench()].concat(), &[])
    }

    /// Resolves with the keys of `core`; those of `elsewhere` belong to another command.
    fn resolve_with(
        registry: &Arc<Registry>,
        inherited: &[(String, Value)],
        given: &[(String, Value)],
        core: &[Parameter],
        elsewhere: &[Parameter],
    ) -> Result<Self, ParameterError> {
        let families = registry.families();
        let everything: Vec<Parameter> = core
            .iter()
            .chain(elsewhere)
            .cloned()
            .chain(
                families
                    .iter()
                    .flat_map(|family| &family.members)
                    .flat_map(|member| member.parameters.clone()),
            )
            .collect();
        for (key, _) in given {
            if !everything.iter().any(|parameter| parameter.key == key) {
                let near = nearest(key, everything.iter().map(|parameter| parameter.key));
                return Err(ParameterError::Unknown { key: key.clone(), near });
            }
        }
        let latest = |entries: &[(String, Value)], key: &str| {
            entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone())
        };
        let (mut asked, mut notes) = (BTreeSet::new(), Vec::new());
        let mut take = |parameter: &Parameter, values: &mut Parameters| -> Result<(), ParameterError> {
            let value = latest(given, parameter.key).map(|value| checked(parameter, value)).transpose()?;
            if value.is_some() {
                asked.insert(parameter.key.to_owned());
            }
            let value = match (value, latest(inherited, parameter.key)) {
                (Some(value), _) => value,
                (None, None) => parameter.default.clone(),
                (None, Some(value)) => match parameter.check(value) {
                    // Another policy than the one it was meant for may have another range.
                    Err(_) if !core.iter().any(|known| known.key == parameter.key) => {
                        parameter.default.clone()
                    }
                    value => value?,
                },
            };
            values.insert(parameter.key, value);
            Ok(())
        };
        let mut values = Parameters::default();
        for parameter in core {
            take(parameter, &mut values)?;
        }
        let mut used: BTreeSet<&str> = core.iter().map(|parameter| parameter.key).collect();
        for family in &families {
            let chosen = values.text(family.choice.key).to_owned();
            let member =
                family.members.iter().find(|member| member.name == chosen).expect("a choice was checked");
            for parameter in &member.parameters {
                take(parameter, &mut values)?;
                used.insert(parameter.key);
            }
        }
        // Known to another policy than the chosen one: its range still holds, and the user is told.
        for (key, value) in given.iter().filter(|(key, _)| !used.contains(key.as_str())) {
            if let Some(parameter) = elsewhere.iter().find(|parameter| parameter.key == key) {
                checked(parameter, value.clone())?;
                notes.push(format!("`{key}` has no effect: only `spfde bench` reads it"));
                continue;
            }
            let owner = families.iter().find(|family| family.members.iter().any(|member| member.knows(key)));
            let family = owner.expect("an unknown key was refused");
            let parameter = family.members.iter().flat_map(|member| &member.parameters);
            parameter
                .clone()
                .find(|parameter| parameter.key == key)
                .expect("it is known")
                .check(value.clone())?;
            let (setting, chosen) = (family.choice.key, values.text(family.choice.key));
            notes.push(format!("`{key}` has no effect: {setting} = \"{chosen}\" does not use it"));
        }
        Ok(Self { registry: Arc::clone(registry), values, given: asked, notes, begun_in: None })
    }

    /// The shape that `data.shape` gives to the random images of a bench.
    ///
    /// # Panics
    /// If the configuration was not resolved with [`Configuration::resolve_bench`].
    pub fn shape(&self) -> InputShape {
        let text = Value::Text(self.values.text(SHAPE).to_owned());
        shape::parse(&text).expect("it was checked when the configuration was resolved")
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

    /// Whether somebody asked for the value of `key`, rather than taking its default.
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
        let family = families.iter().find(|family| family.choice.key == key).expect("the key of a family");
        let others = families.iter().filter(|other| other.choice.key != key).flat_map(|other| {
            let chosen = self.values.text(other.choice.key).to_owned();
            other.members.iter().filter(move |member| member.name == chosen)
        });
        let others: Vec<&str> =
            others.flat_map(|member| &member.parameters).map(|parameter| parameter.key).collect();
        for parameter in family.members.iter().flat_map(|member| &member.parameters) {
            if !others.contains(&parameter.key) {
                self.values.remove(parameter.key);
            }
        }
        self.settle(key, Value::Text(name.to_owned()));
    }

    /// The configuration as TOML, with every default filled in and a comment for every key: reads back as the
    /// same.
    pub fn to_toml(&self) -> String {
        render::to_toml(&self.registry, &self.values)
    }
}

/// Checks a value against its parameter's range; a shape against more than that it is a text.
fn checked(parameter: &Parameter, value: Value) -> Result<Value, ParameterError> {
    if parameter.key == SHAPE {
        shape::parse(&value)?;
    }
    parameter.check(value)
}

#[cfg(test)]
mod tests;
