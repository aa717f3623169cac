//! Which epoch is the best so far: the first with the greatest accuracy on the validation set.

use spfde_data::EpochRow;

use super::{BestRow, Snapshot};

/// The best epoch so far, as each operator remembers it that asks.
pub(crate) struct Best {
    best: Option<BestRow>,
    /// Whether nothing is known of the epochs before: a checkpoint of a time before it was kept lacks them.
    unknown: bool,
}

impl Best {
    /// At the beginning of a run, or where it goes on.
    pub(crate) fn new(resumed: Option<&Snapshot>) -> Self {
        let best = resumed.and_then(|snapshot| snapshot.rows::<BestRow>().pop());
        Self { unknown: resumed.is_some() && best.is_none(), best }
    }

    /// Takes the next epoch: whether it is the best so far.
    pub(crate) fn rises(&mut self, row: &EpochRow) -> bool {
        let Some(accuracy) = row.validation_accuracy.filter(|_| !self.unknown) else { return false };
        let rises = self.best.as_ref().is_none_or(|best| accuracy > best.accuracy);
        if rises {
            self.best = Some(BestRow { epoch: row.epoch + 1, best: row.epoch, accuracy });
        }
        rises
    }

    /// The best epoch, if there is one, for the checkpoint at the start of `epoch`.
    pub(crate) fn row(&self, epoch: u32) -> Option<BestRow> {
        self.best.clone().map(|best| BestRow { epoch, ..best })
    }
}
