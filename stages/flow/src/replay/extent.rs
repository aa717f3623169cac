//! How far a record goes: all workers, of all processes, know it from worker 0.
//!
//! A record that goes on is looked at anew, and one that was interrupted may be taken up again: two who look at different
//! moments may find that it has ended, and that it goes on. So one looks, and tells.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use spfde_data::segment::Extent;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Inspect;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;

use super::read::LOOK_AFTER;
use crate::run::Run;

/// Keeps [`Run::extent`] up to date, until the record is complete or the run halts.
///
/// # Panics
/// If the run has no record.
pub(super) fn agree(run: &Run<'_>) {
    let recording = Arc::clone(&run.recorded().expect("the run has a record").recording);
    let interrupted = Arc::clone(&run.services().interrupted);
    let looks = run.worker() == 0;
    let mut builder = OperatorBuilder::new("Extent".to_owned(), run.scope());
    let activator = run.scope().activator_for(builder.operator_info().address);
    let mut halts = builder.new_input_connection(run.halts(), Pipeline, []);
    let mut storage = builder.new_input_connection(run.storage_faults(), Pipeline, []);
    let (output, extents) = builder.new_output_connection::<Vec<(u32, bool)>, _>([]);
    let mut output = OutputBuilder::from(output);
    builder.build(move |mut capabilities| {
        let mut held = capabilities.pop().filter(|_| looks);
        let mut told = Extent { epochs: 0, complete: false };
        let mut halted = false;
        move |_| {
            halts.for_each(|_, _| halted = true);
            storage.for_each(|_, _| halted = true);
            let Some(capability) = &held else { return };
            // Whoever reads sees the same error, and names it.
            let extent = recording.look().unwrap_or(told);
            if extent != told {
                told = extent;
                output.activate().session(capability).give((extent.epochs, extent.complete));
            }
            if extent.complete || halted || interrupted.load(Ordering::Relaxed) {
                held = None;
            } else {
                activator.activate_after(LOOK_AFTER);
            }
        }
    });
    let known = Rc::clone(run.extent());
    extents.broadcast().inspect(move |(epochs, complete)| {
        known.set(Extent { epochs: *epochs, complete: *complete });
    });
}
