//! Where the data of a run comes from; what else may be there, and how it becomes a data set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spfde_data::files::layout::files_below;
use spfde_data::files::picture;
use spfde_data::files::{DataSetRecord, Manifest, RecordedRun, data_set, idx};
use spfde_data::{Augmentation, DataSet, Images, Order, ParameterError, Parameters, counted, nearest};
use spfde_policy::sieve::{Classes, STRATIFY};

use crate::configuration::keys::{AUGMENT, VALIDATION, cache_bytes};
use crate::environment::began_in;
use crate::error::{command, program};
use crate::{Configuration, Error, Result};

/// Files that are looked at to say what there is.
const ENOUGH: usize = 1000;

/// The data set of the configured name, or else in that directory; a note of the configuration says what was
/// inferred.
pub(crate) fn load(configuration: &mut Configuration) -> Result<DataSet> {
    let name = configuration.values().text("data.path");
    let registry = &configuration.registry().data;
    if let Some(entry) = registry.iter().find(|entry| entry.name == name) {
        return validated((entry.load)()?, configuration.values());
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
    let (set, note) = data_set::read_within(&path, cache_bytes(configuration.values()))?;
    note.into_iter().for_each(|note| configuration.note(format!("data.path: {note}")));
    validated(set, configuration.values())
}

/// The data set with the validation set that the configuration asks for.
///
/// # Errors
/// If there is nothing that can be set aside.
pub(crate) fn validated(set: DataSet, values: &Parameters) -> Result<DataSet> {
    let share = values.number(VALIDATION);
    let (name, images) = (set.name.clone(), set.train.len());
    let set = set.with_validation(share, u64::from(values.integer("seed")));
    if share > 0.0 && set.validation.is_empty() {
        let images = counted(images, "training image");
        let reason = format!(
            "this share of the {images} of {name} is none, or no class has two; ask for more, or for 0"
        );
        return Err(ParameterError::contradiction(VALIDATION, reason).into());
    }
    Ok(set)
}

/// A note if row groups are decoded again and again while a run trains: if a cache of so many bytes holds
/// less than an epoch in this order goes back and forth in.
pub(crate) fn reread(set: &DataSet, order: Order, cache: u64) -> Option<String> {
    let (bytes, of, remedy) = match order {
        Order::Blocks => (set.window_bytes(), "a window of row groups", ""),
        _ => (set.train.pixels.bytes(), "all training images", ", or choose data.order = blocks"),
    };
    (set.train.is_stored() && bytes as u64 > cache).then(|| {
        format!(
            "data.cache_bytes = {cache} holds less than {of}, {bytes} bytes: row groups are decoded again \
             and again, which takes time; raise it{remedy}"
        )
    })
}

/// The data set of a run, and what it is now, each in a few words, if a run would train otherwise on it.
pub(crate) fn changed(recorded: &DataSetRecord, set: &DataSet) -> Option<[String; 2]> {
    let now = Manifest::new(set, 0).data_set;
    if recorded.trains_as(&now) {
        return None;
    }
    let is_same = (&now.fingerprint, now.train_rows) == (&recorded.fingerprint, recorded.train_rows);
    let more = if is_same { " with another mean or deviation" } else { "" };
    let named = |record: &DataSetRecord| {
        format!("`{}` of {} training images ({:.16}…)", record.name, record.train_rows, record.fingerprint)
    };
    Some([named(recorded), named(&now) + more])
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
) -> Result<Arc<Classes>> {
    let set = data_of_run(run, configuration).map_err(|why| {
        let reason = format!(
            "the class of every sample is in the data set of the run, data.path = {:?}, which cannot be \
             used: {why}; put the data set back{otherwise}",
            configuration.values().text("data.path")
        );
        ParameterError::contradiction(STRATIFY, reason)
    })?;
    Ok(Arc::new(Classes::new(&set.train.labels)))
}

/// The data set of a recorded run, to which its `configuration` leads.
///
/// # Errors
/// Why it cannot be read, or that it is another than it was, in words.
pub(crate) fn data_of_run(run: &RecordedRun, configuration: &Configuration) -> Result<DataSet, String> {
    let begun_in = run.environment().ok().as_ref().and_then(began_in);
    let set = load(&mut configuration.clone().begun_in(begun_in)).map_err(|error| error.to_string())?;
    match changed(&run.manifest().data_set, &set) {
        None => Ok(set),
        Some([recorded, now]) => Err(format!("it is now {now}, the run had {recorded}")),
    }
}

/// Checks that images can be varied so.
///
/// # Errors
/// Names `data.augment`.
pub(crate) fn check_augmentation(augmentation: Augmentation, images: &Images) -> Result<()> {
    let reason = if images.is_table() && augmentation != Augmentation::None {
        "the data set is a table, whose rows are never varied; leave it out".to_owned()
    } else if augmentation.colour && images.channels != 3 {
        let channels = counted(images.channels, "channel");
        format!("colour is for RGB, the images have {channels}; leave it out")
    } else {
        return Ok(());
    };
    Err(ParameterError::contradiction(AUGMENT, reason).into())
}

/// What is at `path` in place of a data set, and what to do; `None` if the code that reads data sets says it.
fn instead(path: &Path) -> Option<String> {
    let is_there = |name: &str| path.join(name).symlink_metadata().is_ok();
    if is_there("train.parquet") || is_there("test.parquet") {
        return None;
    }
    let is_file = path.is_file();
    if is_file && !idx::is_named(path) && !idx::begins_as_idx(path) {
        let is_part = ["train.parquet", "test.parquet"].iter().any(|name| path.ends_with(name));
        return other_kind(&[path.to_owned()])
            .filter(|(_, kind, _)| !is_part && *kind != "folder")
            .map(|(what, kind, more)| format!("is {what}; {}", how(kind, path, more)));
    }
    // The parent of a bare name is empty.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let place = if is_file { parent.unwrap_or(Path::new(".")) } else { path };
    let what = if is_file { "is an IDX file" } else { "holds IDX files" };
    // What lies below the place of a file need not belong to it.
    if let Some(folder) = idx::folder(place).filter(|folder| !is_file || *folder == place) {
        return Some(format!("{what}; {}", how("idx", &folder, "")));
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
    if let Some((what, kind, more)) = other_kind(&files) {
        return Some(format!("holds {what}; {}", how(kind, path, more)));
    }
    Some(format!(
        "holds neither a data set nor files that `{0} import` knows; write train.parquet and test.parquet \
         yourself, as `{0} import --help` shows",
        program()
    ))
}

/// How a data set is made of what is at `path`.
fn how(kind: &str, path: &Path, more: &str) -> String {
    let import = command(&format!("import {kind}"), path);
    format!("run `{import}{more} --out my-data`, then set data.path=my-data")
}

/// What files are of which no data set is made yet: in words, the kind of import, what it has to be told.
fn other_kind(files: &[PathBuf]) -> Option<(&'static str, &'static str, &'static str)> {
    let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let any = |is: &dyn Fn(&str) -> bool| files.iter().any(|file| is(&name(file)));
    let ends = |endings: &[&str]| {
        any(&|name| name.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending)))
    };
    if any(&|name| name.starts_with("data_batch_") || name.starts_with("cifar-10-")) {
        return Some(("CIFAR-10", "cifar10", ""));
    }
    if any(&|name| name == "fine_label_names.txt" || name.starts_with("cifar-100-")) {
        return Some(("CIFAR-100", "cifar100", ""));
    }
    if ends(&picture::ENDINGS) {
        return Some(("pictures", "folder", " --size 64"));
    }
    if ends(&["npz", "npy"]) {
        return Some(("arrays of NumPy", "npz", ""));
    }
    if ends(&["csv", "tsv"]) {
        return Some(("a table", "table", " --label COLUMN"));
    }
    ends(&["parquet"]).then_some(("Parquet, but no train.parquet and test.parquet", "parquet", ""))
}
