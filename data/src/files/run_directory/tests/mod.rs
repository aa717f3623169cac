//! Creation, locks, commits, and what is left over.

mod committing;
mod creating;
mod ending;
mod held;

use serde_json::json;

use super::*;
use crate::files::Kind;
use crate::files::checkpoint;
use crate::files::data_set;
use crate::files::manifest::{Checkpoint, MANIFEST_NAME};
use crate::files::verify;
use crate::images::Images;
use crate::rows::MaskRow;
use crate::segment::{Commit, CompleteEpoch, Segment, SegmentStore, StorageError};
use crate::table::{Columns, Record};

impl RunDirectory {
    /// Commits an epoch.
    pub(crate) fn commit_checkpoint(
        &self,
        epoch: u32,
        segments: Vec<Segment>,
        checkpoint: Vec<Checkpoint>,
        ended_early: Option<String>,
    ) -> Result<(), StorageError> {
        self.commit_epoch(CompleteEpoch {
            epoch,
            segments,
            checkpoint,
            ended_early,
            ..CompleteEpoch::default()
        })
    }

    /// Commits an epoch without a checkpoint.
    pub(crate) fn commit(&self, epoch: u32, segments: Vec<Segment>) -> Result<(), StorageError> {
        self.commit_checkpoint(epoch, segments, Vec::new(), None)
    }
}

fn manifest(epochs: u32) -> Manifest {
    let images =
        Images { channels: 1, height: 1, width: 1, pixels: vec![1_u8, 2].into(), labels: vec![0, 1] };
    Manifest::new(&data_set::assemble("tiny", 2, images.clone(), images), epochs)
}

/// The first manifest as a run with the configuration of [`create`] has it.
fn begun(epochs: u32) -> Manifest {
    let configuration = Some(blake3::hash(b"seed = 1\n").to_hex().to_string());
    Manifest { configuration, sealed_environment: true, ..manifest(epochs) }
}

fn checkpoint(run: &RunDirectory, epoch: u32) -> Checkpoint {
    checkpoint::write_weights(run.path(), epoch, &[], &std::collections::BTreeMap::new()).unwrap()
}

fn beginning(epochs: u32) -> Beginning {
    let (config, environment) = ("seed = 1\n".to_owned(), json!({"version": "test"}));
    Beginning { config, architecture: None, start: None, environment, manifest: manifest(epochs) }
}

fn create(path: &Path) -> Result<RunDirectory> {
    RunDirectory::create(path, &beginning(2))
}

fn write_segment(run: &RunDirectory, epoch: u32) -> Segment {
    write_segment_to(&run.store(), epoch)
}

fn write_segment_to(store: &ParquetStore, epoch: u32) -> Segment {
    let mut writer = store.create("masks", &MaskRow::columns(), epoch, 0).unwrap();
    writer.append(&Columns::from_rows([MaskRow { epoch, step: 0, layer: 1, index: 2, diff: 1 }])).unwrap();
    writer.finish().unwrap()
}

/// All files below a directory, sorted, with `/` between the parts.
fn files(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in directory.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            names.extend(files(&path).iter().map(|below| format!("{name}/{below}")));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}
