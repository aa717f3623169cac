//! How stages hand over their parts of a checkpoint.

use std::cell::RefCell;
use std::rc::Rc;

use spfde_data::{Column, Columns, FrozenBlocks, Row};
use spfde_model::Tensor;

use super::Due;
use crate::windowed::Moment;
use crate::{Flow, Ground, Output, Windowed};

/// A part of the checkpoint at the start of an epoch, sent before the close of the epoch before it.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// Rows of a table.
    Rows {
        /// The table.
        table: &'static str,
        /// Its columns.
        columns: Vec<Column>,
        /// The rows.
        rows: Columns,
    },
    /// The network.
    Weights {
        /// Its state.
        tensors: Vec<Tensor>,
        /// The frozen blocks.
        frozen: FrozenBlocks,
    },
}

impl Kept {
    /// Rows of the table `R::STREAM`.
    pub(crate) fn rows<R: Row>(rows: impl IntoIterator<Item = R>) -> Self {
        Self::Rows { table: R::STREAM, columns: R::columns(), rows: Columns::from_rows(rows) }
    }
}

type Streams<'s> = Rc<RefCell<Vec<Flow<'s, Kept>>>>;

/// Collects the parts that the stages of one worker hand over.
#[derive(Clone)]
pub(crate) struct Keeper<'s> {
    due: Due,
    streams: Streams<'s>,
}

impl<'s> Keeper<'s> {
    pub(crate) fn new(due: Due) -> Self {
        Self { due, streams: Rc::default() }
    }

    /// When there are checkpoints.
    pub(crate) fn due(&self) -> Due {
        self.due.clone()
    }

    /// From now on every epoch may be the last.
    pub(crate) fn may_end_early(&self) {
        self.due.may_end_early();
    }

    /// Keeps what a stage sends.
    pub(crate) fn keep(&self, kept: Flow<'s, Kept>) {
        self.streams.borrow_mut().push(kept);
    }

    /// Keeps the decisions that take effect at the epoch of a checkpoint, each on the worker that took it.
    pub(crate) fn keep_decisions<R: Row>(&self, ground: &Ground<'s>, decisions: Flow<'s, R>) {
        let mut window = ground.window(format!("Keep {}", R::STREAM));
        let decisions = window.own(decisions);
        let mut kept = self.output(&mut window);
        window.build(move |close| {
            let mut rows = decisions.through(close.epoch);
            // What took effect within the epoch is history.
            rows.retain(|row| row.order()[0] > u64::from(close.epoch));
            kept.give(close, |_| vec![Kept::rows(rows)]);
        });
    }

    /// Adds to an operator an output for its stage's parts.
    pub(crate) fn output(&self, window: &mut Windowed<'s>) -> KeptOutput {
        let (output, kept) = window.output();
        self.keep(kept);
        KeptOutput { output, due: self.due.clone() }
    }

    /// Everything that was handed over.
    pub(crate) fn take(&self) -> Vec<Flow<'s, Kept>> {
        self.streams.take()
    }
}

/// The output for a stage's parts of checkpoints.
pub(crate) struct KeptOutput {
    output: Output<Kept>,
    due: Due,
}

impl KeptOutput {
    /// Sends what `kept` makes for the start of the next epoch, if there is a checkpoint.
    pub(crate) fn give(&mut self, moment: &Moment<'_>, kept: impl FnOnce(u32) -> Vec<Kept>) {
        let next = moment.epoch + 1;
        if self.due.at(next) {
            self.output.give(moment, kept(next));
        }
    }
}
