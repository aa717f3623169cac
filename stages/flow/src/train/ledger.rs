//! What a worker keeps of its layers over an epoch, for their rows at its end.

use spfde_data::rows::{GradientRow, LayerRow};
use spfde_model::Network;

use crate::tick::Tick;

/// The sum of absolute values and the sum of squares, in eight sums that grow side by side, so that one
/// addition need not wait for the other.
fn norms(values: &[f32]) -> [f64; 2] {
    const SUMS: usize = 8;
    let mut sums = [[0.0; 2]; SUMS];
    let (chunks, rest) = values.as_chunks::<SUMS>();
    for chunk in chunks.iter().map(|chunk| &chunk[..]).chain(std::iter::once(rest)) {
        for (sums, value) in sums.iter_mut().zip(chunk) {
            let value = f64::from(*value);
            sums[0] += value.abs();
            sums[1] += value * value;
        }
    }
    [0, 1].map(|sum| sums.iter().map(|sums| sums[sum]).sum())
}

/// Whether a layer lies in the frozen prefix.
pub(super) fn is_frozen(network: &Network, layer: usize) -> bool {
    network.architecture().layers[layer].block < network.frozen_blocks()
}

/// The layers a worker owns: their weights at the epoch's start and the gradients summed since.
pub(super) struct Ledger {
    layers: Vec<usize>,
    start: Vec<Vec<f32>>,
    sums: Vec<Vec<f64>>,
}

impl Ledger {
    pub(super) fn new(layers: Vec<usize>) -> Self {
        let count = layers.len();
        Self { layers, start: vec![Vec::new(); count], sums: vec![Vec::new(); count] }
    }

    /// The layers, in order.
    pub(super) fn layers(&self) -> &[usize] {
        &self.layers
    }

    /// A new epoch begins, its deltas applied.
    pub(super) fn open(&mut self, network: &Network) {
        for ((layer, start), sum) in self.layers.iter().zip(&mut self.start).zip(&mut self.sums) {
            start.clear();
            start.extend_from_slice(network.values(*layer));
            sum.clear();
            sum.resize(start.len(), 0.0);
        }
    }

    /// Adds the reduced gradient of one step; the norms of the unfrozen layers, and of the frozen ones if
    /// they are `observed`.
    pub(super) fn add(
        &mut self,
        tick: Tick,
        network: &Network,
        part: &[f32],
        observed: &[f32],
    ) -> Vec<GradientRow> {
        let mut rows = Vec::with_capacity(self.layers.len());
        for (layer, sum) in self.layers.iter().zip(&mut self.sums) {
            let trained = !is_frozen(network, *layer);
            if !trained && observed.is_empty() {
                continue;
            }
            let gradient = match trained {
                true => network.gradient(part, *layer),
                false => network.observed_gradient(observed, *layer),
            };
            let [l1, squares] = norms(gradient);
            if trained {
                sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            rows.push(GradientRow {
                epoch: tick.epoch,
                step: tick.step,
                layer: *layer as u16,
                l2: squares.sqrt() as f32,
                l1: l1 as f32,
                trained,
                nonzero: gradient.len() as u32,
            });
        }
        rows
    }

    /// The rows of the layers at the end of `epoch`.
    pub(super) fn close(&self, epoch: u32, network: &Network) -> Vec<LayerRow> {
        let architecture = network.architecture();
        let row = |((layer, start), sums): ((&usize, &Vec<f32>), &Vec<f64>)| {
            let shape = &architecture.layers[*layer];
            let values = network.values(*layer);
            let change = start.iter().zip(values).map(|(start, end)| f64::from(end - start).abs()).sum();
            let square = |value: &f32| f64::from(*value) * f64::from(*value);
            LayerRow {
                epoch,
                layer: *layer as u16,
                name: shape.name.clone(),
                weights: shape.weights() as u32,
                nonzero: values.len() as u32,
                frozen: is_frozen(network, *layer),
                gradient_sum_l1: sums.iter().map(|sum| sum.abs()).sum(),
                gradient_sum_l2: sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt(),
                weight_l2: values.iter().map(square).sum::<f64>().sqrt(),
                weight_change_l1: change,
            }
        };
        self.layers.iter().zip(&self.start).zip(&self.sums).map(row).collect()
    }
}
