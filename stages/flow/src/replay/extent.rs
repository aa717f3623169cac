//! How far a record goes: all workers, of all processes, know it from worker 0.
//!
//! A record that goes on is looked at anew, and one that was interrupted may be taken up again: two who look at different
//! moments may find that it has ended, and that it goes on. So one looks, and tells; whoever sees another record, or does
//! not come to see what was told, says so.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use spfde_data::segment::{Extent, RecordingError};
use spfde_data::words::counted;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Inspect;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;

use super::read::LOOK_AFTER;
use crate::run::Run;

/// How long what one machine has committed may take until another sees it in a shared file system.
const APPEARS: Duration = Duration::from_secs(30);

/// How far a record goes, as worker 0 has seen it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agreed {
    /// Epochs that can be read.
    pub(crate) epochs: u32,
    /// Whether no more will come.
    pub(crate) complete: bool,
    /// What these epochs are made of.
    pub(crate) content: String,
}

impl Agreed {
    /// What there is to agree on, if `extent` is what one sees of something made of `content`.
    pub(crate) fn new(extent: Extent, content: impl FnOnce(u32) -> String) -> Self {
        let Extent { epochs, complete } = extent;
        Self { epochs, complete, content: content(epochs) }
    }

    /// Whether this is all that somebody knows who sees so much.
    pub(crate) fn is(&self, extent: Extent) -> bool {
        (self.epochs, self.complete) == (extent.epochs, extent.complete)
    }
}

/// Compares what this process sees of a record with what was agreed on.
#[derive(Default)]
pub(crate) struct Sight {
    /// Epochs that have been compared.
    compared: Option<u32>,
    /// Since when there should be more to see.
    waits: Option<Instant>,
}

impl Sight {
    /// Whether all that was agreed on can be seen; it may take a while.
    ///
    /// # Errors
    /// If this process sees another record, or still does not see it all after a while.
    pub(crate) fn compare(
        &mut self,
        agreed: &Agreed,
        seen: Extent,
        content: impl FnOnce(u32) -> String,
    ) -> Result<bool, RecordingError> {
        let epochs = agreed.epochs;
        if self.compared == Some(epochs) {
            return Ok(true);
        }
        if seen.epochs < epochs {
            if self.waits.get_or_insert_with(Instant::now).elapsed() < APPEARS {
                return Ok(false);
            }
            return Err(RecordingError(format!(
                "this process sees {} of the {} that process 0 sees; all processes have to see the same run",
                seen.epochs,
                counted(epochs, "epoch")
            )));
        }
        self.waits = None;
        if content(epochs) != agreed.content {
            return Err(RecordingError(format!(
                "the first {epochs} epochs are others than those that process 0 sees; give all processes the same run"
            )));
        }
        self.compared = Some(epochs);
        Ok(true)
    }
}

/// Keeps [`Run::agreed`] up to date, until the record is complete or the run halts.
///
/// # Panics
/// If the run has no record.
pub(super) fn agree(run: &Run<'_>) {
    let recording = Arc::clone(&run.recorded().expect("the run has a record").recording);
    let stop = run.services().stop.clone();
    let looks = run.worker() == 0;
    let mut builder = OperatorBuilder::new("Extent".to_owned(), run.scope());
    let activator = run.scope().activator_for(builder.operator_info().address);
    let mut halts = builder.new_input_connection(run.halts(), Pipeline, []);
    let mut storage = builder.new_input_connection(run.storage_faults(), Pipeline, []);
    let (output, agreed) = builder.new_output_connection::<Vec<Agreed>, _>([]);
    let mut output = OutputBuilder::from(output);
    builder.build(move |mut capabilities| {
        let mut held = capabilities.pop().filter(|_| looks);
        let mut told = Agreed::default();
        let mut halted = false;
        move |_| {
            halts.for_each(|_, _| halted = true);
            storage.for_each(|_, _| halted = true);
            let Some(capability) = &held else { return };
            // Whoever reads on this worker sees the same error, and names it.
            if let Ok(extent) = recording.look()
                && !told.is(extent)
            {
                told = Agreed::new(extent, |epochs| recording.content(epochs));
                output.activate().session(capability).give(told.clone());
            }
            if told.complete || halted || stop.is_wanted() {
                held = None;
            } else {
                activator.activate_after(LOOK_AFTER);
            }
        }
    });
    let known = Rc::clone(run.agreed());
    agreed.broadcast().inspect(move |agreed| *known.borrow_mut() = agreed.clone());
}
