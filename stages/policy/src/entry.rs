//! Families and their entries: a policy is registered by one line, from which configuration, command line,
//! docs and tests derive. A program adds entries of its own to a family.

use std::sync::Arc;

use spfde_data::{Parameter, ParameterError, Parameters, Parametric, Value};

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
    pub build: fn(&Parameters, &C) -> Result<Arc<P>, ParameterError>,
}

impl<P: ?Sized, C> Entry<P, C> {
    /// The entry of a policy whose parameters are the fields of `R`.
    pub fn new<R: Parametric>(
        name: &'static str,
        summary: &'static str,
        build: fn(&Parameters, &C) -> Result<Arc<P>, ParameterError>,
    ) -> Self {
        Self { name, summary, parameters: || R::default().parameters(), build }
    }
}

impl<P: ?Sized, C> Clone for Entry<P, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: ?Sized, C> Copy for Entry<P, C> {}

/// A family of policies, of which a run has one.
pub struct Family<P: ?Sized, C> {
    /// What the command line calls it, and the table of its keys.
    pub name: &'static str,
    /// The key that chooses.
    pub key: &'static str,
    /// The name that holds unless a configuration says otherwise.
    pub default: &'static str,
    /// What a policy of the family decides.
    pub help: &'static str,
    /// What there is to choose from.
    pub entries: Vec<Entry<P, C>>,
}

impl<P: ?Sized, C> Clone for Family<P, C> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), ..*self }
    }
}

impl<P: ?Sized, C> Family<P, C> {
    /// The parameter that chooses.
    pub fn choice(&self) -> Parameter {
        let names = self.entries.iter().map(|entry| entry.name).collect();
        Parameter::choice(self.key, self.default, names, self.help)
    }

    /// Adds a policy, in place of one with the same name.
    pub fn add(&mut self, entry: Entry<P, C>) {
        self.entries.retain(|known| known.name != entry.name);
        self.entries.push(entry);
    }

    /// The entry called `name`.
    ///
    /// # Errors
    /// If there is none; the error names the nearest.
    pub fn find(&self, name: &str) -> Result<&Entry<P, C>, ParameterError> {
        self.choice().check(Value::Text(name.to_owned()))?;
        let entry = self.entries.iter().find(|entry| entry.name == name);
        Ok(entry.expect("the choice has passed its check, so it names an entry"))
    }

    /// Builds the policy called `name`; keys that are missing have their defaults.
    ///
    /// # Errors
    /// If there is no such policy, or parameters contradict each other or the run.
    pub fn build(&self, name: &str, parameters: &Parameters, context: &C) -> Result<Arc<P>, ParameterError> {
        (self.find(name)?.build)(parameters, context)
    }
}
