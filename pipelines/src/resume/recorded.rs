//! What a run was when it began: its experiment, its data, its machine and program.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spfde_data::files::{CONFIG_NAME, DataError, MANIFEST_NAME, Manifest, StartedFrom};
use spfde_data::{ParameterError, Value};
use spfde_model::Kernel;

use crate::data::changed;
use crate::{Configuration, Entry, Error, Experiment, Prepare, Registry, Result};

/// The experiment as it was when the run began.
pub(super) fn experiment(
    registry: &Arc<Registry>,
    directory: &Path,
    entries: &[Entry],
    begun_in: Option<PathBuf>,
    own_start: Option<(PathBuf, StartedFrom)>,
    prepare: impl Prepare,
) -> Result<Experiment> {
    // A policy that no registry knows is one that `prepare` puts in.
    let (mut known, _) = registry.known(entries);
    // Another machine goes on with what it has, and says so.
    let is_here = |key: &str, value: &Value| match value {
        Value::Text(name) if key == "train.kernel" && Kernel::NAMES.contains(&name.as_str()) => {
            Kernel::resolve(name).is_ok()
        }
        _ => true,
    };
    known.retain(|(key, value)| is_here(key, value));
    let configuration = Configuration::resolve_over(registry, &[], &known)?;
    let configuration = configuration.begun_in(begun_in).started_with(own_start);
    let places = configuration.data_places();
    let found = configuration.values().text("data.path").to_owned();
    // Whether the experiment reads its data there at all is for `prepare` to say, which may read it by
    // itself.
    let is_gone = |error: &Error| match error {
        Error::NoData { .. } => true,
        Error::Data(DataError::Io { path, .. }) => {
            places.iter().any(|place| path.starts_with(place)) && !places.iter().any(|place| place.exists())
        }
        _ => false,
    };
    let experiment = prepare(configuration).map_err(|error| match is_gone(&error) {
        true => {
            let absolute = |place: &PathBuf| std::path::absolute(place).unwrap_or_else(|_| place.clone());
            let mut tried: Vec<PathBuf> = places.iter().map(absolute).collect();
            tried.dedup();
            let tried: Vec<String> = tried.iter().map(|place| place.display().to_string()).collect();
            let what = format!(
                "data.path is {found:?}, and there is nothing at {}; put the data back, or resume from the \
                 directory in which {found:?} leads to it",
                tried.join(" nor at ")
            );
            DataError::refused(&directory.join(CONFIG_NAME), what, "").into()
        }
        false => error,
    })?;
    for (key, recorded) in entries.iter().filter(|(key, value)| is_here(key, value)) {
        let now = experiment.configuration().values().get(key);
        if now.is_some_and(|now| now != recorded) || now.is_none() && key.ends_with(".policy") {
            let now = now.map_or_else(|| "nothing".to_owned(), Value::to_string);
            let reason = format!(
                "the run has {recorded}, this program makes {now} of it; resume it with the \
                 program that began it"
            );
            return Err(ParameterError::contradiction(key, reason).into());
        }
    }
    Ok(experiment)
}

/// What differs between the machine and program that began the run and these, where it may change bits.
pub(super) fn differences(environment: &serde_json::Value, experiment: &Experiment) -> Vec<String> {
    let now = crate::environment::environment(experiment, 0, 1);
    let names = [("version", "version of spfde"), ("kernel", "kernel"), ("architecture", "processor")];
    if names.iter().all(|(field, _)| environment[*field].is_null()) {
        let unknown = "how the run began is not recorded any more: whether bits may differ from the run's \
                       beginning is unknown";
        return vec![unknown.to_owned()];
    }
    let differs = names.iter().filter(|(field, _)| environment[*field] != now[*field]);
    let note = |(field, name): &(&str, &str)| {
        format!(
            "the run began with {name} {}, this is {}: bits may differ from those of an uninterrupted run",
            environment[*field], now[*field]
        )
    };
    differs.map(note).collect()
}

/// Refuses other data than the run's.
pub(super) fn check_data(directory: &Path, manifest: &Manifest, experiment: &Experiment) -> Result<()> {
    let Some([expected, found]) = changed(&manifest.data_set, &experiment.settings().data) else {
        return Ok(());
    };
    let configuration = experiment.configuration();
    let found = match configuration.data_places().is_empty() {
        true => found,
        false => format!("{found} in {}", configuration.data_path().display()),
    };
    let what = format!("the data is now {found}; the run began with {expected}");
    let remedy = "give it back its data, or start another run";
    Err(DataError::refused(&directory.join(MANIFEST_NAME), what, remedy).into())
}
