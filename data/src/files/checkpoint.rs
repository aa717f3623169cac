//! The files of checkpoints: the weights as safetensors, state that is kept by sample or by block as tables.
//!
//! The tables are ordinary Parquet like the trace, one file for each worker that has rows, from which a run
//! on any number of workers goes on. Like everything else a checkpoint counts once the manifest names it.

#[cfg(test)]
mod tests;

use std::path::Path;

use super::layout::{BEST_PATH, CHECKPOINT, weights_path};
use super::manifest::CHECKPOINT_LIMIT;
use super::parquet_store::read_columns;
use super::weights::{Metadata, Weights};
use super::{
    DataError, Manifest, Result, atomic, check_length, check_recorded, hash_file, inside, read_limited,
    weights,
};
use crate::{Checkpoint, Column, Columns, Segment, Tensor};

/// Writes the weights at the start of `epoch` to the run directory `run`.
pub fn write_weights(run: &Path, epoch: u32, arrays: &[Tensor], metadata: &Metadata) -> Result<Checkpoint> {
    let path = weights_path(epoch);
    let bytes = weights::encode(arrays, metadata);
    atomic::create_directory(&run.join(CHECKPOINT))?;
    atomic::write(&run.join(&path), &bytes)?;
    let blake3 = blake3::hash(&bytes).to_hex().to_string();
    Ok(Checkpoint { epoch, path, bytes: bytes.len() as u64, blake3, rows: None })
}

/// Checks that the files of the checkpoint at the start of `epoch` in the run directory `run` are those that
/// `manifest` names.
pub fn check(run: &Path, manifest: &Manifest, epoch: u32) -> Result<()> {
    manifest.checkpoint(epoch).try_for_each(|file| check_file(run, file))
}

/// Reads the weights at the start of `epoch`.
///
/// # Errors
/// If there are none, or the file is not the one that `manifest` names.
pub fn read_weights(run: &Path, manifest: &Manifest, epoch: u32) -> Result<Weights> {
    let wanted = weights_path(epoch);
    let path = inside(run, &wanted)?;
    let Some(file) = manifest.checkpoint(epoch).find(|file| file.path == wanted) else {
        let what =
            format!("is not in the manifest, which names other files of the checkpoint after epoch {epoch}");
        return Err(DataError::refused(&path, what, "the manifest was changed"));
    };
    weights::parse(&path, &read_file(run, file)?)
}

/// Reads the weights of the best epoch on the validation set; with the number of epochs after which they were
/// so.
///
/// # Errors
/// If `manifest` names none, or the file is not the one that it names.
pub fn read_best(run: &Path, manifest: &Manifest) -> Result<(u32, Weights)> {
    let Some(file) = manifest.best.last() else {
        let remedy = "a run keeps them that has a validation set (data.validation)";
        return Err(DataError::refused(run, "has no weights of a best epoch", remedy));
    };
    Ok((file.epoch, weights::parse(&run.join(&file.path), &read_file(run, file)?)?))
}

/// Copies weights to where those of the best epoch of a finished run lie.
pub(super) fn copy_as_best(run: &Path, file: &Checkpoint) -> Result<Checkpoint> {
    atomic::write(&run.join(BEST_PATH), &read_file(run, file)?)?;
    Ok(Checkpoint { path: BEST_PATH.to_owned(), ..file.clone() })
}

/// The bytes of a file, which have to be those that the manifest names.
fn read_file(run: &Path, file: &Checkpoint) -> Result<Vec<u8>> {
    let path = inside(run, &file.path)?;
    let bytes = read_limited(&path, CHECKPOINT_LIMIT)?;
    check_recorded(&path, &bytes, file.bytes, &file.blake3)?;
    Ok(bytes)
}

/// Reads the rows of a table at the start of `epoch`, those of all workers: none if there is no such
/// table.
///
/// # Errors
/// If a file is not the one that `manifest` names, or lacks one of the columns; if there are more than
/// `most` rows.
pub fn read_table(
    run: &Path,
    manifest: &Manifest,
    epoch: u32,
    table: &str,
    columns: &[Column],
    most: u64,
) -> Result<Columns> {
    let mut rows = Columns::new(columns);
    let prefix = format!("{CHECKPOINT}/{table}/");
    for file in manifest.checkpoint(epoch).filter(|file| file.path.starts_with(&prefix)) {
        let Checkpoint { epoch, path, bytes, blake3, rows: recorded } = file.clone();
        let (stream, recorded) = (table.to_owned(), recorded.unwrap_or(0));
        let segment = Segment { stream, epoch, worker: 0, path, rows: recorded, bytes, blake3 };
        for batch in read_columns(run, &segment, columns)? {
            let (batch, path) = (batch?, run.join(&segment.path));
            DataError::limit(&path, "number of rows", (rows.rows + batch.rows) as u64, most)?;
            rows.append(&batch, 0..batch.rows);
        }
    }
    Ok(rows)
}

/// Length and BLAKE3 of a checkpoint file of the run directory `run`.
pub(super) fn check_file(run: &Path, file: &Checkpoint) -> Result<()> {
    let path = inside(run, &file.path)?;
    let (bytes, blake3) = hash_file(&path, CHECKPOINT_LIMIT)?;
    check_length(&path, bytes, file.bytes)?;
    DataError::same(&path, "BLAKE3", &blake3, &file.blake3)
}
