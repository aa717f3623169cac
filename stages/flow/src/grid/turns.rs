//! Acting once an epoch, as long as there is something to do.

use std::rc::Rc;

use timely::dataflow::Scope;
use timely::dataflow::operators::Capability;
use timely::progress::frontier::MutableAntichain;

use crate::tick::Tick;
use crate::window::{Horizon, Windows};

use super::watch::Watch;

/// [`Windows`] that stand still once something has failed, and end when all workers know of it.
pub(super) struct Turns {
    windows: Windows,
    watch: Rc<Watch>,
}

impl Turns {
    /// The turns of the operator at `address`, which holds `capabilities`.
    pub(super) fn new(
        scope: Scope<'_, Tick>,
        address: Rc<[usize]>,
        capabilities: Vec<Capability<Tick>>,
        watch: &Rc<Watch>,
    ) -> Self {
        watch.wake(scope.activator_for(address));
        let known = Rc::clone(watch);
        let horizon = Horizon::new(0, move || known.epochs(), &Rc::default());
        Self { windows: Windows::new(capabilities, horizon), watch: Rc::clone(watch) }
    }

    /// The epoch whose turn it is, if anybody's turn comes still.
    pub(super) fn epoch(&mut self) -> Option<u32> {
        if self.watch.is_over() {
            self.windows.give_up();
        }
        (!self.windows.ended() && !self.watch.grid.failed()).then(|| self.windows.epoch())
    }

    /// The epoch that is complete: every input has passed its close. Call [`Self::advance`] when done with it.
    pub(super) fn complete(&mut self, frontiers: &[MutableAntichain<Tick>]) -> Option<u32> {
        self.epoch()?;
        self.windows.complete(frontiers)
    }

    /// The capability of an output at the close of the current epoch.
    pub(super) fn capability(&self, output: usize) -> &Capability<Tick> {
        self.windows.capability(output)
    }

    /// Goes on to the next epoch, unless something has failed: then nobody is told that this one is done.
    pub(super) fn advance(&mut self) {
        if !self.watch.grid.failed() {
            self.windows.advance();
        }
    }
}
