//! Acting once per epoch, when everything of it has arrived.
//!
//! [`Windowed`](crate::windowed::Windowed) builds the operators that do; here is what they, and those with a
//! shape of their own, are made of.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use timely::dataflow::operators::{Capability, InputCapability};
use timely::progress::frontier::MutableAntichain;

use crate::fault::Fault;
use crate::tick::Tick;

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

    /// The first epoch behind it.
    pub(crate) fn end(&self) -> u32 {
        let stop = self.fault.borrow().as_ref().map(|fault| fault.tick.epoch.saturating_add(1));
        stop.map_or_else(|| (self.epochs)(), |stop| stop.min((self.epochs)()))
    }
}

/// Capabilities held at the close of the epoch that is being gathered.
///
/// A stage that decides once per epoch has to speak also after an epoch in which it heard nothing, so it
/// holds its own capabilities instead of keeping those of messages. They are given up at the horizon, which
/// ends the run.
pub(crate) struct Windows {
    capabilities: Vec<Capability<Tick>>,
    epoch: u32,
    horizon: Horizon,
    ended: bool,
}

impl Windows {
    /// Holds `capabilities`, one for each output, at the close of the run's first epoch.
    pub(crate) fn new(capabilities: Vec<Capability<Tick>>, horizon: Horizon) -> Self {
        let mut windows = Self { capabilities, epoch: horizon.start, horizon, ended: false };
        windows.hold();
        windows
    }

    /// The epoch that is complete: every input has passed its close. Call [`Self::advance`] when done with
    /// it.
    pub(crate) fn complete(&mut self, frontiers: &[MutableAntichain<Tick>]) -> Option<u32> {
        if self.ended() {
            return None;
        }
        let close = Tick::close_of(self.epoch);
        let passed = frontiers.iter().all(|frontier| !frontier.less_equal(&close));
        passed.then_some(self.epoch)
    }

    /// Whether the capabilities have been given up. They are, too, once it is known that the epoch that is
    /// being gathered will not come.
    pub(crate) fn ended(&mut self) -> bool {
        if !self.ended && self.epoch >= (self.horizon.epochs)() {
            self.hold();
        }
        self.ended
    }

    /// The epoch that is being gathered.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The capabilities, one for each output, at the close of the current epoch.
    pub(crate) fn capabilities(&self) -> &[Capability<Tick>] {
        &self.capabilities
    }

    /// The capability of an output at the close of the current epoch.
    pub(crate) fn capability(&self, output: usize) -> &Capability<Tick> {
        &self.capabilities[output]
    }

    /// Goes on to the next epoch, or gives up the capabilities at the horizon.
    pub(crate) fn advance(&mut self) {
        self.epoch += 1;
        self.hold();
    }

    fn hold(&mut self) {
        if self.epoch < self.horizon.end() {
            let close = Tick::close_of(self.epoch);
            self.capabilities.iter_mut().for_each(|capability| capability.downgrade(&close));
        } else {
            self.ended = true;
            self.capabilities.clear();
        }
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
    pub(crate) fn new() -> Self {
        Self::default()
    }

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
