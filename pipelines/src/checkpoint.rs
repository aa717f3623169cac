//! Checkpoints between the dataflow, which knows no files, and the files of a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use spfde_data::files::layout::CHECKPOINT;
use spfde_data::files::{DataError, Manifest, ParquetStore, checkpoint};
use spfde_data::segment::Result;
use spfde_data::{Checkpoint, Column, FrozenBlocks, SegmentStore, Tensor, Writer};
use spfde_flow::{CheckpointStore, Settings, Snapshot};

/// Key of the epoch in the metadata of weights.
const EPOCH: &str = "spfde.epoch";
/// Key of the frozen blocks.
const FROZEN_BLOCKS: &str = "spfde.frozen_blocks";

/// Takes the checkpoints of a run to its directory.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointFiles(pub(crate) PathBuf);

/// Reads the checkpoint of the run directory `run` at the start of `epoch`: the state from which a run of
/// these settings goes on.
pub(crate) fn read(
    run: &Path,
    manifest: &Manifest,
    epoch: u32,
    settings: &Settings,
) -> Result<Snapshot, DataError> {
    checkpoint::check(run, manifest, epoch)?;
    let weights = checkpoint::read_weights(run, manifest, epoch)?;
    let misfit = |reason: String| {
        let what = format!("the checkpoint after epoch {epoch} does not fit the run: {reason}");
        DataError::refused(&run.join(CHECKPOINT), what, "")
    };
    let frozen = weights.metadata.get(FROZEN_BLOCKS).and_then(|text| FrozenBlocks::parse(text));
    let frozen = frozen.ok_or_else(|| misfit(format!("its weights do not say `{FROZEN_BLOCKS}`")))?;
    let most = Snapshot::most_rows(settings);
    let mut tables = BTreeMap::new();
    for (table, columns) in Snapshot::tables(settings) {
        tables.insert(table, checkpoint::read_table(run, manifest, epoch, table, &columns, most)?);
    }
    Snapshot::new(settings, epoch, weights.arrays, frozen, tables).map_err(misfit)
}

impl CheckpointStore for CheckpointFiles {
    fn table(&self, table: &str, columns: &[Column], epoch: u32, worker: u32) -> Result<Writer> {
        ParquetStore::of_checkpoints(&self.0).create(table, columns, epoch, worker)
    }

    fn weights(&self, epoch: u32, tensors: &[Tensor], frozen: &FrozenBlocks) -> Result<Checkpoint> {
        let metadata = BTreeMap::from([
            (EPOCH.to_owned(), epoch.to_string()),
            (FROZEN_BLOCKS.to_owned(), frozen.to_string()),
        ]);
        Ok(checkpoint::write_weights(&self.0, epoch, tensors, &metadata)?)
    }
}
