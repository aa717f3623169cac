//! What people read before and after a run. Nothing here prints: every function returns its text.

pub mod epochs;
pub(crate) mod evaluation;
pub(crate) mod gradients;
pub mod grid;
pub mod guessing;
pub mod memory;
pub mod replay;
pub mod schedule;
pub mod summary;
pub mod table;

use spfde_data::EpochRow;

/// Epochs in a table at most: evenly spaced, the last among them.
const ROWS: usize = 20;

/// The epochs that a table of `count` of them shows.
pub(crate) fn shown_epochs(count: usize) -> impl Iterator<Item = usize> {
    let every = count.div_ceil(ROWS).max(1);
    (0..count).filter(move |epoch| (epoch + 1) % every == 0 || epoch + 1 == count)
}

/// FLOPs of training, forward and backward; not −0 without epochs, as a sum would be.
fn flops<'a>(rows: impl IntoIterator<Item = &'a EpochRow>) -> f64 {
    rows.into_iter().fold(0.0, |sum, row| sum + (row.forward_flops + row.backward_flops) as f64)
}

/// FLOPs of training as a share of dense training; 0 without epochs.
pub(crate) fn share_of_dense<'a>(rows: impl IntoIterator<Item = &'a EpochRow> + Clone) -> f64 {
    let dense: f64 = rows.clone().into_iter().map(|row| row.dense_flops as f64).sum();
    if dense > 0.0 { flops(rows) / dense } else { 0.0 }
}
