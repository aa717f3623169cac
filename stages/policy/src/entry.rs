//! Entries of a registry: one line per policy, from which configuration, command line, docs and tests derive.

use spfde_data::parameter::{Parameter, ParameterError, Parameters, Value};

/// A registered policy: `P` is what it builds, such as `dyn MaskPolicy`; `C` is what it is told of the run.
pub struct Entry<P: ?Sized, C> {
    /// The name by which a configuration chooses it.
    pub name: &'static str,
    /// One sentence on what it does.
    pub summary: &'static str,
    /// Its keys: all of them and no others.
    pub parameters: fn() -> Vec<Parameter>,
    /// Builds it from checked parameters.
    ///
    /// # Errors
    /// If parameters contradict each other or the run.
    ///
    /// # Panics
    /// If one of its keys is missing.
    pub build: fn(&Parameters, &C) -> Result<Box<P>, ParameterError>,
}

/// The parameter by which a family's policy is chosen.
pub(crate) fn choice<P: ?Sized, C>(
    key: &'static str,
    default: &str,
    registry: &[Entry<P, C>],
    help: &'static str,
) -> Parameter {
    Parameter::choice(key, default, registry.iter().map(|entry| entry.name).collect(), help)
}

/// Builds the policy called `name`.
pub(crate) fn build<P: ?Sized, C>(
    choice: &Parameter,
    registry: &[Entry<P, C>],
    name: &str,
    parameters: &Parameters,
    context: &C,
) -> Result<Box<P>, ParameterError> {
    choice.check(Value::Text(name.to_owned()))?;
    let entry = registry.iter().find(|entry| entry.name == name);
    let entry = entry.expect("the choice has passed its check, so it names an entry");
    (entry.build)(parameters, context)
}
