//! Sieve deltas add up to the active set, and exactly the active samples train, each once an epoch.

use std::collections::BTreeMap;

use spfde_data::rows::{ScoreRow, SieveRow};

use super::Trace;
use crate::error::Error;

/// Adds up the deltas of the sieve.
pub(super) fn check(trace: &Trace<'_>, findings: &mut Vec<String>) -> Result<(), Error> {
    let samples = trace.manifest.data_set.train_rows;
    let mut active: BTreeMap<u32, u32> = BTreeMap::new();
    for epoch in trace.epochs() {
        let mut rows = trace.rows::<SieveRow>(epoch)?;
        if let Some(pair) = rows.windows(2).find(|pair| pair[0].sample == pair[1].sample) {
            findings.push(format!("sieves: epoch {epoch}: sample {} has two rows", pair[0].sample));
        }
        rows.sort_by_key(|row| row.diff);
        for row in rows {
            let weight = row.weight.to_bits();
            let fits = match row.diff {
                1 => u64::from(row.sample) < samples && active.insert(row.sample, weight).is_none(),
                -1 => active.remove(&row.sample) == Some(weight),
                _ => false,
            };
            if !fits {
                findings.push(format!(
                    "sieves: epoch {epoch}: sample {} changes by {} with weight {}, which does not fit its state",
                    row.sample, row.diff, row.weight
                ));
            }
        }
        if let Some((row, _)) = trace.epoch(epoch, findings)?
            && row.active_samples as usize != active.len()
        {
            findings.push(format!(
                "epochs: epoch {epoch} has {} active samples, the sieve deltas add up to {}",
                row.active_samples,
                active.len()
            ));
        }
        let mut trained: Vec<u32> =
            trace.rows::<ScoreRow>(epoch)?.iter().filter(|row| row.trained).map(|row| row.sample).collect();
        trained.sort_unstable();
        if !trained.iter().eq(active.keys()) {
            findings.push(format!(
                "scores: epoch {epoch}: the trained samples are not the active ones, each once"
            ));
        }
    }
    Ok(())
}
