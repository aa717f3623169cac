//! What networks and the work on them take in memory, told from shapes and counts alone.

use std::collections::BTreeMap;

use crate::description::{Description, Geometry, Kind, Reach};
use crate::kernel::{Form, Kernel};
use crate::operation::attention;
use crate::schedule::Schedule;
use crate::storage::Storage;

/// Bytes of an existing weight: index, value, momentum.
const STATE: u64 = 12;
/// Bytes of an existing weight in a list that a kernel runs over: offset, value, position.
const TAP: u64 = 12;
/// Bytes of a weight's place in the panels of a dense kernel: value, position.
const PLACE: u64 = 8;

impl Description {
    /// The kernel that serves `layer` if so many of its weights exist.
    pub fn form(&self, layer: usize, existing: usize) -> Form {
        self.layers[layer].geometry.form(existing)
    }

    /// Bytes that `existing` weights of `layer` take in a network: their state, and what kernels run over.
    pub fn weight_bytes(&self, layer: usize, existing: usize) -> u64 {
        let geometry = &self.layers[layer].geometry;
        let (all, existing) = (geometry.weights(), existing as u64);
        // Four written channels share a panel, whether there are four or not.
        let panels = |written: usize| (all / written * written.next_multiple_of(4)) as u64 * PLACE;
        match geometry.form(existing as usize) {
            Form::Sparse => existing * (STATE + 2 * TAP),
            Form::Dense => existing * (STATE + TAP) + panels(geometry.outputs()) + panels(geometry.inputs()),
        }
    }

    /// Bytes of the buffers in which a worker passes shards of up to `samples` samples forward and backward,
    /// and `evaluated` samples forward, and of their inputs, if `existing` weights of each layer exist and
    /// such kernels run with such a storage.
    pub fn pass_bytes(
        &self,
        kernel: Kernel,
        storage: Storage,
        samples: usize,
        evaluated: usize,
        existing: &[u32],
    ) -> u64 {
        let training = Schedule::training(self, Reach::Block(0));
        let evaluating = Schedule::forward(self, self.architecture.blocks.len() + 1);
        let mut values: Vec<usize> = vec![0; training.buffers.len().max(evaluating.buffers.len())];
        for (schedule, samples) in [(training, samples), (evaluating, evaluated)] {
            for (most, buffer) in values.iter_mut().zip(schedule.buffers) {
                let groups = if buffer.single { 1 } else { kernel.groups(samples) };
                *most = (*most).max(buffer.lanes * groups);
            }
        }
        let geometries = || self.layers.iter().map(|layer| &layer.geometry);
        // One packed buffer for each layout.
        let packed = geometries().flat_map(|geometry| {
            let Geometry { source, input, gradient, output, .. } = geometry;
            let lanes = kernel.lanes();
            [
                (("source", source, input), geometry.source_rows(lanes) * source.pitch),
                (("gradient", gradient, output), geometry.gradient_rows(lanes) * gradient.pitch),
            ]
        });
        let mut most_packed = BTreeMap::<String, usize>::new();
        for (layout, lanes) in packed {
            let most = most_packed.entry(format!("{layout:?}")).or_default();
            *most = lanes.max(*most);
        }
        let most = |lanes: &dyn Fn(usize, &Geometry) -> usize| {
            geometries().enumerate().map(|(layer, geometry)| lanes(layer, geometry)).max().unwrap_or(0)
        };
        let targets = most(&|_, geometry| match geometry.is_linear {
            true => geometry.source.len().max(geometry.gradient.len()),
            false => 0,
        });
        let totals = most(&|layer, geometry| if geometry.is_linear { 0 } else { existing[layer] as usize });
        let inputs = kernel.groups(samples.max(evaluated)) * self.shapes[0].len();
        let values: usize = values.iter().sum();
        let kept = match storage {
            Storage::F32 => values,
            // The inputs are kept as they come, too.
            Storage::Bf16 => values + inputs,
        };
        let attending = self.operations().iter().filter_map(|operation| match operation.kind {
            Kind::Attention { heads } => Some(attention::at_hand(self.shapes[operation.reads[0]], heads)),
            _ => None,
        });
        let attending = attending.max().unwrap_or(0);
        let lanes = most_packed.values().sum::<usize>() + targets + totals + inputs + attending;
        ((lanes * size_of::<f32>() + kept * storage.bytes()) * kernel.lanes()) as u64
    }

    /// Numbers of a part of a network of which all layers train, if `existing` weights of each layer exist.
    pub fn part_numbers(&self, existing: &[u32]) -> u64 {
        let outputs = |layer: &Geometry| if layer.is_linear { layer.outputs() } else { 4 * layer.outputs() };
        let affine: usize = self.layers.iter().map(|layer| outputs(&layer.geometry)).sum();
        existing.iter().map(|count| u64::from(*count)).sum::<u64>() + affine as u64
    }
}
