//! Sieve deltas add up to the active set, and exactly the active samples train, each once an epoch. If all are observed,
//! exactly the others are, each once, after the last that trains.

use std::collections::BTreeMap;

use spfde_data::rows::{ScoreRow, SieveRow};
use spfde_flow::Observe;

use super::Trace;
use crate::error::Error;

/// Adds up the deltas of the sieve.
pub(super) fn check(trace: &Trace<'_>, observe: Observe, findings: &mut Vec<String>) -> Result<(), Error> {
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
        if let Some(row) = trace.epoch(epoch, findings)?
            && row.active_samples as usize != active.len()
        {
            findings.push(format!(
                "epochs: epoch {epoch} has {} active samples, the sieve deltas add up to {}",
                row.active_samples,
                active.len()
            ));
        }
        if trace.is_replay() {
            continue;
        }
        let scores = trace.rows::<ScoreRow>(epoch)?;
        let (trained, observed): (Vec<&ScoreRow>, Vec<&ScoreRow>) =
            scores.iter().partition(|row| row.trained);
        let last = trained.iter().map(|row| row.step).max();
        let samples_of = |rows: &[&ScoreRow]| {
            let mut samples: Vec<u32> = rows.iter().map(|row| row.sample).collect();
            samples.sort_unstable();
            samples
        };
        let outside =
            (0..samples as u32).filter(|sample| observe == Observe::Full && !active.contains_key(sample));
        if !samples_of(&observed).into_iter().eq(outside) || observed.iter().any(|row| Some(row.step) <= last)
        {
            let expected = match observe {
                Observe::Active => "nothing, by trace.observe",
                Observe::Full => "those outside the active set, each once, after the last step",
            };
            findings.push(format!("scores: epoch {epoch}: the observed samples are not {expected}"));
        }
        let trained = samples_of(&trained);
        if !trained.iter().eq(active.keys()) {
            findings.push(format!(
                "scores: epoch {epoch}: the trained samples are not the active ones, each once"
            ));
        }
    }
    Ok(())
}
