//! Checkpoints between the dataflow, which knows no files, and the files of a run.

use std::collections::BTreeMap;
use std::path::Path;

use spfde_data::files::DataError;
use spfde_data::files::checkpoint::Checkpoints;
use spfde_data::files::layout::CHECKPOINT;
use spfde_data::files::manifest::Manifest;
use spfde_data::segment::{Checkpoint, SegmentStore, SegmentWriter, StorageError};
use spfde_data::table::Column;
use spfde_data::tensor::Tensor;
use spfde_flow::{CheckpointStore, Settings, Snapshot};

/// Key of the epoch in the metadata of weights.
const EPOCH: &str = "spfde.epoch";
/// Key of the number of frozen blocks.
const FROZEN_BLOCKS: &str = "spfde.frozen_blocks";

/// The checkpoints of a run directory.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointFiles(pub(crate) Checkpoints);

impl CheckpointFiles {
    /// Those of the run directory `run`.
    pub(crate) fn new(run: &Path) -> Self {
        Self(Checkpoints::new(run))
    }

    /// Reads the checkpoint at the start of `epoch`: the state from which a run of these settings goes on.
    pub(crate) fn read(
        &self,
        run: &Path,
        manifest: &Manifest,
        epoch: u32,
        settings: &Settings,
    ) -> Result<Snapshot, DataError> {
        self.0.check(manifest, epoch)?;
        let weights = self.0.read_weights(manifest, epoch)?;
        let misfit = |reason: String| {
            let what = format!("the checkpoint after epoch {epoch} does not fit the run: {reason}");
            DataError::refused(&run.join(CHECKPOINT), what, "")
        };
        let frozen = weights.metadata.get(FROZEN_BLOCKS).and_then(|text| text.parse().ok());
        let frozen = frozen.ok_or_else(|| misfit(format!("its weights do not say `{FROZEN_BLOCKS}`")))?;
        let most = Snapshot::most_rows(settings);
        let mut tables = BTreeMap::new();
        for (table, columns) in Snapshot::tables(settings) {
            tables.insert(table, self.0.read_table(manifest, epoch, table, &columns, most)?);
        }
        Snapshot::new(settings, epoch, weights.arrays, frozen, tables).map_err(misfit)
    }
}

impl CheckpointStore for CheckpointFiles {
    fn table(
        &self,
        table: &str,
        columns: &[Column],
        epoch: u32,
        worker: u32,
    ) -> Result<Box<dyn SegmentWriter>, StorageError> {
        self.0.tables().create(table, columns, epoch, worker)
    }

    fn weights(
        &self,
        epoch: u32,
        tensors: &[Tensor],
        frozen_blocks: usize,
    ) -> Result<Checkpoint, StorageError> {
        let metadata = BTreeMap::from([
            (EPOCH.to_owned(), epoch.to_string()),
            (FROZEN_BLOCKS.to_owned(), frozen_blocks.to_string()),
        ]);
        Ok(self.0.write_weights(epoch, tensors, &metadata)?)
    }
}
