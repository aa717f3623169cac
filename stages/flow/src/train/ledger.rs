//! What a worker keeps of its layers over an epoch, for their rows at its end.

use std::borrow::Cow;
use std::collections::BTreeSet;

use spfde_data::{GradientRow, LayerRow};
use spfde_model::Network;

use crate::Tick;

/// The sum of absolute values and the sum of squares, in eight sums that grow side by side, so that one
/// addition need not wait for the other.
pub(crate) fn norms(values: &[f32]) -> [f64; 2] {
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

/// Whether a layer belongs to a frozen block.
pub(super) fn is_frozen(network: &Network, layer: usize) -> bool {
    network.frozen_blocks().contains(network.architecture().layers[layer].block)
}

/// The layers a worker owns.
pub(super) struct Ledger {
    layers: Vec<usize>,
    pages: Vec<Page>,
}

/// A layer's weights at the epoch's start and the gradients summed since.
#[derive(Default)]
struct Page {
    start: Vec<f32>,
    sums: Vec<f64>,
    /// Once the mask has changed within the epoch: the index of every weight that has existed in it, and
    /// where among them those are that exist now.
    known: Option<(Vec<u32>, Vec<usize>)>,
}

impl Page {
    /// The weights at the epoch's end, of all that have existed in it: 0 of those that are gone.
    fn ended<'a>(&self, values: &'a [f32]) -> Cow<'a, [f32]> {
        let Some((all, places)) = &self.known else { return Cow::Borrowed(values) };
        let mut ended = vec![0.0; all.len()];
        places.iter().zip(values).for_each(|(place, value)| ended[*place] = *value);
        Cow::Owned(ended)
    }
}

impl Ledger {
    pub(super) fn new(layers: Vec<usize>) -> Self {
        let pages = layers.iter().map(|_| Page::default()).collect();
        Self { layers, pages }
    }

    /// The layers, in order.
    pub(super) fn layers(&self) -> &[usize] {
        &self.layers
    }

    /// A new epoch begins, its deltas applied.
    pub(super) fn open(&mut self, network: &Network) {
        for (layer, Page { start, sums, known }) in self.layers.iter().zip(&mut self.pages) {
            start.clear();
            start.extend_from_slice(network.values(*layer));
            sums.clear();
            sums.resize(start.len(), 0.0);
            *known = None;
        }
    }

    /// The mask of a layer has changed within the epoch, from the weights of indices `before` to `now`.
    pub(super) fn remap(&mut self, layer: usize, before: &[u32], now: &[u32]) {
        let Some(page) = self.layers.iter().position(|own| *own == layer).map(|at| &mut self.pages[at])
        else {
            return;
        };
        let known = page.known.take().map_or_else(|| before.to_vec(), |(known, _)| known);
        let all: Vec<u32> = known.iter().chain(now).copied().collect::<BTreeSet<u32>>().into_iter().collect();
        let place = |index: &u32| all.binary_search(index).expect("it is one of all");
        let (mut start, mut sums) = (vec![0.0; all.len()], vec![0.0; all.len()]);
        for (at, index) in known.iter().enumerate() {
            (start[place(index)], sums[place(index)]) = (page.start[at], page.sums[at]);
        }
        let places = now.iter().map(place).collect();
        *page = Page { start, sums, known: Some((all, places)) };
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
        for (layer, Page { sums, known, .. }) in self.layers.iter().zip(&mut self.pages) {
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
                match known {
                    None => sums.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += f64::from(*value)),
                    Some((_, places)) => {
                        let placed = places.iter().zip(gradient);
                        placed.for_each(|(place, value)| sums[*place] += f64::from(*value));
                    }
                }
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
        let row = |(layer, page): (&usize, &Page)| {
            let (shape, sums) = (&architecture.layers[*layer], &page.sums);
            let values = network.values(*layer);
            let moved = |(start, end): (&f32, &f32)| f64::from(end - start).abs();
            let change = page.start.iter().zip(&*page.ended(values)).map(moved).sum();
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
        self.layers.iter().zip(&self.pages).map(row).collect()
    }
}
