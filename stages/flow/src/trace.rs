//! Streams become tables: one segment per stream, epoch and worker, closed by the frontier, committed by the manifest.

use std::collections::BTreeMap;

use spfde_data::rows::EpochRow;
use spfde_data::segment::{Checkpoint, Segment, SegmentWriter, StorageError};
use spfde_data::table::{Columns, Row};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::fault::{Cause, Fault};
use crate::run::Run;
use crate::tick::Tick;
use crate::window::{Stash, Windows};

/// The worker that commits, and writes the segments of epochs without rows.
const SCRIBE: usize = 0;

/// The open segment of one stream.
struct Sink<'a> {
    open: &'a dyn Fn(u32) -> Result<Box<dyn SegmentWriter>, StorageError>,
    writer: &'a mut Option<Box<dyn SegmentWriter>>,
}

impl Sink<'_> {
    fn append<R: Row>(&mut self, epoch: u32, mut rows: Vec<R>) -> Result<(), StorageError> {
        rows.sort_by_key(Row::order);
        if self.writer.is_none() {
            *self.writer = Some((self.open)(epoch)?);
        }
        let writer = self.writer.as_mut().expect("it was just opened");
        writer.append(&Columns::from_rows(rows))
    }

    fn finish(&mut self, epoch: u32, even_empty: bool) -> Result<Option<Segment>, StorageError> {
        if self.writer.is_none() && even_empty {
            *self.writer = Some((self.open)(epoch)?);
        }
        self.writer.take().map(SegmentWriter::finish).transpose()
    }
}

/// Writes `rows` to the table `R::STREAM`. `complete` names, on every worker, the epochs that were not cut short:
/// what has been gathered of any other epoch is dropped.
///
/// Rows are written tick by tick as their ticks complete, sorted within a tick, so memory holds the ticks in
/// flight and not the epoch.
pub(crate) fn sink<'s, R: Row>(
    run: &Run<'s>,
    rows: StreamVec<'s, Tick, R>,
    complete: StreamVec<'s, Tick, EpochRow>,
) {
    let (worker, horizon) = (run.worker(), run.horizon());
    let (store, timings) = (std::sync::Arc::clone(&run.services().store), run.timings().clone());
    let mut builder = OperatorBuilder::new(format!("Trace {}", R::STREAM), run.scope());
    let mut rows = builder.new_input(rows, Pipeline);
    let mut complete = builder.new_input(complete, Pipeline);
    let (segments_out, segments) = builder.new_output::<Vec<Segment>>();
    let (faults_out, faults) = builder.new_output::<Vec<Fault>>();
    let (mut segments_out, mut faults_out) =
        (OutputBuilder::from(segments_out), OutputBuilder::from(faults_out));
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut stash = Stash::<R>::new();
        let mut completed = Stash::<EpochRow>::new();
        let mut writer = None;
        let mut failed = false;
        move |frontiers| {
            rows.for_each(|capability, rows| stash.add(&capability, rows));
            complete.for_each(|capability, rows| completed.add(&capability, rows));
            if windows.ended() {
                // The run stops: what is still under way is not kept.
                writer = None;
                return;
            }
            let open = |epoch| store.create(R::STREAM, &R::columns(), epoch, worker as u32);
            let mut sink = Sink { open: &open, writer: &mut writer };
            loop {
                let window = windows.complete(frontiers);
                let epoch = windows.epoch();
                let mut result = Ok(());
                let due = |tick: &Tick| tick.epoch == epoch && !frontiers[0].less_equal(tick);
                while let Some((tick, rows)) = stash.next(due) {
                    if !failed && result.is_ok() {
                        result = timings.measure("trace", || sink.append(tick.epoch, rows));
                    }
                }
                if let (Some(epoch), Ok(())) = (window, &result) {
                    let whole = completed.through(epoch).any(|row| row.epoch == epoch);
                    if !whole || failed {
                        drop(sink.writer.take());
                    } else {
                        match timings.measure("trace", || sink.finish(epoch, worker == SCRIBE)) {
                            Ok(Some(segment)) => {
                                segments_out.activate().session(windows.capability(0)).give(segment);
                            }
                            Ok(None) => (),
                            Err(error) => result = Err(error),
                        }
                    }
                }
                if let Err(error) = result {
                    failed = true;
                    let fault = storage_fault(worker, epoch, &error);
                    faults_out.activate().session(windows.capability(1)).give(fault);
                }
                if window.is_none() {
                    break;
                }
                windows.advance();
                if windows.ended() {
                    writer = None;
                    break;
                }
            }
        }
    });
    run.add_segments(segments);
    run.halt_on_storage(faults);
}

