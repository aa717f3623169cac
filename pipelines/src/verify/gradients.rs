//! Every layer that trains has its gradient norms at every step, and no other layer has.

use std::collections::{BTreeMap, BTreeSet};

use spfde_data::rows::{GradientRow, ScoreRow};

use super::Trace;
use super::masks::Sums;
use crate::error::Error;

/// Compares the rows of `gradients` with the steps at which samples were trained and the layers that were not frozen.
pub(super) fn check(trace: &Trace<'_>, sums: &[Sums], findings: &mut Vec<String>) -> Result<(), Error> {
    for (epoch, sums) in trace.epochs().zip(sums) {
        let scores = trace.rows::<ScoreRow>(epoch)?;
        let steps: BTreeSet<u32> = scores.iter().filter(|row| row.trained).map(|row| row.step).collect();
        let active = sums.frozen.iter().enumerate().filter(|(_, frozen)| !**frozen);
        let layers: Vec<u16> = active.map(|(layer, _)| layer as u16).collect();
        let mut counts: BTreeMap<(u32, u16), u32> = BTreeMap::new();
        for step in &steps {
            counts.extend(layers.iter().map(|layer| ((*step, *layer), 0)));
        }
        for row in trace.rows::<GradientRow>(epoch)?.iter().filter(|row| row.trained) {
            match counts.get_mut(&(row.step, row.layer)) {
                Some(count) => *count += 1,
                None => findings.push(format!(
                    "gradients: epoch {epoch}, step {}: a row of layer {}, which was not trained then",
                    row.step, row.layer
                )),
            }
        }
        let wrong = counts.iter().find(|(_, count)| **count != 1);
        if let Some(((step, layer), count)) = wrong {
            findings.push(format!(
                "gradients: epoch {epoch}, step {step}: layer {layer} has {count} rows, expected 1"
            ));
        }
    }
    Ok(())
}
