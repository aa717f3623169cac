//! Mask and freeze deltas add up to the layers' rows and to the final weights.

use std::collections::{BTreeMap, BTreeSet};

use spfde_data::architecture::Architecture;
use spfde_data::files::weights::{self, Values};
use spfde_data::rows::{FreezeRow, LayerRow, MaskRow};

use super::Trace;
use crate::error::Error;

/// What the deltas add up to in one epoch.
pub(super) struct Sums {
    /// Existing weights of each layer.
    pub(super) nonzero: Vec<u64>,
    /// Whether each layer is frozen.
    pub(super) frozen: Vec<bool>,
}

/// Adds up the deltas of masks and freezes; the sums of every epoch.
pub(super) fn check(
    trace: &Trace<'_>,
    architecture: &Architecture,
    findings: &mut Vec<String>,
) -> Result<Vec<Sums>, Error> {
    let layers = architecture.layers.len();
    let mut masks: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
    let mut frozen = vec![false; layers];
    let mut sums = Vec::new();
    for epoch in trace.epochs() {
        let mut rows = trace.rows::<MaskRow>(epoch)?;
        rows.sort_by_key(|row| (row.step, row.diff));
        for row in rows {
            let layer = usize::from(row.layer);
            if layer >= layers || row.index as usize >= architecture.layers[layer].weights() {
                findings.push(format!("masks: epoch {epoch}: no weight {} in layer {layer}", row.index));
                continue;
            }
            // In a replay these are the masks of the record, which had other freezes.
            if frozen[layer] && !trace.is_replay() {
                findings.push(format!("masks: epoch {epoch}: layer {layer} changes although it is frozen"));
            }
            let mask = masks.entry(layer).or_default();
            let changed = if row.diff > 0 { mask.insert(row.index) } else { mask.remove(&row.index) };
            if !changed || row.diff.abs() != 1 {
                let state = if mask.contains(&row.index) { "exists" } else { "does not exist" };
                findings.push(format!(
                    "masks: epoch {epoch}: weight {} of layer {layer} changes by {}, but {state}",
                    row.index, row.diff
                ));
            }
        }
        for row in trace.rows::<FreezeRow>(epoch)? {
            let layer = usize::from(row.layer);
            let Some(state) = frozen.get_mut(layer) else {
                findings.push(format!("freezes: epoch {epoch}: there is no layer {layer}"));
                continue;
            };
            if *state == (row.diff > 0) || row.diff.abs() != 1 {
                findings.push(format!("freezes: epoch {epoch}: layer {layer} changes by {} twice", row.diff));
            }
            *state = row.diff > 0;
        }
        let count = |layer: usize| {
            masks.get(&layer).map_or(architecture.layers[layer].weights() as u64, |mask| mask.len() as u64)
        };
        let nonzero: Vec<u64> = (0..layers).map(count).collect();
        if !trace.is_replay() {
            let rows = trace.rows::<LayerRow>(epoch)?;
            let numbers: Vec<usize> = rows.iter().map(|row| usize::from(row.layer)).collect();
            if numbers != (0..layers).collect::<Vec<_>>() {
                findings.push(format!(
                    "layers: epoch {epoch} has rows for {numbers:?}, expected one for each layer"
                ));
            } else {
                for row in rows {
                    let layer = usize::from(row.layer);
                    if u64::from(row.nonzero) != nonzero[layer] {
                        findings.push(format!(
                            "layers: epoch {epoch}: layer {layer} has {} weights, the mask deltas add up to {}",
                            row.nonzero, nonzero[layer]
                        ));
                    }
                    if row.frozen != frozen[layer] {
                        findings.push(format!(
                            "layers: epoch {epoch}: layer {layer} is {}frozen, the freeze deltas say otherwise",
                            if row.frozen { "" } else { "not " }
                        ));
                    }
                }
            }
        }
        sums.push(Sums { nonzero, frozen: frozen.clone() });
    }
    weights_agree(trace, architecture, &masks, findings)?;
    Ok(sums)
}

/// The weights at the end of the committed epochs have exactly the mask that the deltas add up to.
fn weights_agree(
    trace: &Trace<'_>,
    architecture: &Architecture,
    masks: &BTreeMap<usize, BTreeSet<u32>>,
    findings: &mut Vec<String>,
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
            findings.push(format!("{}: `{name}` is not what the mask deltas add up to", last.path));
        }
    }
    Ok(())
}
