//! Puts the parts of a checkpoint into files.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde_data::segment::Result;
use spfde_data::{Checkpoint, Column, Columns, EpochRow};

use crate::checkpoint::Kept;
use crate::trace::storage_fault;
use crate::{CheckpointStore, Flow, Run};

/// Writes this worker's parts of each checkpoint once its epoch is over, if `complete` names the epoch: what
/// has been gathered of any other is dropped. The files that are finished, at the close of the epoch before
/// the checkpoint.
pub(crate) fn save<'s>(
    run: &Run<'s>,
    kept: Flow<'s, Kept>,
    complete: Flow<'s, EpochRow>,
) -> Flow<'s, Checkpoint> {
    let (worker, timings) = (run.worker(), run.timings().clone());
    let store = run.services().checkpoints.as_ref().map(|checkpoints| Arc::clone(&checkpoints.store));
    let mut window = run.window("Checkpoint");
    let kept = window.own(kept);
    let complete = window.own(complete);
    let (mut files_out, files) = window.output();
    let (mut faults_out, faults) = window.output();
    let mut failed = false;
    window.build(move |close| {
        let epoch = close.epoch;
        let whole = complete.through(epoch).iter().any(|row| row.epoch == epoch);
        let parts = kept.through(epoch);
        let Some(store) = store.as_ref().filter(|_| whole && !failed && !parts.is_empty()) else { return };
        match timings.measure("checkpoint", || write(&**store, epoch + 1, worker, parts)) {
            Ok(written) => files_out.give(close, written),
            Err(error) => {
                failed = true;
                faults_out.give(close, [storage_fault("checkpoint", worker, epoch, &error)]);
            }
        }
    });
    run.halt_on_storage(faults);
    files
}

/// Writes the parts that a worker has of the checkpoint at the start of `epoch`: one file for each table with
/// rows.
fn write(store: &dyn CheckpointStore, epoch: u32, worker: usize, kept: Vec<Kept>) -> Result<Vec<Checkpoint>> {
    let mut files = Vec::new();
    let mut tables: BTreeMap<&'static str, (Vec<Column>, Columns)> = BTreeMap::new();
    for part in kept {
        match part {
            Kept::Weights { tensors, frozen_blocks } => {
                files.push(store.weights(epoch, &tensors, frozen_blocks)?);
            }
            Kept::Rows { table, columns, rows } => match tables.get_mut(table) {
                Some((_, before)) => before.append(&rows, 0..rows.rows),
                None => drop(tables.insert(table, (columns, rows))),
            },
        }
    }
    for (table, (columns, rows)) in tables {
        if rows.rows > 0 {
            let mut writer = store.table(table, &columns, epoch, worker as u32)?;
            writer.append(&rows)?;
            files.push(writer.finish()?.into());
        }
    }
    Ok(files)
}
