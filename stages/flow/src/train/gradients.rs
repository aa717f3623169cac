//! The first half of a step: deltas, forward, loss, backward.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use spfde_data::{FreezeRow, MaskRow, PredictionRow, ScoreRow};
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;
use timely::progress::Antichain;
use timely::scheduling::Activator;

use crate::part::Part;
use crate::{Batch, Fault, Flow, Lag, Output, Run, Stash, Tick};

use super::masks::MaskChanges;
use super::replica::{Replica, Scored};

/// What the first half of a step sends on.
pub(super) struct Gradients<'s> {
    /// This worker's contributions, for all workers.
    pub(super) parts: Stream<'s, Tick, Part>,
    /// Scores of this worker's samples.
    pub(super) scores: Flow<'s, ScoreRow>,
    /// Predicted classes of this worker's samples.
    pub(super) predictions: Flow<'s, PredictionRow>,
    /// Wakes this operator when a step has been applied.
    pub(super) activator: Activator,
}

/// Computes the parts of this worker's shards, one step at a time: the next begins when the last has been
/// applied and no delta can arrive for it any more.
pub(super) fn gradients<'s>(
    run: &Run<'s>,
    replica: &Rc<RefCell<Replica>>,
    batches: Flow<'s, Batch>,
    frozen: Flow<'s, FreezeRow>,
    masked: Flow<'s, MaskRow>,
) -> Gradients<'s> {
    let (workers, timings) = (run.workers(), run.timings().clone());
    let stop = run.services().stop.clone();
    let replica = Rc::clone(replica);
    let mut builder = OperatorBuilder::new("Gradients".to_owned(), run.scope());
    let activator = run.scope().activator_for(builder.operator_info().address);
    let mut batches = builder.new_input(batches, Pipeline);
    // Deltas reach the outputs only through batches.
    let mut frozen = builder.new_input_connection(frozen.broadcast(), Pipeline, []);
    let mut masked = builder.new_input_connection(masked.broadcast(), Pipeline, []);
    let from_batches = || [(0, Antichain::from_elem(Lag::default()))];
    let (parts_out, parts) = builder.new_output_connection::<Part, _>(from_batches());
    let mut parts_out = OutputBuilder::<_, NoopBuilder<Part>>::from(parts_out);
    let (mut scores_out, scores) = Output::connected(&mut builder, from_batches());
    let (mut faults_out, faults) = Output::connected(&mut builder, from_batches());
    let (mut predictions_out, predictions) = Output::connected(&mut builder, from_batches());
    let worker = run.worker() as u32;
    builder.build(move |_| {
        let mut queue: VecDeque<([Capability<Tick>; 4], Batch)> = VecDeque::new();
        let mut told = false;
        let mut freezes = Stash::<FreezeRow>::default();
        let mut masks = MaskChanges::default();
        move |frontiers| {
            batches.for_each(|capability, data| {
                let tick = *capability.least().expect("a batch has a tick");
                for batch in data.drain(..) {
                    queue.push_back(([0, 1, 2, 3].map(|output| capability.delayed(&tick, output)), batch));
                }
            });
            frozen.for_each(|capability, rows| freezes.add(&capability, rows));
            masked.for_each(|capability, rows| masks.add(&capability, rows));
            let replica = &mut *replica.borrow_mut();
            if replica.refused {
                queue.clear();
            }
            if replica.busy {
                return;
            }
            let Some((capabilities, _)) = queue.front() else { return };
            let tick = *capabilities[0].time();
            if frontiers[1].less_equal(&tick) || frontiers[2].less_equal(&tick) {
                return;
            }
            let (capabilities, batch) = queue.pop_front().expect("it has a front");
            while let Some((tick, changes)) = masks.next(tick) {
                timings.measure("mask", || replica.mask(tick, changes));
            }
            while let Some((_, rows)) = freezes.next(|due| *due <= tick) {
                replica.freeze(&rows);
            }
            replica.open(tick);
            let (contributions, (scores, predictions)) = match stop.cause() {
                Some(cause) if replica.works() => (replica.decline(tick, cause), Scored::default()),
                cause => {
                    // It owes no part that it could refuse, and may be the only one that was told: in a
                    // process of its own.
                    if let Some(cause) = cause.filter(|_| !std::mem::replace(&mut told, true)) {
                        let fault = Fault { tick, worker, stage: "gradients".to_owned(), cause };
                        faults_out.send(&capabilities, [fault]);
                    }
                    let stage = if batch.trains(tick.step) { "gradients" } else { "observe" };
                    timings.measure(stage, || replica.contribute(tick, &batch))
                }
            };
            replica.busy = true;
            replica.batch = Some((tick, batch));
            if !replica.works()
                && let Some(apply) = &replica.apply
            {
                apply.activate();
            }
            scores_out.send(&capabilities, scores);
            predictions_out.send(&capabilities, predictions);
            let mut output = parts_out.activate();
            let mut session = output.session_with_builder(&capabilities[0]);
            for (header, values) in contributions {
                session.give_container(&mut Part::new(workers, header, values));
            }
        }
    });
    run.halt_on(faults);
    Gradients { parts, scores, predictions, activator }
}
