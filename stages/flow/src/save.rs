//! Puts the parts of a checkpoint into files.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde_data::rows::EpochRow;
use spfde_data::segment::{Checkpoint, StorageError};
use spfde_data::table::{Column, Columns};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::checkpoint::{CheckpointStore, Kept};
use crate::fault::{Cause, Fault};
use crate::run::Run;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

/// Writes this worker's parts of each checkpoint once its epoch is over, if `complete` names the epoch: what has been
/// gathered of any other is dropped. The files that are finished, at the close of the epoch before the checkpoint.
pub(crate) fn save<'s>(
    run: &Run<'s>,
    kept: StreamVec<'s, Tick, Kept>,
    complete: StreamVec<'s, Tick, EpochRow>,
) -> StreamVec<'s, Tick, Checkpoint> {
    let (worker, horizon, timings) = (run.worker(), run.horizon(), run.timings().clone());
    let store = run.services().checkpoints.as_ref().map(|checkpoints| Arc::clone(&checkpoints.store));
    let mut builder = OperatorBuilder::new("Checkpoint".to_owned(), run.scope());
    let mut kept = builder.new_input(kept, Pipeline);
    let mut complete = builder.new_input(complete, Pipeline);
    let (files_out, files) = builder.new_output::<Vec<Checkpoint>>();
    let (faults_out, faults) = builder.new_output::<Vec<Fault>>();
    let (mut files_out, mut faults_out) = (OutputBuilder::from(files_out), OutputBuilder::from(faults_out));
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut parts = Stash::<Kept>::new();
        let mut completed = Stash::<EpochRow>::new();
        let mut failed = false;
        move |frontiers| {
            kept.for_each(|capability, rows| parts.add(&capability, rows));
            complete.for_each(|capability, rows| completed.add(&capability, rows));
            while let Some(epoch) = windows.complete(frontiers) {
                let whole = completed.through(epoch).any(|row| row.epoch == epoch);
                let parts: Vec<Kept> = parts.through(epoch).collect();
                if let Some(store) = store.as_ref().filter(|_| whole && !failed && !parts.is_empty()) {
                    match timings.measure("checkpoint", || write(&**store, epoch + 1, worker, parts)) {
                        Ok(files) => {
                            let mut output = files_out.activate();
                            output.session(windows.capability(0)).give_iterator(files.into_iter());
                        }
                        Err(error) => {
                            failed = true;
                            let (tick, stage) = (Tick::close_of(epoch), "checkpoint".to_owned());
                            let cause = Cause::Storage(error.to_string());
                            let fault = Fault { tick, worker: worker as u32, stage, cause };
                            faults_out.activate().session(windows.capability(1)).give(fault);
                        }
                    }
                }
                windows.advance();
            }
        }
    });
    run.halt_on_storage(faults);
    files
}

/// Writes the parts that a worker has of the checkpoint at the start of `epoch`: one file for each table with rows.
fn write(
    store: &dyn CheckpointStore,
    epoch: u32,
    worker: usize,
    parts: Vec<Kept>,
) -> Result<Vec<Checkpoint>, StorageError> {
    let mut files = Vec::new();
    let mut tables: BTreeMap<&'static str, (Vec<Column>, Columns)> = BTreeMap::new();
    for part in parts {
        match part {
            Kept::Weights { tensors, frozen_blocks } => {
                files.push(store.weights(epoch, &tensors, frozen_blocks)?);
            }
            Kept::Rows { table, columns, rows } => match tables.get_mut(table) {
                Some((_, before)) => before.append(&rows),
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
