//! The recorded sources: segments in, a stream out, epoch by epoch, never far ahead of what is done with it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use spfde_data::{Extent, GradientRow, MaskRow, Recording, RecordingError, Row, ScoreRow};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, Concat};

use super::check::{Batches, Limits, tick_of};
use crate::{Cause, Fault, Flow, Ground, Run, Tick};

/// How long a source waits before it looks whether a record has gone on.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// Where sources read, and how fast.
#[derive(Clone)]
pub(crate) struct Pace<'s> {
    pub(crate) ground: Ground<'s>,
    /// An epoch is read when nothing can arrive here any more at its start.
    pub(crate) gate: Flow<'s, Fault>,
    /// How far the record goes by now.
    pub(crate) look: Rc<dyn Fn() -> Result<Extent, Cause>>,
    /// Is told why a source ends, before the others can notice.
    pub(crate) refuse: Rc<dyn Fn(&Cause)>,
}

/// Takes rows that were read, all of one tick.
pub(crate) type Take<'a, D> = &'a mut dyn FnMut(Tick, Vec<D>);

/// What `read` reads of each epoch, once it is recorded, `ahead` epochs before the pace allows it; and why it
/// could not.
///
/// `read` is called until it says that there is no more of the epoch, while other operators run. All workers
/// look at one record: what one has seen of it all know. An error ends the source: no epoch from this one on
/// counts.
pub(crate) fn source<'s, D: Clone + 'static>(
    pace: &Pace<'s>,
    name: String,
    ahead: u32,
    mut read: impl FnMut(u32, Take<'_, D>) -> Result<bool, Cause> + 'static,
) -> (Flow<'s, D>, Flow<'s, Fault>) {
    let Pace { ground: Ground { scope, horizon }, gate, look, refuse } = pace.clone();
    let worker = scope.index() as u32;
    let mut builder = OperatorBuilder::new(name, scope);
    let activator = scope.activator_for(builder.operator_info().address);
    // The input reaches the outputs only through what the source holds itself.
    let mut gate = builder.new_input_connection(gate, Pipeline, []);
    let (rows_out, rows) = builder.new_output_connection::<Vec<D>, _>([]);
    let (faults_out, faults) = builder.new_output_connection::<Vec<Fault>, _>([]);
    let (mut rows_out, mut faults_out) = (OutputBuilder::from(rows_out), OutputBuilder::from(faults_out));
    builder.build(move |capabilities| {
        let mut held: Option<[Capability<Tick>; 2]> = capabilities.try_into().ok();
        // The epoch that is being read has been let in.
        let mut begun = false;
        move |frontiers| {
            gate.for_each(|_, records| records.clear());
            let Some([to_rows, to_faults]) = held.as_mut() else { return };
            let epoch = to_rows.time().epoch;
            let over = epoch >= horizon.end();
            if !begun && !over && frontiers[0].less_equal(&Tick::new(epoch.saturating_sub(ahead), 0)) {
                return;
            }
            let mut go_on = || -> Result<Option<bool>, Cause> {
                if over || epoch >= look()?.epochs {
                    return Ok(None);
                }
                begun = true;
                let mut output = rows_out.activate();
                let mut take = |tick, rows: Vec<D>| {
                    output.session(&to_rows.delayed(&tick)).give_iterator(rows.into_iter());
                };
                read(epoch, &mut take).map(Some)
            };
            match go_on() {
                // It may just have been seen that the record is complete.
                Ok(None) if epoch >= horizon.end() => held = None,
                Ok(None) => activator.activate_after(LOOK_AFTER),
                Ok(Some(more)) => {
                    if !more {
                        begun = false;
                        let next = Tick::new(epoch + 1, 0);
                        to_rows.downgrade(&next);
                        to_faults.downgrade(&next);
                    }
                    activator.activate();
                }
                Err(cause) => {
                    refuse(&cause);
                    let fault = Fault { tick: *to_faults.time(), worker, stage: "read".to_owned(), cause };
                    faults_out.activate().session(&*to_faults).give(fault);
                    held = None;
                }
            }
        }
    });
    (rows, faults)
}

/// This worker's share of the rows of a recorded stream, each at its tick, and within the `limits` of its run
/// if there are any. Segments fall to the workers in turn, so that no worker reads all of a stream that one
/// wrote, and streams begin at different workers.
pub(crate) fn recorded<'s, R: Row>(
    pace: &Pace<'s>,
    ahead: u32,
    recording: &Arc<dyn Recording>,
    limits: Option<Limits>,
) -> (Flow<'s, R>, Flow<'s, Fault>) {
    let (scope, recording) = (pace.ground.scope, Arc::clone(recording));
    let (worker, workers) = (scope.index(), scope.peers());
    let tick = tick_of::<R>();
    let first = match R::STREAM {
        ScoreRow::STREAM => 0,
        GradientRow::STREAM => 1,
        MaskRow::STREAM => 2,
        _ => 3,
    };
    // Of the epoch that is being read: the segment after the open one, and what is left of that.
    let (mut next, mut open): (usize, Option<Batches>) = (0, None);
    source(pace, format!("Read {}", R::STREAM), ahead, move |epoch, take| {
        let mut read = || loop {
            if let Some(batch) = open.as_mut().and_then(Iterator::next) {
                return batch.map(Some);
            }
            let count = recording.segments(R::STREAM, epoch);
            if count == 0 {
                let what = format!("stream {} was not recorded in epoch {}", R::STREAM, epoch + 1);
                return Err(RecordingError(what));
            }
            let mine = |segment: &usize| (epoch as usize + segment + first) % workers == worker;
            let Some(segment) = (next..count).find(mine) else {
                (next, open) = (0, None);
                return Ok(None);
            };
            next = segment + 1;
            let segment = recording.open(R::STREAM, &R::columns(), epoch, segment)?;
            open = Some(match limits.clone() {
                Some(limits) => limits.checked(R::columns(), segment),
                None => segment.batches,
            });
        };
        let batch = read().map_err(|error| Cause::Recording(error.to_string()))?;
        let Some(batch) = batch else { return Ok(false) };
        // Neighbours share their tick.
        let mut rows = batch.into_rows::<R>().into_iter().peekable();
        while let Some(at) = rows.peek().map(tick) {
            take(at, std::iter::from_fn(|| rows.next_if(|row| tick(row) == at)).collect());
        }
        Ok(true)
    })
}

/// The recorded rows of a stream of the run, on the worker that reads them: an epoch not before the epoch
/// before the last is done with, on all workers.
///
/// # Panics
/// If the run has no record.
pub(crate) fn read<'s, R: Row>(run: &Run<'s>) -> Flow<'s, R> {
    let recording = &run.recorded().expect("the run has a record").recording;
    let (known, stop) = (Arc::clone(recording), run.services().stop.clone());
    let look = move || match stop.cause() {
        Some(cause) => Err(cause),
        None => known.look().map_err(|error| Cause::Recording(error.to_string())),
    };
    let pace = Pace {
        ground: run.ground(),
        gate: run.halts().concat(run.storage_faults()).concat(run.endings()),
        look: Rc::new(look),
        refuse: Rc::new(|_| ()),
    };
    let (rows, faults) = recorded(&pace, 0, recording, Some(Limits::of(run.plan())));
    run.halt_on_storage(faults);
    rows
}
