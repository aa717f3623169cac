//! What the rows of layers say is what the deltas add up to.

use spfde_data::rows::LayerRow;
use spfde_data::table::Row;

use super::masks::Sums;
use super::{Findings, Trace};
use crate::error::Error;

/// Compares the rows of `layers` with the sums of the deltas. A replay has none.
pub(super) fn check(trace: &Trace<'_>, sums: &[Sums], findings: &mut Findings) -> Result<(), Error> {
    if trace.is_replay() {
        return Ok(());
    }
    for (epoch, sums) in trace.epochs().zip(sums) {
        let layers = sums.nonzero.len();
        let layer = |row: &LayerRow| row.layer;
        let Some(rows) = trace.by_layer(epoch, layers, layer, findings)? else { continue };
        for row in rows {
            let place = (LayerRow::STREAM, epoch, usize::from(row.layer));
            sums.check_nonzero(place, row.nonzero, findings);
            sums.check_frozen(place, row.frozen, findings);
        }
    }
    Ok(())
}
