//! Streams become tables: one segment per stream, epoch and worker, closed by the frontier, committed by the
//! manifest. And the parts of a checkpoint become files.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde_data::segment::Result;
use spfde_data::{
    Checkpoint, Column, Columns, CompleteEpoch, EpochRow, Row, Segment, SegmentStore, SegmentWriter,
    StorageError, Writer,
};

use crate::checkpoint::Best;
use crate::{Cause, CheckpointStore, Fault, Flow, Kept, Run, Tick};

/// The worker that commits, and writes the segments of epochs without rows.
const SCRIBE: usize = 0;

/// Rows that become columns at a time.
const SLICE: usize = 1 << 16;

/// One stream's segments.
pub(crate) struct Sink {
    store: Arc<dyn SegmentStore>,
    worker: usize,
    writer: Option<Writer>,
}

impl Sink {
    pub(crate) fn new(store: &Arc<dyn SegmentStore>, worker: usize) -> Self {
        Self { store: Arc::clone(store), worker, writer: None }
    }

    /// The open segment of `epoch`.
    fn open<R: Row>(&mut self, epoch: u32) -> Result<&mut Writer> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.store.create(R::STREAM, &R::columns(), epoch, self.worker as u32)?,
        };
        Ok(self.writer.insert(writer))
    }

    /// Writes rows behind those that it has.
    pub(crate) fn append<R: Row>(&mut self, epoch: u32, rows: impl IntoIterator<Item = R>) -> Result<()> {
        self.open::<R>(epoch)?.append(&Columns::from_rows(rows))
    }

    /// Closes the segment, if it has rows or is worker 0's.
    pub(crate) fn finish<R: Row>(&mut self, epoch: u32) -> Result<Option<Segment>> {
        if self.worker == SCRIBE {
            self.open::<R>(epoch)?;
        }
        self.writer.take().map(SegmentWriter::finish).transpose()
    }
}

/// Writes `rows` to the table `R::STREAM`, whose segments are the result. `complete` names, on every worker,
/// the epochs that were not cut short: what has been gathered of any other epoch is dropped.
///
/// Rows are written tick by tick as their ticks complete, sorted within a tick, so memory holds the ticks in
/// flight and not the epoch.
pub(crate) fn sink<'s, R: Row>(
    run: &Run<'s>,
    rows: Flow<'s, R>,
    complete: Flow<'s, EpochRow>,
) -> Flow<'s, Segment> {
    let (worker, timings) = (run.worker(), run.timings().clone());
    let mut sink = Sink::new(&run.services().store, worker);
    let mut window = run.window(format!("Trace {}", R::STREAM));
    let rows = window.own(rows);
    let complete = window.own(complete);
    let (mut segments_out, segments) = window.output();
    let (mut faults_out, faults) = window.output();
    let mut failed = false;
    window.build_by_tick(move |moment| {
        let epoch = moment.epoch;
        let mut result = Ok(None);
        while let Some((_, mut rows)) = rows.next(epoch) {
            if !failed && result.is_ok() {
                let written = timings.measure("trace", || {
                    rows.sort_by_key(Row::order);
                    let (mut rows, mut written) = (rows.into_iter(), Ok(()));
                    while rows.len() > 0 && written.is_ok() {
                        written = sink.append(epoch, rows.by_ref().take(SLICE));
                    }
                    written
                });
                result = written.map(|()| None);
            }
        }
        if moment.is_complete && result.is_ok() {
            let whole = complete.through(epoch).iter().any(|row| row.epoch == epoch);
            if whole && !failed {
                result = timings.measure("trace", || sink.finish::<R>(epoch));
            } else {
                sink.writer = None;
            }
        }
        match result {
            Ok(segment) => segments_out.give(moment, segment),
            Err(error) => {
                failed = true;
                faults_out.give(moment, [storage_fault("trace", worker, epoch, &error)]);
            }
        }
    });
    run.halt_on_storage(faults);
    segments
}

