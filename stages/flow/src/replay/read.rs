//! The recorded source: segments in, a stream out, epoch by epoch, never far ahead of what is done with it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::check::Recorded;
use super::extent::Sight;
use super::reader::Reader;
use crate::fault::{Cause, Fault};
use crate::run::Run;
use crate::tick::Tick;

/// How long an operator waits before it looks whether a record has gone on.
pub(crate) const LOOK_AFTER: Duration = Duration::from_millis(100);

/// The recorded rows of a stream, each at its tick, on the worker that reads its segment. Segments fall to the workers
/// in turn, whoever wrote them.
///
/// An epoch is read a batch at a time, while other stages run, and not before the epoch before the last is done
/// with, on all workers. An error ends the run: no epoch from this one on counts.
///
/// # Panics
/// If the run has no record.
pub(crate) fn read<'s, R: Recorded>(run: &Run<'s>) -> StreamVec<'s, Tick, R> {
    let recorded = run.recorded().expect("the run has a record");
    let (worker, settings, timings) = (run.worker(), Arc::clone(run.settings()), run.timings().clone());
    let (epochs, stop) = (settings.epochs, run.services().stop.clone());
    let (recording, known) = (Arc::clone(&recorded.recording), Rc::clone(run.agreed()));
    let mut reader = Reader::<R>::new(Arc::clone(&recorded.recording), worker, run.workers());
    let mut builder = OperatorBuilder::new(format!("Read {}", R::STREAM), run.scope());
    let activator = run.scope().activator_for(builder.operator_info().address);
    // The inputs reach the outputs only through what the source holds itself.
    let mut halts = builder.new_input_connection(run.halts(), Pipeline, []);
    let mut storage = builder.new_input_connection(run.storage_faults(), Pipeline, []);
    let (rows_out, rows) = builder.new_output_connection::<Vec<R>, _>([]);
    let (faults_out, faults) = builder.new_output_connection::<Vec<Fault>, _>([]);
    let (mut rows_out, mut faults_out) = (OutputBuilder::from(rows_out), OutputBuilder::from(faults_out));
    builder.build(move |capabilities| {
        let mut held: Option<[Capability<Tick>; 2]> = capabilities.try_into().ok();
        let mut halted: Option<Tick> = None;
        // The epoch that is being read has been let in.
        let mut begun = false;
        let mut sight = Sight::default();
        move |frontiers| {
            let mut halt = |capability: timely::dataflow::operators::InputCapability<Tick>,
                            _: &mut Vec<Fault>| {
                halted = halted.into_iter().chain(capability.least().copied()).min();
            };
            halts.for_each(&mut halt);
            storage.for_each(&mut halt);
            let Some([to_rows, to_faults]) = held.as_mut() else { return };
            let now = *to_rows.time();
            if !begun && frontiers.iter().any(|frontier| frontier.less_equal(&now)) {
                return;
            }
            let agreed = known.borrow();
            // A run that has recorded its last epoch is not finished yet: what it says of its end comes after.
            let over = agreed.complete && now.epoch >= agreed.epochs.min(epochs);
            // Of a run that halts nobody learns any more how far its record goes.
            let idle = now.epoch >= agreed.epochs;
            if over || halted.is_some_and(|tick| idle || tick <= now) {
                held = None;
                return;
            }
            let cause = if let Some(cause) = stop.cause() {
                Err(cause)
            } else {
                let looked = recording.look();
                let seen = looked.and_then(|extent| {
                    Ok(!idle && sight.compare(&agreed, extent, |epochs| recording.content(epochs))?)
                });
                if seen == Ok(false) {
                    // Not committed yet, or not to be seen here yet.
                    activator.activate_after(LOOK_AFTER);
                    return;
                }
                begun = true;
                let read =
                    timings.measure("read", || seen.and_then(|_| reader.next(now.epoch, &settings.plan)));
                read.map_err(|error| Cause::Recording(error.to_string()))
            };
            match cause {
                Ok(Some(rows)) => {
                    let mut output = rows_out.activate();
                    // Neighbours share their tick.
                    let mut rows = rows.into_iter().peekable();
                    while let Some(tick) = rows.peek().map(Recorded::tick) {
                        let capability = to_rows.delayed(&tick);
                        let mut session = output.session(&capability);
                        while let Some(row) = rows.next_if(|row| row.tick() == tick) {
                            session.give(row);
                        }
                    }
                    activator.activate();
                }
                Ok(None) => {
                    let next = Tick::new(now.epoch + 1, 0);
                    to_rows.downgrade(&next);
                    to_faults.downgrade(&next);
                    begun = false;
                    activator.activate();
                }
                Err(cause) => {
                    let fault = Fault { tick: now, worker: worker as u32, stage: "read".to_owned(), cause };
                    faults_out.activate().session(&*to_faults).give(fault);
                    held = None;
                }
            }
        }
    });
    run.halt_on_storage(faults);
    rows
}
