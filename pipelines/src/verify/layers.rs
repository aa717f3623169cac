//! What mask and freeze deltas add up to, layer by layer: they fit the state that they change, the rows of
//! `layers` say the same, and so do the final weights.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use spfde_data::files::weights;
use spfde_data::{FreezeRow, LayerRow, MaskRow, Row, TensorData, counted};

use super::updates::Updates;
use super::{Epoch, Findings, Trace};
use crate::Result;

/// A value of a layer in an epoch: as the epoch began (`None`), then from which step on it was which.
pub(super) struct History<T>(BTreeMap<Option<u32>, T>);

impl<T: Copy> History<T> {
    fn new(value: T) -> Self {
        Self(BTreeMap::from([(None, value)]))
    }

    /// A new epoch begins with the last value.
    fn begin(&mut self) {
        *self = Self::new(self.last());
    }

    pub(super) fn set(&mut self, step: u32, value: T) {
        self.0.insert(Some(step), value);
    }

    /// The value at the end of the epoch.
    pub(super) fn last(&self) -> T {
        self.within(..)
    }

    /// The value at a step, after its deltas.
    pub(super) fn at(&self, step: u32) -> T {
        self.within(..=Some(step))
    }

    /// The value at a step, before its deltas.
    fn before(&self, step: u32) -> T {
        self.within(..Some(step))
    }

    /// The last value of those within some steps and the epoch's begin.
    fn within(&self, steps: impl RangeBounds<Option<u32>>) -> T {
        *self.0.range(steps).next_back().expect("the epoch began with a value").1
    }
}

/// A layer, as the deltas so far have it.
pub(super) struct Layer {
    /// The existing weights; `None`: no delta says which.
    mask: Option<BTreeSet<u32>>,
    /// How many weights exist.
    pub(super) nonzero: History<u64>,
    /// Whether it is frozen.
    pub(super) frozen: History<bool>,
}

impl Layer {
    /// Compares what a row about this layer, number `layer`, states of its weights, if it does, and whether
    /// it is frozen.
    pub(super) fn check<R: Row>(&self, layer: u16, exist: Option<u32>, frozen: bool, epoch: &mut Epoch<'_>) {
        let sum = self.nonzero.last();
        if let Some(found) = exist.filter(|found| u64::from(*found) != sum) {
            let found = counted(found, "weight");
            let what = format_args!("layer {layer} has {found}, the mask deltas add up to {sum}");
            epoch.find(R::STREAM, what);
        }
        if frozen != self.frozen.last() {
            let not = if frozen { "" } else { "not " };
            let what = format_args!("layer {layer} is {not}frozen, the freeze deltas say otherwise");
            epoch.find(R::STREAM, what);
        }
    }
}

/// The layers as they are built: none frozen, all weights there unless a delta says otherwise.
pub(super) fn begin(trace: &Trace<'_>) -> Vec<Layer> {
    let layer = |weights: usize| Layer {
        mask: None,
        nonzero: History::new(weights as u64),
        frozen: History::new(false),
    };
    trace.architecture.layers.iter().map(|shape| layer(shape.weights())).collect()
}

/// Adds the deltas of the next epoch.
pub(super) fn add(layers: &mut [Layer], epoch: &mut Epoch<'_>) -> Result<()> {
    for layer in &mut *layers {
        layer.nonzero.begin();
        layer.frozen.begin();
    }
    epoch.visit(|epoch, FreezeRow { layer: number, step, diff, .. }| {
        let Some(layer) = layers.get_mut(usize::from(number)) else {
            return epoch.find(FreezeRow::STREAM, format_args!("there is no layer {number}"));
        };
        let wrong = match (diff, layer.frozen.last()) {
            (1, false) | (-1, true) => None,
            (1, true) => Some("freezes twice".to_owned()),
            (-1, false) => Some("thaws, but is not frozen".to_owned()),
            _ => Some(format!("changes by {diff}")),
        };
        if let Some(wrong) = wrong {
            epoch.find(FreezeRow::STREAM, format_args!("layer {number} {wrong}"));
        }
        layer.frozen.set(step, diff > 0);
    })?;
    // The masks of a replay are those of the record, which had other freezes.
    let live = epoch.trace.manifest.replay_of.is_none();
    let mut updates = Updates::default();
    epoch.visit(|epoch, MaskRow { step, layer: number, index, diff, .. }| {
        let shape = epoch.trace.architecture.layers.get(usize::from(number));
        if shape.is_none_or(|shape| index as usize >= shape.weights()) {
            return epoch.find(MaskRow::STREAM, format_args!("no weight {index} in layer {number}"));
        }
        let layer = &mut layers[usize::from(number)];
        updates.count(step, number, diff);
        // A layer is pruned when it freezes, and may grow when it thaws.
        if live && layer.frozen.before(step) && layer.frozen.at(step) {
            epoch.find(MaskRow::STREAM, format_args!("layer {number} changes although it is frozen"));
        }
        let mask = layer.mask.get_or_insert_default();
        let changed = if diff > 0 { mask.insert(index) } else { mask.remove(&index) };
        if !changed || diff.unsigned_abs() != 1 {
            let state = if mask.contains(&index) { "exists" } else { "does not exist" };
            let what = format_args!("weight {index} of layer {number} changes by {diff}, but {state}");
            epoch.find(MaskRow::STREAM, what);
        }
        layer.nonzero.set(step, mask.len() as u64);
    })?;
    updates.check(epoch)
}

/// Compares the rows of `layers` in an epoch with the deltas up to its end.
pub(super) fn check(layers: &[Layer], epoch: &mut Epoch<'_>) -> Result<()> {
    let rows = epoch.by_layer(|row: &LayerRow| row.layer)?.unwrap_or_default();
    for (row, layer) in rows.iter().zip(layers) {
        layer.check::<LayerRow>(row.layer, Some(row.nonzero), row.frozen, epoch);
    }
    Ok(())
}

/// Compares the mask of the weights at the end of the committed epochs with the deltas.
pub(super) fn check_weights(layers: &[Layer], trace: &Trace<'_>, findings: &mut Findings) -> Result<()> {
    let manifest = trace.manifest;
    let last = manifest.checkpoints.iter().find(|checkpoint| {
        checkpoint.epoch == manifest.epochs_reached && checkpoint.path.ends_with(".safetensors")
    });
    let Some(last) = last else { return Ok(()) };
    let arrays = weights::read(&trace.run.join(&last.path))?.arrays;
    for (layer, shape) in layers.iter().zip(&trace.architecture.layers) {
        let Some(mask) = &layer.mask else { continue };
        let name = format!("{}.indices", shape.name);
        let same = arrays.iter().any(|array| match &array.data {
            TensorData::U32(indices) => array.name == name && indices.iter().eq(mask),
            _ => false,
        });
        if !same {
            findings.push(format_args!("{}: `{name}` is not what the mask deltas add up to", last.path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_from_the_step_of_its_delta_on() {
        let mut frozen = History::new(false);
        let at = |frozen: &History<bool>, step| (frozen.before(step), frozen.at(step));
        assert_eq!(at(&frozen, 0), (false, false));
        frozen.set(0, true);
        frozen.set(4, false);
        frozen.set(4, true);
        frozen.set(7, false);
        let steps = [0, 1, 4, 6, 7, 8].map(|step| at(&frozen, step));
        let expected =
            [(false, true), (true, true), (true, true), (true, true), (true, false), (false, false)];
        assert_eq!((steps, frozen.last()), (expected, false));
        frozen.set(9, true);
        frozen.begin();
        assert_eq!(at(&frozen, 0), (true, true));
    }
}