/// Commits each complete epoch once all its segments, from all workers and streams, are finished, and at once
/// the checkpoint after it. `unwritten` names the epochs, on whichever worker, of which something could not
/// be written: with the first of them it ends. `ended` says with which epoch the run comes to its end: as a
/// success, unless a fault of the same epoch comes before.
pub(crate) fn commit<'s>(
    run: &Run<'s>,
    segments: Flow<'s, Segment>,
    checkpoints: Flow<'s, Checkpoint>,
    unwritten: Flow<'s, Fault>,
    ended: Flow<'s, Fault>,
    complete: Flow<'s, EpochRow>,
) {
    let (worker, timings) = (run.worker(), run.timings().clone());
    let (commit, observer) = (Arc::clone(&run.services().commit), Arc::clone(&run.services().observer));
    let mut window = run.window("Commit");
    let segments = window.exchanged(segments, |_| SCRIBE as u64);
    let checkpoints = window.exchanged(checkpoints, |_| SCRIBE as u64);
    let unwritten = window.exchanged(unwritten, |_| SCRIBE as u64);
    let ended = window.exchanged(ended, |_| SCRIBE as u64);
    let complete = window.own(complete);
    let (mut faults_out, faults) = window.output();
    let mut failed = false;
    let (mut best, due) = (Best::new(run.resumed()), run.keeper().due());
    window.build(move |close| {
        let epoch = close.epoch;
        let whole = complete.through(epoch).into_iter().find(|row| row.epoch == epoch);
        let rises = whole.as_ref().is_some_and(|row| best.rises(row));
        failed |= !unwritten.through(epoch).is_empty();
        let ended_early = match ended.through(epoch).into_iter().min() {
            Some(Fault { cause: Cause::Enough(reason), .. }) => Some(reason),
            _ => None,
        };
        let (mut segments, mut checkpoint) = (segments.through(epoch), checkpoints.through(epoch));
        if let Some(row) = whole.filter(|_| worker == SCRIBE && !failed) {
            segments.sort();
            checkpoint.sort();
            let best = checkpoint.iter().find(|file| rises && file.rows.is_none()).cloned();
            // Of an epoch without a checkpoint these weights are no part of one.
            checkpoint.retain(|file| file.rows.is_some() || due.weights_at(epoch + 1));
            let peak_memory_bytes = None;
            let complete =
                CompleteEpoch { epoch, segments, checkpoint, best, ended_early, peak_memory_bytes };
            match timings.measure("trace", || commit.commit_epoch(complete)) {
                Ok(()) => observer.committed(&row),
                Err(error) => {
                    failed = true;
                    faults_out.give(close, [storage_fault("trace", worker, epoch, &error)]);
                }
            }
        }
    });
    run.halt_on_storage(faults);
}

/// Something of `epoch` could not be stored.
pub(crate) fn storage_fault(stage: &str, worker: usize, epoch: u32, error: &StorageError) -> Fault {
    let (cause, stage) = (Cause::Storage(error.to_string()), stage.to_owned());
    Fault { tick: Tick::close_of(epoch), worker: worker as u32, stage, cause }
}

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
    let (mut best, due) = (Best::new(run.resumed()), run.keeper().due());
    window.build(move |close| {
        let epoch = close.epoch;
        let row = complete.through(epoch).into_iter().find(|row| row.epoch == epoch);
        let (whole, rises) = (row.is_some(), row.is_some_and(|row| best.rises(&row)));
        let mut parts = kept.through(epoch);
        if !rises && !due.weights_at(epoch + 1) {
            parts.retain(|part| !matches!(part, Kept::Weights { .. }));
        }
        if worker == SCRIBE && due.at(epoch + 1) {
            parts.push(Kept::rows(best.row(epoch + 1)));
        }
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
            Kept::Weights { tensors, frozen } => files.push(store.weights(epoch, &tensors, &frozen)?),
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
