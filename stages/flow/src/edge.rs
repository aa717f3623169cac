//! The edges on which faults go round.

use std::cell::RefCell;
use std::rc::Rc;

use timely::dataflow::Scope;
use timely::dataflow::operators::feedback::Handle;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Concatenate, ConnectLoop, Feedback, Inspect};

use crate::{Fault, Flow, Lag, Tick};

/// A feedback edge that many stages write faults to.
pub(crate) struct Edge<'s> {
    handle: RefCell<Option<Handle<'s, Tick, Vec<Fault>>>>,
    sources: RefCell<Vec<Flow<'s, Fault>>>,
    stream: Flow<'s, Fault>,
}

impl<'s> Edge<'s> {
    /// An edge of length `lag`, to be closed.
    pub(crate) fn new(scope: Scope<'s, Tick>, lag: Lag) -> Self {
        let (handle, stream) = scope.feedback(lag);
        Self { handle: RefCell::new(Some(handle)), sources: RefCell::default(), stream }
    }

    /// Connects everything written so far, sent to all workers; what passes is noted in `outcome`.
    pub(crate) fn close(&self, scope: Scope<'s, Tick>, outcome: &Rc<RefCell<Option<Fault>>>) {
        let outcome = Rc::clone(outcome);
        let note = move |fault: &Fault| {
            let mut outcome = outcome.borrow_mut();
            if outcome.as_ref().is_none_or(|known| fault < known) {
                *outcome = Some(fault.clone());
            }
        };
        let all = scope.concatenate(self.sources.take()).broadcast();
        let handle = self.handle.take().expect("an edge is closed once");
        all.inspect(note).connect_loop(handle);
    }

    /// Adds what some stage writes.
    pub(crate) fn add(&self, faults: Flow<'s, Fault>) {
        self.sources.borrow_mut().push(faults);
    }

    /// What has been added so far, before the edge, each on the worker where it arose.
    pub(crate) fn written(&self, scope: Scope<'s, Tick>) -> Flow<'s, Fault> {
        scope.concatenate(self.sources.borrow().clone())
    }

    /// What comes off the edge, on every worker.
    pub(crate) fn stream(&self) -> Flow<'s, Fault> {
        self.stream.clone()
    }
}
