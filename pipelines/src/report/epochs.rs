//! The table of a run, epoch by epoch, as it grows.

use spfde_data::EpochRow;

use super::share_of_dense;
use super::table::{Column, Growing, or_dash, percent, precise};
use crate::Experiment;

/// A row of the table: an epoch, and the seconds that the epochs up to it took, if they are known.
pub type Line = (EpochRow, Option<f64>);

/// The columns; that of the validation set is only there if there is one.
const COLUMNS: [Column<'static, Line>; 11] = [
    (("epoch", 0), &|(row, _)| (row.epoch + 1).to_string()),
    (("loss", 0), &|(row, _)| or_dash(row.train_loss, loss)),
    (("accuracy", 2), &|(row, _)| or_dash(row.train_accuracy, precise)),
    (("test loss", 6), &|(row, _)| or_dash(row.test_loss, loss)),
    (("test accuracy", 0), &|(row, _)| or_dash(row.test_accuracy, precise)),
    ((VALIDATION, 0), &|(row, _)| or_dash(row.validation_accuracy, precise)),
    (("samples", 3), &|(row, _)| row.active_samples.to_string()),
    (("weights", 5), &|(row, _)| row.nonzero.to_string()),
    (("frozen layers", 4), &|(row, _)| row.frozen_layers.to_string()),
    (("FLOPs of dense", 1), &|(row, _)| percent(share_of_dense([row]))),
    (("elapsed", 1), &|(_, elapsed)| or_dash(*elapsed, |elapsed| format!("{elapsed:.0} s"))),
];

/// The columns of a run that has a validation set, or not.
fn columns(validates: bool) -> Vec<Column<'static, Line>> {
    COLUMNS.into_iter().filter(|((head, _), _)| validates || *head != VALIDATION).collect()
}

/// The head of the column of the validation set.
const VALIDATION: &str = "validation accuracy";

/// A loss; one that is large, such as that of a run that has diverged, with its magnitude.
pub(crate) fn loss(value: f64) -> String {
    if value < 1e3 { format!("{value:.3}") } else { format!("{value:.1e}") }
}

/// The table of a run, to which rows are added as epochs are committed.
pub(crate) struct Epochs {
    table: Growing,
    /// Whether there is a validation set.
    validates: bool,
}

impl Epochs {
    /// The table of an experiment, without a row.
    pub(crate) fn new(experiment: &Experiment) -> Self {
        let plan = experiment.plan();
        let weights = |epoch| plan.nonzero(epoch).iter().map(|count| u64::from(*count)).sum();
        let widest = EpochRow {
            epoch: plan.epochs - 1,
            train_loss: Some(100.0),
            train_accuracy: Some(1.0),
            test_loss: Some(100.0),
            test_accuracy: Some(1.0),
            validation_accuracy: Some(1.0),
            active_samples: plan.samples,
            nonzero: (0..plan.epochs).map(weights).max().unwrap_or(0),
            forward_flops: 1,
            dense_flops: 1,
            ..EpochRow::default()
        };
        let validates = !experiment.settings().data.validation.is_empty();
        Self { table: Growing::new(&columns(validates), &(widest, Some(99_999.0))), validates }
    }

    /// The line of heads.
    pub(crate) fn heads(&self) -> String {
        self.table.heads()
    }

    /// The line of an epoch.
    pub(crate) fn line(&self, line: &Line) -> String {
        self.table.line(&columns(self.validates), line)
    }
}
