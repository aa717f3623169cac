//! The files of checkpoints: the weights as safetensors, state that is kept by sample or by block as tables.
//!
//! `<run>/checkpoint/e00012.safetensors` and, beside it, `<run>/checkpoint/<table>/e00012-w00.parquet`, one for each
//! worker that has rows: ordinary Parquet like the trace, from which a run on any number of workers goes on. Like
//! everything else a checkpoint counts once the manifest names it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::atomic;
use super::error::{DataError, Result};
use super::hash_file;
use super::held::{self, Held};
use super::manifest::{CHECKPOINT_LIMIT, Manifest};
use super::parquet_store::{ParquetStore, is_stream_name, path_below, read_columns};
use super::read_limited::{inside, read_limited};
use super::weights::{self, NamedArray, Weights};
use crate::segment::{Checkpoint, Segment};
use crate::table::{Column, Columns};

/// The folder of checkpoints within a run directory.
pub(super) const FOLDER: &str = "checkpoint";

/// The checkpoints of a run directory.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    run: PathBuf,
    held: Option<Held>,
}

impl Checkpoints {
    /// Those of the run directory `run`.
    pub fn new(run: &Path) -> Self {
        Self { run: run.to_owned(), held: None }
    }

    /// Those of a run directory that is held, for as long as it is the same.
    pub(super) fn of_held(run: &Path, held: Held) -> Self {
        Self { run: run.to_owned(), held: Some(held) }
    }

    /// Where the tables go: the segment of table t for epoch e holds its rows at the start of e.
    pub fn tables(&self) -> ParquetStore {
        ParquetStore::of_checkpoints(&self.run, self.held.clone())
    }

    /// Writes the weights at the start of `epoch`.
    pub fn write_weights(
        &self,
        epoch: u32,
        arrays: &[NamedArray],
        metadata: &BTreeMap<String, String>,
    ) -> Result<Checkpoint> {
        let path = weights_path(epoch);
        let bytes = weights::encode(arrays, metadata);
        held::create_directory(self.held.as_ref(), &self.run, &self.run.join(FOLDER))?;
        atomic::write(&self.run.join(&path), &bytes)?;
        let blake3 = blake3::hash(&bytes).to_hex().to_string();
        Ok(Checkpoint { epoch, path, bytes: bytes.len() as u64, blake3, rows: None })
    }

    /// Checks that the files of the checkpoint at the start of `epoch` are those that `manifest` names.
    pub fn check(&self, manifest: &Manifest, epoch: u32) -> Result<()> {
        manifest.checkpoint(epoch).try_for_each(|file| check_file(&self.run, file))
    }

    /// Reads the weights at the start of `epoch`.
    ///
    /// # Errors
    /// If there are none, or the file is not the one that `manifest` names.
    pub fn read_weights(&self, manifest: &Manifest, epoch: u32) -> Result<Weights> {
        let wanted = weights_path(epoch);
        let path = inside(&self.run, &wanted)?;
        let Some(file) = manifest.checkpoint(epoch).find(|file| file.path == wanted) else {
            return Err(DataError::CheckpointMissing { path, epoch });
        };
        let bytes = read_limited(&path, CHECKPOINT_LIMIT)?;
        if bytes.len() as u64 != file.bytes {
            return Err(DataError::Length { path, found: bytes.len() as u64, expected: file.bytes });
        }
        let found = blake3::hash(&bytes).to_hex();
        if found.as_str() != file.blake3 {
            let (found, expected) = (found.to_string(), file.blake3.clone());
            return Err(DataError::Hash { path, found, expected });
        }
        weights::parse(&path, &bytes)
    }

    /// Reads the rows of a table at the start of `epoch`, those of all workers: none if there is no such table.
    ///
    /// # Errors
    /// If a file is not the one that `manifest` names, or lacks one of the columns; if there are more than `most` rows.
    pub fn read_table(
        &self,
        manifest: &Manifest,
        epoch: u32,
        table: &str,
        columns: &[Column],
        most: u64,
    ) -> Result<Columns> {
        let mut rows = Columns::new(columns);
        let prefix = format!("{FOLDER}/{table}/");
        for file in manifest.checkpoint(epoch).filter(|file| file.path.starts_with(&prefix)) {
            let segment = Segment {
                stream: table.to_owned(),
                epoch,
                worker: 0,
                path: file.path.clone(),
                rows: file.rows.unwrap_or(0),
                bytes: file.bytes,
                blake3: file.blake3.clone(),
            };
            for batch in read_columns(&self.run, &segment, columns)? {
                let (batch, path) = (batch?, self.run.join(&segment.path));
                DataError::limit(&path, "number of rows", (rows.rows + batch.rows) as u64, most)?;
                rows.append(&batch);
            }
        }
        Ok(rows)
    }
}

/// Where the weights at the start of `epoch` lie, relative to the run directory.
pub(super) fn weights_path(epoch: u32) -> String {
    format!("{FOLDER}/e{epoch:05}.safetensors")
}

/// Where the rows of a table at the start of `epoch` lie that `worker` wrote.
pub(super) fn table_path(table: &str, epoch: u32, worker: u32) -> String {
    path_below(FOLDER, table, epoch, worker)
}

/// Whether a checkpoint file lies where its epoch says.
pub(super) fn is_path_of(file: &Checkpoint) -> bool {
    if file.rows.is_none() {
        return file.path == weights_path(file.epoch);
    }
    let mut parts = file.path.split('/');
    let (Some(FOLDER), Some(table), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let worker = name.rsplit_once("-w").and_then(|(_, rest)| rest.strip_suffix(".parquet")?.parse().ok());
    is_stream_name(table) && worker.is_some_and(|worker| file.path == table_path(table, file.epoch, worker))
}

/// Length and BLAKE3 of a checkpoint file of the run directory `run`.
pub(super) fn check_file(run: &Path, file: &Checkpoint) -> Result<()> {
    let path = inside(run, &file.path)?;
    let (bytes, blake3) = hash_file(&path, CHECKPOINT_LIMIT)?;
    if bytes != file.bytes {
        return Err(DataError::Length { path, found: bytes, expected: file.bytes });
    }
    if blake3 != file.blake3 {
        return Err(DataError::Hash { path, found: blake3, expected: file.blake3.clone() });
    }
    Ok(())
}
