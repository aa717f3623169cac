//! Acting once per epoch, when everything of it has arrived.
//!
//! [`Windowed`](crate::windowed::Windowed) builds the operators that do; here is what they, and those with a
//! shape of their own, are made of.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use timely::dataflow::operators::InputCapability;

use crate::{Fault, Tick};

/// How far a run goes: to its last epoch (of a record that goes on it is not known until the record is
/// complete), or, once it is known to stop, to the epoch in which it does. Stages wait for nothing beyond, so
/// a stop takes no longer for the epochs that it spares.
#[derive(Clone)]
pub(crate) struct Horizon {
    start: u32,
    epochs: Rc<dyn Fn() -> u32>,
    fault: Rc<RefCell<Option<Fault>>>,
}

impl Horizon {
    /// The horizon of a run that begins, or goes on, at epoch `start`, and whose first fault will be found in
    /// `fault`. `epochs` says how many there are, at most, as far as it is known: never more than it said
    /// before.
    pub(crate) fn new(
        start: u32,
        epochs: impl Fn() -> u32 + 'static,
        fault: &Rc<RefCell<Option<Fault>>>,
    ) -> Self {
        Self { start, epochs: Rc::new(epochs), fault: Rc::clone(fault) }
    }

    /// Its first epoch.
    pub(crate) fn start(&self) -> u32 {
        self.start
    }

    /// The first epoch that will not come, whatever stops.
    pub(crate) fn epochs(&self) -> u32 {
        (self.epochs)()
    }

    /// The first epoch behind it.
    pub(crate) fn end(&self) -> u32 {
        let stop = self.fault.borrow().as_ref().map(|fault| fault.tick.epoch.saturating_add(1));
        stop.map_or_else(|| (self.epochs)(), |stop| stop.min((self.epochs)()))
    }
}

/// Records by tick, until they are due.
pub(crate) struct Stash<D>(BTreeMap<Tick, Vec<D>>);

impl<D> Default for Stash<D> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<D> Stash<D> {
    /// Keeps the records of a message, which leaves `records` empty.
    pub(crate) fn add(&mut self, capability: &InputCapability<Tick>, records: &mut Vec<D>) {
        if let Some(tick) = capability.least() {
            self.0.entry(*tick).or_default().append(records);
        }
    }

    /// Takes the earliest tick's records for which `due` holds.
    pub(crate) fn next(&mut self, due: impl Fn(&Tick) -> bool) -> Option<(Tick, Vec<D>)> {
        let first = self.0.first_entry().filter(|entry| due(entry.key()))?;
        Some(first.remove_entry())
    }

    /// Takes the records of all ticks up to the close of `epoch`, in order of ticks.
    pub(crate) fn through(&mut self, epoch: u32) -> impl Iterator<Item = D> + use<D> {
        let later = self.0.split_off(&Tick::new(epoch.saturating_add(1), 0));
        std::mem::replace(&mut self.0, later).into_values().flatten()
    }
}
