//! Mask and freeze deltas fit the state that they change, and add up to the final weights.

use std::collections::{BTreeMap, BTreeSet};

use spfde_data::architecture::Architecture;
use spfde_data::files::weights::{self, Values};
use spfde_data::rows::{FreezeRow, MaskRow};
use spfde_data::words::counted;

use super::{Findings, Trace};
use crate::error::Error;

/// What the deltas add up to in one epoch.
pub(super) struct Sums {
    /// Existing weights of each layer.
    pub(super) nonzero: Vec<u64>,
    /// Whether each layer is frozen.
    pub(super) frozen: Vec<bool>,
}

impl Sums {
    /// Compares what the stream `stream` says of the weights of a layer.
    pub(super) fn check_nonzero(
        &self,
        (stream, epoch, layer): (&str, u32, usize),
        nonzero: u32,
        findings: &mut Findings,
    ) {
        let sum = self.nonzero[layer];
        if u64::from(nonzero) != sum {
            findings.push(|| {
                format!(
                    "{stream}: epoch {epoch}: layer {layer} has {}, the mask deltas add up to {sum}",
                    counted(nonzero, "weight")
                )
            });
        }
    }

    /// Compares whether the stream `stream` has a layer frozen.
    pub(super) fn check_frozen(
        &self,
        (stream, epoch, layer): (&str, u32, usize),
        frozen: bool,
        findings: &mut Findings,
    ) {
        if frozen != self.frozen[layer] {
            let not = if frozen { "" } else { "not " };
            findings.push(|| {
                format!(
                    "{stream}: epoch {epoch}: layer {layer} is {not}frozen, the freeze deltas say otherwise"
                )
            });
        }
    }
}

/// Adds up the deltas of masks and freezes; the sums of every epoch.
pub(super) fn check(
    trace: &Trace<'_>,
    architecture: &Architecture,
    findings: &mut Findings,
) -> Result<Vec<Sums>, Error> {
    let layers = architecture.layers.len();
    let mut masks: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
    let mut frozen = vec![false; layers];
    let mut sums = Vec::new();
    for epoch in trace.epochs() {
        trace.visit::<MaskRow>(epoch, |row| {
            let layer = usize::from(row.layer);
            if layer >= layers || row.index as usize >= architecture.layers[layer].weights() {
                findings.push(|| format!("masks: epoch {epoch}: no weight {} in layer {layer}", row.index));
                return;
            }
            // In a replay these are the masks of the record, which had other freezes.
            if frozen[layer] && !trace.is_replay() {
                findings
                    .push(|| format!("masks: epoch {epoch}: layer {layer} changes although it is frozen"));
            }
            let mask = masks.entry(layer).or_default();
            let changed = if row.diff > 0 { mask.insert(row.index) } else { mask.remove(&row.index) };
            if !changed || row.diff.unsigned_abs() != 1 {
                let state = if mask.contains(&row.index) { "exists" } else { "does not exist" };
                findings.push(|| {
                    format!(
                        "masks: epoch {epoch}: weight {} of layer {layer} changes by {}, but {state}",
                        row.index, row.diff
                    )
                });
            }
        })?;
        trace.visit::<FreezeRow>(epoch, |row| {
            let layer = usize::from(row.layer);
            let Some(state) = frozen.get_mut(layer) else {
                findings.push(|| format!("freezes: epoch {epoch}: there is no layer {layer}"));
                return;
            };
            if *state == (row.diff > 0) || row.diff.unsigned_abs() != 1 {
                findings
                    .push(|| format!("freezes: epoch {epoch}: layer {layer} changes by {} twice", row.diff));
            }
            *state = row.diff > 0;
        })?;
        let count = |layer: usize| {
            masks.get(&layer).map_or(architecture.layers[layer].weights() as u64, |mask| mask.len() as u64)
        };
        sums.push(Sums { nonzero: (0..layers).map(count).collect(), frozen: frozen.clone() });
    }
    weights_agree(trace, architecture, &masks, findings)?;
    Ok(sums)
}

/// The weights at the end of the committed epochs have exactly the mask that the deltas add up to.
fn weights_agree(
    trace: &Trace<'_>,
    architecture: &Architecture,
    masks: &BTreeMap<usize, BTreeSet<u32>>,
    findings: &mut Findings,
) -> Result<(), Error> {
    let reached = trace.manifest.epochs_reached;
    let last = trace
        .manifest
        .checkpoints
        .iter()
        .find(|checkpoint| checkpoint.epoch == reached && checkpoint.path.ends_with(".safetensors"));
    let Some(last) = last else { return Ok(()) };
    let arrays = weights::read(&trace.run.join(&last.path))?.arrays;
    for (layer, mask) in masks {
        let name = format!("{}.indices", architecture.layers[*layer].name);
        let found = arrays.iter().find(|array| array.name == name).map(|array| &array.values);
        let same = match found {
            Some(Values::U32(indices)) => indices.iter().eq(mask.iter()),
            _ => false,
        };
        if !same {
            findings.push(|| format!("{}: `{name}` is not what the mask deltas add up to", last.path));
        }
    }
    Ok(())
}
