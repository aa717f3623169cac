//! Weights that a run begins with, in place of those that it would draw: of a file, or of another run.

mod fit;
mod parent;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spfde_data::files::layout::{BEST_PATH, weights_path};
use spfde_data::files::{DataError, MANIFEST_NAME, RunDirectory, StartedFrom, checkpoint, weights};
use spfde_data::{ParameterError, Value, counted};
use spfde_model::{Description, LayerStart};

use crate::{Configuration, Result};

/// The key of the file, or of the directory of a run.
pub(crate) const WEIGHTS: &str = "model.weights";

/// What a run begins with.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// What each layer takes over.
    pub(crate) layers: Arc<Vec<LayerStart>>,
    /// What the manifest says of it.
    pub(crate) from: StartedFrom,
    /// The file with the weights.
    pub(crate) file: PathBuf,
}

/// What a run of this configuration begins with; `None` if it draws its weights. A run that goes on has its
/// own copy, so that the file or the parent may be gone. The configuration gets the path from the root on,
/// and notes of what the user should know.
///
/// # Errors
/// If what `model.weights` names cannot be read, or does not fit the network.
pub(crate) fn read(configuration: &mut Configuration, network: &Description) -> Result<Option<Start>> {
    let named = configuration.values().text(WEIGHTS);
    let (file, from, after) = match configuration.own_start() {
        Some((file, from)) => (file.clone(), from.clone(), None),
        None if named.is_empty() => return Ok(None),
        None => {
            let path = std::path::absolute(named).unwrap_or_else(|_| PathBuf::from(named));
            let run = path.ends_with(BEST_PATH).then(|| path.ancestors().nth(2)).flatten();
            match run.filter(|run| run.join(MANIFEST_NAME).exists()) {
                Some(run) => of_run(run, true)?,
                None if path.is_dir() => of_run(&path, false)?,
                None => of_file(path)?,
            }
        }
    };
    let (read, blake3) = weights::read_foreign(&file)?;
    let from = StartedFrom { weights: blake3, ..from };
    let is_run = from.manifest.is_some();
    let model = configuration.values().text("model.name");
    let fitted = fit::fit(&read.arrays, network, is_run);
    let (layers, mut notes) = fitted.map_err(|misfits| {
        let reason = format!("{named} does not fit the network {model}: {misfits}");
        ParameterError::contradiction(WEIGHTS, reason)
    })?;
    if let Some(epochs) = after {
        let epochs = counted(epochs, "epoch");
        let what = match configuration.values().text("train.optimizer") {
            // It keeps more of a weight than its momentum.
            "adamw" => "weights and masks are those",
            _ => "weights, masks and momenta are those",
        };
        notes.push(format!("{what} of {named} after {epochs}"));
    }
    configuration.settle(WEIGHTS, Value::Text(from.path.clone()));
    notes.into_iter().for_each(|note| configuration.note(note));
    Ok(Some(Start { layers: Arc::new(layers), from, file }))
}

/// What is read, what the manifest will say of it, and after how many epochs it was so.
type Found = (PathBuf, StartedFrom, Option<u32>);

/// The weights of a finished run: the last, or the best on the validation set.
fn of_run(path: &Path, best: bool) -> Result<Found> {
    let run = RunDirectory::open(path)?;
    let manifest = run.manifest();
    let Some(epoch) = manifest.last_checkpoint().filter(|_| manifest.finished) else {
        let what = match manifest.finished {
            true => "has no weights".to_owned(),
            false => format!("is not finished ({} of {} epochs)", manifest.epochs_reached, manifest.epochs),
        };
        return Err(DataError::refused(path, what, "name a run that has trained to its end").into());
    };
    // The file has to be the one that the manifest names.
    let (named, file, epoch) = if best {
        let (epoch, _) = checkpoint::read_best(path, manifest)?;
        (path.join(BEST_PATH), path.join(BEST_PATH), epoch)
    } else {
        checkpoint::check(path, manifest, epoch)?;
        (path.to_owned(), path.join(weights_path(epoch)), epoch)
    };
    let from = StartedFrom {
        path: named.display().to_string(),
        weights: String::new(),
        manifest: Some(run.manifest_blake3().to_owned()),
    };
    Ok((file, from, Some(epoch)))
}

/// The weights of a file.
fn of_file(path: PathBuf) -> Result<Found> {
    if path
        .extension()
        .is_some_and(|ending| ["pt", "pth", "ckpt", "bin"].iter().any(|known| ending == *known))
    {
        let remedy = "save them as safetensors: safetensors.torch.save_file(model.state_dict(), \
                      \"model.safetensors\")";
        return Err(DataError::refused(&path, "is no safetensors file", remedy).into());
    }
    let from = StartedFrom { path: path.display().to_string(), weights: String::new(), manifest: None };
    Ok((path, from, None))
}
