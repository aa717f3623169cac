//! Early stopping: a run ends when the accuracy on the validation set has not risen for some epochs.

use spfde_data::{EndingRow, EpochRow};

use crate::checkpoint::Best;
use crate::{Flow, Run};

/// Says that the run ends at the close of the first epoch that lies `patience` epochs behind the best one.
/// That is the first with the greatest accuracy on the validation set. Give the result to [`Run::end_on`].
///
/// The best epoch so far is part of every checkpoint. Without a validation set the run never ends early.
///
/// # Panics
/// If `patience` is 0.
pub fn patience<'s>(run: &Run<'s>, epochs: Flow<'s, EpochRow>, patience: u32) -> Flow<'s, EndingRow> {
    assert!(patience > 0, "a run that ends after no epoch trains nothing");
    // Worker 0 alone has rows of epochs, and remembers the best.
    let mut best = Best::new(run.resumed().filter(|_| run.worker() == 0));
    let last = run.epochs() - 1;
    let mut window = run.window("Patience");
    let epochs = window.own(epochs);
    let (mut endings_out, endings) = window.output();
    window.build(move |close| {
        for row in epochs.through(close.epoch) {
            best.rises(&row);
        }
        let best = best.row(close.epoch + 1);
        let over = best.iter().filter(|best| close.epoch < last && close.epoch - best.best >= patience);
        let ending = over.map(|best| EndingRow {
            epoch: close.epoch,
            reason: format!(
                "the accuracy on the validation set has not risen since epoch {}, when it was {:.2} % \
                 (train.patience = {patience})",
                best.best + 1,
                100.0 * best.accuracy
            ),
        });
        endings_out.give(close, ending.collect::<Vec<_>>());
    });
    endings
}
