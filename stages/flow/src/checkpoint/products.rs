//! What a checkpoint has of the probe.

use super::ProductRow;
use crate::Settings;

/// That what was saved fits a run: every layer with all of its pairs, once, or none; in words if it does not.
pub(super) fn check(settings: &Settings, epoch: u32, mut rows: Vec<ProductRow>) -> Result<(), String> {
    let samples = settings.probe.map_or(0, |probe| probe.samples.min(settings.plan.samples)) as usize;
    let layers = settings.plan.architecture.layers.len();
    rows.sort_by_key(|row| (row.layer, row.pair));
    let pairs = (samples * (samples + 1) / 2).max(1);
    let is_next = |(place, row): (usize, &ProductRow)| {
        (row.layer as usize, row.pair as usize) == (place / pairs, place % pairs) && row.reference < epoch
    };
    let is_one = rows.iter().all(|row| row.reference == rows[0].reference);
    match rows.is_empty() || (rows.len() == layers * pairs && is_one && rows.iter().enumerate().all(is_next))
    {
        true => Ok(()),
        false => Err("probe: it has not one product for each pair of samples of each layer".to_owned()),
    }
}