/// Commits each complete epoch once all its segments, from all workers and streams, are finished, and at once the
/// checkpoint after it. `unwritten` names
/// the epochs, on whichever worker, of which something could not be written: with the first of them it ends.
pub(crate) fn commit<'s>(
    run: &Run<'s>,
    segments: StreamVec<'s, Tick, Segment>,
    checkpoints: StreamVec<'s, Tick, Checkpoint>,
    unwritten: StreamVec<'s, Tick, Fault>,
    complete: StreamVec<'s, Tick, EpochRow>,
) {
    let (worker, horizon) = (run.worker(), run.horizon());
    let (commit, timings) = (std::sync::Arc::clone(&run.services().commit), run.timings().clone());
    let mut builder = OperatorBuilder::new("Commit".to_owned(), run.scope());
    let mut segments = builder.new_input(segments, Exchange::new(|_: &Segment| SCRIBE as u64));
    let mut checkpoints = builder.new_input(checkpoints, Exchange::new(|_: &Checkpoint| SCRIBE as u64));
    let mut unwritten = builder.new_input(unwritten, Exchange::new(|_: &Fault| SCRIBE as u64));
    let mut complete = builder.new_input(complete, Pipeline);
    let (faults_out, faults) = builder.new_output::<Vec<Fault>>();
    let mut faults_out = OutputBuilder::from(faults_out);
    builder.build(move |capabilities| {
        let mut windows = Windows::new(capabilities, horizon);
        let mut finished: BTreeMap<u32, Vec<Segment>> = BTreeMap::new();
        let mut faults = Stash::<Fault>::new();
        let mut completed = Stash::<EpochRow>::new();
        let mut files: BTreeMap<u32, Vec<Checkpoint>> = BTreeMap::new();
        let mut failed = false;
        move |frontiers| {
            checkpoints.for_each(|_, parts| {
                for file in parts.drain(..) {
                    files.entry(file.epoch).or_default().push(file);
                }
            });
            segments.for_each(|_, segments| {
                for segment in segments.drain(..) {
                    finished.entry(segment.epoch).or_default().push(segment);
                }
            });
            unwritten.for_each(|capability, rows| faults.add(&capability, rows));
            complete.for_each(|capability, rows| completed.add(&capability, rows));
            while let Some(epoch) = windows.complete(frontiers) {
                let whole = completed.through(epoch).any(|row| row.epoch == epoch);
                failed |= faults.through(epoch).next().is_some();
                let mut segments = finished.remove(&epoch).unwrap_or_default();
                let mut checkpoint = files.remove(&(epoch + 1)).unwrap_or_default();
                if whole && worker == SCRIBE && !failed {
                    segments.sort();
                    checkpoint.sort();
                    let committed =
                        timings.measure("trace", || commit.commit_checkpoint(epoch, segments, checkpoint));
                    if let Err(error) = committed {
                        failed = true;
                        let fault = storage_fault(worker, epoch, &error);
                        faults_out.activate().session(windows.capability(0)).give(fault);
                    }
                }
                windows.advance();
            }
        }
    });
    run.halt_on_storage(faults);
}

fn storage_fault(worker: usize, epoch: u32, error: &StorageError) -> Fault {
    let cause = Cause::Storage(error.to_string());
    Fault { tick: Tick::close_of(epoch), worker: worker as u32, stage: "trace".to_owned(), cause }
}
