//! Where the data of a run comes from; what else may be there, and how it becomes a data set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spfde_data::files::layout::files_below;
use spfde_data::files::run_directory::RecordedRun;
use spfde_data::files::{DataSetRecord, data_set, idx};
use spfde_data::{DataSet, ParameterError, nearest};
use spfde_policy::sieve::{Classes, STRATIFY};

use crate::error::command;
use crate::error::program;
use crate::{Configuration, Error, Result};

/// Files that are looked at to say what there is.
const ENOUGH: usize = 1000;

/// Endings of the names of pictures.
const PICTURES: [&str; 8] = ["png", "jpg", "jpeg", "bmp", "gif", "ppm", "tiff", "webp"];

/// The data set of the configured name, or else in that directory; a note of the configuration says what was
/// inferred.
pub(crate) fn load(configuration: &mut Configuration) -> Result<DataSet> {
    let name = configuration.values().text("data.path");
    let registry = &configuration.registry().data;
    if let Some(entry) = registry.iter().find(|entry| entry.name == name) {
        return (entry.load)();
    }
    // If a place cannot be looked at, the code that reads the data reports it.
    if configuration.data_places().iter().all(|place| matches!(place.try_exists(), Ok(false))) {
        let near = nearest(name, registry.iter().map(|entry| entry.name.as_str()));
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(Error::NoData { found: name.to_owned(), near });
    }
    let path = configuration.data_path();
    if let Some(what) = instead(&path) {
        return Err(Error::usage(format!("data.path: {}: {what}", path.display())));
    }
    let (set, note) = data_set::read_noted(&path)?;
    note.into_iter().for_each(|note| configuration.note(format!("data.path: {note}")));
    Ok(set)
}

/// The class of every sample of a recorded run, from its data set, which has to be the same still. An error
/// ends with what can be done besides putting the data set back: `otherwise`.
///
/// # Errors
/// If it cannot be read or is another; names `sieve.stratify`.
pub(crate) fn classes(
    run: &RecordedRun,
    configuration: &Configuration,
    otherwise: &str,
) -> Result<Arc<Classes>, Error> {
    let began = run.environment().ok();
    let begun_in = began.as_ref().and_then(|began| began["working_directory"].as_str()).map(PathBuf::from);
    let mut configuration = configuration.clone().begun_in(begun_in);
    let DataSetRecord { fingerprint: recorded, train_rows, .. } = &run.manifest().data_set;
    let why = match load(&mut configuration) {
        Ok(set) if set.fingerprint == *recorded && set.train.len() as u64 == *train_rows => {
            return Ok(Arc::new(Classes::new(&set.train.labels)));
        }
        Ok(DataSet { name, train, fingerprint, .. }) => format!(
            "it is now `{name}` ({fingerprint:.16}…, {} training images), the run had {recorded:.16}…, \
             {train_rows}",
            train.len()
        ),
        Err(error) => error.to_string(),
    };
    let reason = format!(
        "the class of every sample is in the data set of the run, data.path = {:?}, which cannot be used: \
         {why}; put the data set back{otherwise}",
        configuration.values().text("data.path")
    );
    Err(ParameterError::contradiction(STRATIFY, reason).into())
}

/// What is at `path` in place of a data set, and what to do; `None` if the code that reads data sets says it.
fn instead(path: &Path) -> Option<String> {
    let is_there = |name: &str| path.join(name).symlink_metadata().is_ok();
    if is_there("train.parquet") || is_there("test.parquet") {
        return None;
    }
    let is_file = path.is_file();
    if is_file && !idx::is_named(path) && !idx::begins_as_idx(path) {
        return None;
    }
    // The parent of a bare name is empty.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let place = if is_file { parent.unwrap_or(Path::new(".")) } else { path };
    let what = if is_file { "is an IDX file" } else { "holds IDX files" };
    // What lies below the place of a file need not belong to it.
    if let Some(folder) = idx::folder(place).filter(|folder| !is_file || *folder == place) {
        let import = command("import idx", &folder);
        return Some(format!("{what}; run `{import} --out my-data`, then set data.path=my-data"));
    }
    let files: Vec<PathBuf> = files_below(path, 3).flatten().take(ENOUGH).collect();
    let train = |file: &&PathBuf| file.file_name().is_some_and(|name| name == "train.parquet");
    if let Some(set) = files.iter().find(train).and_then(|file| file.parent()) {
        return Some(format!("holds data sets, such as {}; set data.path to one of them", set.display()));
    }
    if let Some(file) = files.iter().find(|file| idx::begins_as_idx(file)) {
        let example = if is_file { String::new() } else { format!(", such as {}", file.display()) };
        return Some(format!(
            "{what}{example}; say what each is: run `{} import idx --train-images FILE --train-labels FILE \
             --test-images FILE --test-labels FILE --out my-data`, then set data.path=my-data",
            program()
        ));
    }
    let ending = |path: &PathBuf| Some(path.extension()?.to_str()?.to_lowercase());
    let endings: Vec<String> = files.iter().filter_map(ending).collect();
    let what = match endings.iter().find(|ending| PICTURES.contains(&ending.as_str())) {
        Some(ending) => format!("holds pictures ({ending})"),
        None if endings.iter().any(|ending| ending == "parquet") => {
            let what = "has Parquet files, but no train.parquet and test.parquet";
            return Some(format!("{what}; rename them if they are a data set"));
        }
        None => "holds neither a data set nor IDX files".to_owned(),
    };
    Some(format!(
        "{what}; spfde imports IDX files only; write train.parquet and test.parquet yourself, as `spfde \
         import --help` shows"
    ))
}
