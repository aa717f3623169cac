//! Every layer that trains has its gradient norms at every step; every other layer too, if all are observed, and none
//! otherwise.

use std::collections::{BTreeMap, BTreeSet};

use spfde_data::rows::{GradientRow, ScoreRow};
use spfde_flow::Observe;

use super::Trace;
use super::masks::Sums;
use crate::error::Error;

/// Compares the rows of `gradients` with the steps at which samples were trained and the layers that were not frozen.
pub(super) fn check(
    trace: &Trace<'_>,
    observe: Observe,
    sums: &[Sums],
    findings: &mut Vec<String>,
) -> Result<(), Error> {
    for (epoch, sums) in trace.epochs().zip(sums) {
        let scores = trace.rows::<ScoreRow>(epoch)?;
        let steps: BTreeSet<u32> = scores.iter().filter(|row| row.trained).map(|row| row.step).collect();
        // By step and layer: whether it trains, and how many rows there are.
        let mut counts: BTreeMap<(u32, u16), (bool, u32)> = BTreeMap::new();
        for step in &steps {
            let layers = sums.frozen.iter().enumerate();
            let recorded = layers.filter(|(_, frozen)| !**frozen || observe == Observe::Full);
            counts.extend(recorded.map(|(layer, frozen)| ((*step, layer as u16), (!frozen, 0))));
        }
        for row in trace.rows::<GradientRow>(epoch)? {
            let (step, layer) = (row.step, row.layer);
            match counts.get_mut(&(step, layer)) {
                Some((trains, count)) if *trains == row.trained => *count += 1,
                _ if row.trained => findings.push(format!(
                    "gradients: epoch {epoch}, step {step}: a row of layer {layer}, which was not trained then"
                )),
                _ => findings.push(format!(
                    "gradients: epoch {epoch}, step {step}: a row of layer {layer}, which was not observed then"
                )),
            }
        }
        let wrong = counts.iter().find(|(_, (_, count))| *count != 1);
        if let Some(((step, layer), (_, count))) = wrong {
            findings.push(format!(
                "gradients: epoch {epoch}, step {step}: layer {layer} has {count} rows, expected 1"
            ));
        }
    }
    Ok(())
}
