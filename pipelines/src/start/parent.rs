//! The configuration of a run that goes on from another one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spfde_data::files::RunDirectory;
use spfde_data::files::layout::BEST_PATH;
use spfde_data::{ParameterError, Value};
use spfde_model::Kernel;

use super::WEIGHTS;
use crate::configuration::keys::{AUGMENT, ORDER, changes_defaults};
use crate::environment::began_in;
use crate::{Configuration, Entry, Registry, Result, Source};

impl Configuration {
    /// The configuration of a new run that begins with weights, masks and momenta of the finished run in
    /// `directory`, those of its best epoch on the validation set if it is to be the `best`: what is `given`,
    /// and else what that run had. Policies begin anew.
    ///
    /// # Errors
    /// If there is no such run; if what is given is unknown, out of range, or asks for another network than
    /// that of the run.
    pub fn from_run(registry: &Arc<Registry>, directory: &Path, best: bool, given: &[Entry]) -> Result<Self> {
        let run = RunDirectory::open(directory)?;
        let source = Source::of_run(directory, &run.config_unchanged()?)?;
        let registry = registry.of_run(&run, source.entries())?;
        let name = directory.display();
        for (key, value) in given.iter().filter(|(key, _)| key.starts_with("model.")) {
            if key == WEIGHTS {
                let reason = format!("--from {name} says already which weights; leave one of the two out");
                return Err(ParameterError::contradiction(key, reason).into());
            }
            let own = source.entries().iter().rev().find(|(known, _)| known == key).map(|(_, value)| value);
            if own != Some(value) {
                let own = own.map_or_else(|| "no such key".to_owned(), Value::to_string);
                let reason =
                    format!("{value} is another network than that of --from {name}, which has {own}");
                return Err(ParameterError::contradiction(key, reason).into());
            }
        }
        let (mut known, _) = registry.known(source.entries());
        known.retain(|(key, value)| match value {
            Value::Text(name) if key == "train.kernel" => Kernel::resolve(name).is_ok(),
            _ => key != WEIGHTS,
        });
        let changes_defaults = changes_defaults(&known, given);
        let is_given = |key: &str| given.iter().any(|(given, _)| given == key);
        // What followed from another setting follows from the new one.
        known.retain(|(key, value)| match key.as_str() {
            "train.learning_rate" | "train.weight_decay" => !changes_defaults,
            AUGMENT | ORDER => !is_given("data.path"),
            "freeze.flops_reduction" => *value != Value::Number(0.0),
            _ => true,
        });
        let begun_in = run.environment().ok().as_ref().and_then(began_in);
        for (key, value) in &mut known {
            if let (true, Value::Text(path)) = (key == "data.path", &value)
                && !registry.data.iter().any(|entry| entry.name == *path)
            {
                *value = Value::Text(absolute(path, begun_in.as_deref()));
            }
        }
        let path = if best { directory.join(BEST_PATH) } else { directory.to_owned() };
        let path = std::path::absolute(&path).unwrap_or(path);
        known.push((WEIGHTS.to_owned(), Value::Text(path.display().to_string())));
        Ok(Self::resolve_over(&registry, &known, given)?)
    }
}

/// A path of a run that began in the directory `begun_in`, from the root on.
fn absolute(path: &str, begun_in: Option<&Path>) -> String {
    let there = begun_in.map(|directory| directory.join(path)).filter(|there| there.exists());
    let found = there.unwrap_or_else(|| PathBuf::from(path));
    std::path::absolute(&found).unwrap_or(found).display().to_string()
}
