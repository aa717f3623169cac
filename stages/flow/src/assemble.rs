//! What is built of a run's stages: tables, their commit, the closed graph.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use spfde_data::Row;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Concatenate, Inspect};

use crate::run::Parts;
use crate::{Fault, Flow, Run, Trained, trace};

/// What is left of a run on one worker when its graph is closed: look into it when the run is over.
pub struct Finished {
    fault: Rc<RefCell<Option<Fault>>>,
}

impl Finished {
    /// Why the run ended early, if it did.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.borrow().clone()
    }
}

impl<'s> Run<'s> {
    /// Writes a stream to the table `R::STREAM` of the trace, one segment per epoch and worker.
    ///
    /// Each row has to be in the stream of exactly one worker, at the tick of its columns `epoch` and `step`
    /// (without a `step`: anywhere in its epoch). Segments of an epoch close when all of it has passed.
    ///
    /// # Panics
    /// If the run has a table of this name already: two would write the same files.
    pub fn table<R: Row>(&self, rows: Flow<'s, R>) {
        let table = move |run: &Run<'s>, complete| trace::sink(run, rows, complete);
        let before = self.parts().tables.insert(R::STREAM, Box::new(table));
        assert!(before.is_none(), "the run has a table `{}` already", R::STREAM);
    }

    /// Records what training, or a replay, produced: its streams become tables, and its complete epochs are
    /// the ones that are committed. Of a replay only what it adds to its source is written.
    ///
    /// # Panics
    /// If called twice.
    pub fn trace(&self, trained: &Trained<'s>) {
        // A replay has its source for these.
        if !self.replays() {
            self.table(trained.scores.clone());
            self.table(trained.gradients.clone());
            self.table(trained.layers.clone());
            if self.settings().predictions {
                self.table(trained.predictions.clone());
            }
            if self.settings().probe.is_some() {
                self.table(trained.similarity.clone());
            }
        }
        self.table(trained.timings.clone());
        self.table(trained.epochs.clone());
        let observer = || Arc::clone(&self.services().observer);
        let (steps, epochs, timings) = (observer(), observer(), observer());
        trained.steps.clone().inspect(move |report| steps.step(report));
        trained.epochs.clone().inspect(move |row| epochs.epoch(row));
        trained.timings.clone().inspect(move |row| timings.timing(row));
        let before = self.parts().epochs.replace(trained.epochs.clone());
        assert!(before.is_none(), "a run has one trace");
    }

    /// Closes the graph. Only epochs that the traced training completes are committed.
    pub fn finish(self) -> Finished {
        let Parts { tables, epochs, .. } = std::mem::take(&mut *self.parts());
        let epochs = epochs.unwrap_or_else(|| self.scope().concatenate([]));
        let complete = epochs.broadcast();
        let mut segments = Vec::new();
        for table in tables.into_values() {
            segments.push(table(&self, complete.clone()));
        }
        let segments = self.scope().concatenate(segments);
        let kept = self.scope().concatenate(self.keeper().take());
        let checkpoints = trace::save(&self, kept, complete.clone());
        let unwritten = self.storage_written();
        trace::commit(&self, segments, checkpoints, unwritten, self.ended(), complete);
        Finished { fault: self.close_edges() }
    }
}
