//! The recorded sources: segments in, a stream out, epoch by epoch, never far ahead of what is done with it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use spfde_data::segment::{Extent, Recording};
use spfde_policy::Plan;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, Concat};

use super::check::Recorded;
use super::reader::Reader;
use crate::fault::{Cause, Fault};
use crate::run::Run;
use crate::tick::Tick;
use crate::windowed::Ground;

/// How long a source waits before it looks whether a record has gone on.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// Where sources read, and how fast.
#[derive(Clone)]
pub(crate) struct Pace<'s> {
    pub(crate) ground: Ground<'s>,
    /// An epoch is read when nothing can arrive here any more at its start.
    pub(crate) gate: StreamVec<'s, Tick, Fault>,
    /// How far the record goes by now.
    pub(crate) look: Rc<dyn Fn() -> Result<Extent, Cause>>,
    /// Is told why a source ends, before the others can notice.
    pub(crate) refuse: Rc<dyn Fn(&Cause)>,
}

/// Takes rows that were read, all of one tick.
pub(crate) type Take<'a, D> = &'a mut dyn FnMut(Tick, Vec<D>);

/// What `read` reads of each epoch, once it is recorded, `ahead` epochs before the pace allows it; and why it could
/// not.
///
/// `read` is called until it says that there is no more of the epoch, while other operators run. All workers look at
/// one record: what one has seen of it all know. An error ends the source: no epoch from this one on counts.
pub(crate) fn source<'s, D: Clone + 'static>(
    pace: &Pace<'s>,
    name: String,
    ahead: u32,
    mut read: impl FnMut(u32, Take<'_, D>) -> Result<bool, Cause> + 'static,
) -> (StreamVec<'s, Tick, D>, StreamVec<'s, Tick, Fault>) {
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

/// This worker's share of the rows of a recorded stream, each at its tick. Segments fall to the workers in turn,
/// whichever of them wrote it.
pub(crate) fn recorded<'s, R: Recorded>(
    pace: &Pace<'s>,
    ahead: u32,
    recording: &Arc<dyn Recording>,
    plan: &Arc<Plan>,
) -> (StreamVec<'s, Tick, R>, StreamVec<'s, Tick, Fault>) {
    let (scope, plan) = (pace.ground.scope, Arc::clone(plan));
    let mut reader = Reader::<R>::new(Arc::clone(recording), scope.index(), scope.peers());
    source(pace, format!("Read {}", R::STREAM), ahead, move |epoch, take| {
        let rows = reader.next(epoch, &plan).map_err(|error| Cause::Recording(error.to_string()))?;
        let more = rows.is_some();
        // Neighbours share their tick.
        let mut rows = rows.into_iter().flatten().peekable();
        while let Some(tick) = rows.peek().map(Recorded::tick) {
            take(tick, std::iter::from_fn(|| rows.next_if(|row| row.tick() == tick)).collect());
        }
        Ok(more)
    })
}

/// The recorded rows of a stream of the run, on the worker that reads them: an epoch not before the epoch before the
/// last is done with, on all workers.
///
/// # Panics
/// If the run has no record.
pub(crate) fn read<'s, R: Recorded>(run: &Run<'s>) -> StreamVec<'s, Tick, R> {
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
    let (rows, faults) = recorded(&pace, 0, recording, run.plan());
    run.halt_on_storage(faults);
    rows
}
