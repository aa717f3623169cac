//! Checkpoints: what a run needs to go on from the start of an epoch, and how it goes on.
//!
//! A checkpoint is a cut through the graph at the close of an epoch. Each stage writes its own part when it
//! passes that moment, without waiting for the others, while training goes on: the state that it has then;
//! and each loop writes the decisions that are on their way round it, as the rows that the next epoch's trace
//! will have. One operator of each worker puts these parts into files, and the commit of the epoch names
//! them. So a checkpoint of epoch e counts only together with all segments before e.
//!
//! | part | by | what |
//! |---|---|---|
//! | weights | `train`, worker 0 | weights, masks, momenta, batch-norm statistics, frozen blocks |
//! | `active-set` | `load` | the active samples and their weights in the loss |
//! | `standings` | `sieve` | last entries and departures by sample |
//! | `sieve-policy` | `sieve` | what the sieve policy saves by sample |
//! | `frozen` | `freeze` | when each block was frozen so far |
//! | `freeze-policy` | `freeze` | what the freeze policy saves by block |
//! | `mask-policy` | `mask` | what the mask policy saves by layer |
//! | `best` | worker 0 | the epoch of the best accuracy on the validation set |
//! | `sieves`, `freezes`, `masks` | the loops | decisions that take effect at the checkpoint's epoch |
//!
//! All of it is keyed by sample, layer or block, nothing by worker: the processes that go on may have
//! another number of workers. Everything else follows from the configuration and the epoch.

mod best;
mod keep;
mod products;
mod rows;
mod snapshot;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use spfde_data::segment::Result;
use spfde_data::{Checkpoint, Column, FrozenBlocks, Writer};
use spfde_model::Tensor;

use crate::Settings;

pub(crate) use best::Best;
pub(crate) use keep::{Keeper, Kept};
pub(crate) use rows::{
    ActiveRow, BestRow, FREEZE_POLICY, FrozenRow, MASK_POLICY, ProductRow, SIEVE_POLICY, StandingRow,
};
pub use snapshot::Snapshot;

/// Where the parts of checkpoints go.
pub trait CheckpointStore: Send + Sync {
    /// Starts the part of a table that `worker` has at the start of `epoch`.
    ///
    /// # Errors
    /// If it cannot be stored.
    fn table(&self, table: &str, columns: &[Column], epoch: u32, worker: u32) -> Result<Writer>;

    /// Stores the weights at the start of `epoch`, when these blocks are frozen.
    ///
    /// # Errors
    /// If they cannot be stored.
    fn weights(&self, epoch: u32, tensors: &[Tensor], frozen: &FrozenBlocks) -> Result<Checkpoint>;
}

/// That a run keeps checkpoints, and when.
#[derive(Clone)]
pub struct Checkpoints {
    /// Epochs between two of them; 0: none but the weights at the end.
    pub every: u32,
    /// Where they go.
    pub store: Arc<dyn CheckpointStore>,
}

/// When there are checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    /// `None` for a run that keeps none.
    every: Option<u32>,
    epochs: u32,
    /// Whether every epoch may be the best on the validation set.
    validates: bool,
    /// Whether every epoch may be the last.
    early: Rc<Cell<bool>>,
}

impl Due {
    pub(crate) fn new(checkpoints: Option<&Checkpoints>, settings: &Settings) -> Self {
        let every = checkpoints.map(|checkpoints| checkpoints.every);
        let validates = !settings.data.validation.is_empty();
        Self { every, epochs: settings.epochs, validates, early: Rc::default() }
    }

    /// Whether training goes on from a checkpoint at the start of `epoch`: all parts are wanted.
    pub(crate) fn at(&self, epoch: u32) -> bool {
        let every = match self.early.get() {
            true => self.every.map_or(0, |_| 1),
            false => self.every.unwrap_or(0),
        };
        every > 0 && epoch > 0 && epoch < self.epochs && epoch.is_multiple_of(every)
    }

    /// Whether weights are wanted: of every checkpoint, and at the end.
    pub(crate) fn weights_at(&self, epoch: u32) -> bool {
        self.at(epoch) || self.every.is_some() && epoch == self.epochs
    }

    /// Whether weights may be wanted: also of each epoch that may be the best so far.
    pub(crate) fn weights_may_be_at(&self, epoch: u32) -> bool {
        self.weights_at(epoch) || self.validates && self.every.is_some()
    }

    /// From now on every epoch may be the last.
    pub(crate) fn may_end_early(&self) {
        self.early.set(true);
    }
}
