//! What a replay adds to its decisions: the cost of every layer, and what the record lacks.

use spfde_data::architecture::Architecture;
use spfde_data::files::manifest::ReplayOf;
use spfde_data::rows::{CensoredRow, CostRow};
use spfde_data::segment::Densities;
use spfde_data::table::Row;
use spfde_data::words::counted;

use super::masks::Sums;
use super::{Findings, Trace};
use crate::error::Error;

/// Compares the rows of `costs` with the deltas and with the sums of `epochs`, and looks at those of `censored`. Where
/// weights are those of a density schedule, no delta says how many they are: then `sums` takes them from `costs`.
pub(super) fn check(
    trace: &Trace<'_>,
    source: &ReplayOf,
    architecture: &Architecture,
    sums: &mut [Sums],
    findings: &mut Findings,
) -> Result<(), Error> {
    let layers = architecture.layers.len();
    for (epoch, sums) in trace.epochs().zip(sums) {
        let layer = |row: &CostRow| row.layer;
        let Some(rows) = trace.by_layer(epoch, layers, layer, findings)? else { continue };
        for row in &rows {
            let layer = usize::from(row.layer);
            let place = (CostRow::STREAM, epoch, layer);
            let most = architecture.layers[layer].weights() as u64;
            match source.densities {
                Densities::Scheduled if u64::from(row.nonzero) <= most => {
                    sums.nonzero[layer] = u64::from(row.nonzero);
                }
                _ => sums.check_nonzero(place, row.nonzero, findings),
            }
            sums.check_frozen(place, row.frozen, findings);
        }
        let Some(whole) = trace.epoch(epoch, findings)? else { continue };
        let parts = [
            ("forward_flops", whole.forward_flops, rows.iter().map(|row| row.forward_flops).sum::<u64>()),
            ("backward_flops", whole.backward_flops, rows.iter().map(|row| row.backward_flops).sum()),
        ];
        for (column, found, expected) in parts.into_iter().filter(|(_, found, expected)| found != expected) {
            findings.push(|| {
                format!("epochs: epoch {epoch}: {column} is {found}, the layers' add up to {expected}")
            });
        }
        if [whole.train_loss, whole.train_accuracy, whole.test_loss, whole.test_accuracy]
            .iter()
            .any(Option::is_some)
        {
            findings
                .push(|| format!("epochs: epoch {epoch} has a loss or an accuracy, which no replay knows"));
        }
        let training = sums.frozen.iter().filter(|frozen| !**frozen).count();
        match trace.rows::<CensoredRow>(epoch, 1)? {
            Ok(rows) => {
                let row = &rows[0];
                let fits = row.samples <= whole.active_samples
                    && usize::from(row.layers) <= training
                    && u64::from(row.layers) <= row.norms;
                if !fits {
                    findings.push(|| {
                        format!(
                            "censored: epoch {epoch}: {row:?}, with {} and {}",
                            counted(whole.active_samples, "active sample"),
                            counted(training, "unfrozen layer")
                        )
                    });
                }
            }
            Err(count) => {
                findings.push(|| format!("censored: epoch {epoch} has {}, expected 1", counted(count, "row")))
            }
        }
    }
    Ok(())
}
