//! The weights of one layer: those that exist, and nothing of those that do not.

use std::sync::Arc;

use ndarray_rand::rand::SeedableRng;
use ndarray_rand::rand_distr::{Distribution, StandardNormal};
use rand_chacha::ChaCha8Rng;
use spfde_data::random::{Purpose, seed_bytes};

use crate::description::{Convolution, Geometry, PANEL, square};
use crate::kernel::{Extents, Form, Product, Tap, Taps};
use crate::precision::Precision;

/// The value with which a weight begins to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// The layer's initial draw at the weight's index: Kaiming normal for the density of the mask.
    Initial,
    /// Zero.
    Zero,
}

/// Bytes of a tile's window that a first-level cache of 32 KiB holds beside everything else a kernel touches.
const WINDOW_BYTES: usize = 24 * 1024;

/// The same for linear layers, whose tiles have few weights for each block and output: they gain more by
/// longer runs of weights than they lose by lanes that come from the second-level cache.
const PANEL_BYTES: usize = 48 * 1024;

/// Weights that a block holds at least for each written channel, on average: with fewer, it costs more to put
/// a tile's parts of sums away and to fetch them again than lanes from the second-level cache do.
const LEAST_TAPS: usize = 24;

/// Where a weight stands in its layer: output, input (of all, not those of its group), and kernel row and
/// column, row-major.
type Place = [u32; 3];

/// The existing weights of one layer by ascending index, row-major in (output, input of its group, kernel
/// row, kernel column).
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    seed: u64,
    layer: usize,
    geometry: Geometry,
    /// Numbers of a lane.
    lanes: usize,
    /// The density for which initial values are drawn; 1 for a dense layer.
    density: f64,
    pub(crate) masked: bool,
    pub(crate) indices: Vec<u32>,
    pub(crate) values: Vec<f32>,
    pub(crate) momenta: Vec<f32>,
    /// As many, or none if the optimiser keeps none.
    pub(crate) squares: Vec<f32>,
    pub(crate) keeps_squares: bool,
    /// What the forward pass and the gradient of the weights run over.
    pub(crate) forward: Product,
    /// What the gradient of the input is made of, for each phase of the stride.
    pub(crate) backward: Vec<Product>,
    /// What rounds the numbers that are multiplied; none for f32.
    pub(crate) rounding: Option<Arc<dyn Precision>>,
}

impl Weights {
    /// A dense layer with its initial weights, or a masked and empty one if its initial values are drawn for
    /// a `density`.
    pub(crate) fn new(
        seed: u64,
        layer: usize,
        geometry: Geometry,
        lanes: usize,
        density: Option<f64>,
    ) -> Self {
        let count = geometry.weights();
        let (forward, backward, rounding) = (Product::default(), vec![], None);
        let (indices, values, momenta, squares) = (vec![], vec![], vec![], vec![]);
        let (density, masked) = (density.unwrap_or(1.0), density.is_some());
        let mut weights = Self {
            seed,
            layer,
            geometry,
            lanes,
            density,
            masked,
            indices,
            values,
            momenta,
            squares,
            keeps_squares: false,
            forward,
            backward,
            rounding,
        };
        match masked {
            true => weights.mask(density),
            false => {
                let values = weights.draw().take(count).collect();
                weights.set((0..count as u32).collect(), values, vec![0.0; count], vec![]);
            }
        }
        weights
    }

    /// The weights of the dense layer, one by one: normal with variance 2 / (fan-in · density) (He et al.
    /// 2015, section 2.2, with the inputs that exist), whatever the mask. A draw takes as much of the
    /// generator as it needs, so those in front of a weight have to be drawn, too.
    fn draw(&self) -> impl Iterator<Item = f32> + use<> {
        let fan_in = (self.geometry.weights() / self.geometry.outputs()) as f64 * self.density;
        let deviation = (2.0 / fan_in).sqrt() as f32;
        let seed = seed_bytes(self.seed, Purpose::Weights, self.layer as u64);
        let normal = StandardNormal.sample_iter(ChaCha8Rng::from_seed(seed));
        normal.map(move |value: f32| value * deviation)
    }

    /// The layer becomes masked and empty; its initial values are drawn for `density`.
    pub(crate) fn mask(&mut self, density: f64) {
        assert!(density > 0.0 && density <= 1.0, "a density lies above 0 and up to 1, not {density}");
        self.density = density;
        self.masked = true;
        self.set(vec![], vec![], vec![], vec![]);
    }

    /// Replaces the existing weights; indices ascend.
    pub(crate) fn set(&mut self, indices: Vec<u32>, values: Vec<f32>, momenta: Vec<f32>, squares: Vec<f32>) {
        self.masked |= indices.len() < self.geometry.weights();
        (self.indices, self.values, self.momenta, self.squares) = (indices, values, momenta, squares);
        // Before the new ones are made.
        (self.forward, self.backward) = (Product::default(), vec![]);
        self.rebuild();
    }

    /// Keeps squares for the optimiser, from 0, or none.
    pub(crate) fn keep_squares(&mut self, keeps: bool) {
        self.keeps_squares = keeps;
        self.squares = vec![0.0; if keeps { self.values.len() } else { 0 }];
    }

    /// Merges ascending lists of weights that cease and begin to exist.
    ///
    /// # Panics
    /// If a dropped weight does not exist, a grown one does (and is not dropped), or the lists do not ascend.
    pub(crate) fn apply_mask(&mut self, dropped: &[u32], grown: &[u32], growth: Growth) {
        let ascending = |list: &[u32]| list.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(ascending(dropped) && ascending(grown), "mask deltas ascend");
        let limit = self.geometry.weights();
        assert!(grown.last().is_none_or(|index| (*index as usize) < limit), "grown weights lie in the layer");
        assert!(self.masked, "only masked layers change their masks");
        let (mut draws, mut drawn) = (self.draw(), 0);
        let mut begin = |index: u32| match growth {
            Growth::Initial => {
                let skipped = index - std::mem::replace(&mut drawn, index + 1);
                draws.nth(skipped as usize).expect("draws do not end")
            }
            Growth::Zero => 0.0,
        };
        let count = (self.indices.len() + grown.len()).saturating_sub(dropped.len());
        let mut weights = [Vec::with_capacity(count), Vec::with_capacity(count)];
        let mut squares = Vec::with_capacity(if self.keeps_squares { count } else { 0 });
        let mut indices = Vec::with_capacity(count);
        let mut push = |index: u32, value: f32, momentum: f32, square: Option<f32>| {
            indices.push(index);
            weights[0].push(value);
            weights[1].push(momentum);
            squares.extend(square);
        };
        let fresh = self.keeps_squares.then_some(0.0);
        let (mut dropped, mut grown) = (dropped.iter().peekable(), grown.iter().copied().peekable());
        for (position, index) in self.indices.iter().enumerate() {
            while let Some(new) = grown.next_if(|new| new < index) {
                push(new, begin(new), 0.0, fresh);
            }
            if dropped.next_if_eq(&index).is_none() {
                assert_ne!(
                    grown.peek(),
                    Some(index),
                    "weight {index} of layer {} exists already",
                    self.layer
                );
                let square = self.squares.get(position).copied();
                push(*index, self.values[position], self.momenta[position], square);
            }
        }
        assert!(dropped.next().is_none(), "dropped weights of layer {} exist", self.layer);
        grown.for_each(|new| push(new, begin(new), 0.0, fresh));
        let [values, momenta] = weights;
        self.set(indices, values, momenta, squares);
    }

    /// The kernel that serves the layer's density.
    pub(crate) fn form(&self) -> Form {
        self.geometry.form(self.indices.len())
    }

    /// Sorts the existing weights anew for the kernels.
    fn rebuild(&mut self) {
        let (geometry, form) = (&self.geometry, self.form());
        let places = self.places(self.indices.iter().copied());
        self.forward = Product::new(form, self.forward_extents(self.indices.len()), self.taps(&places), true);
        let phases = geometry.convolution.stride.pow(2);
        let weights = self.indices.len() / phases;
        let extents = self.extents(geometry.inputs(), geometry.outputs(), weights, 1);
        let backward = square(geometry.convolution.stride).map(|phase| {
            let offsets = geometry.gradient_offsets(phase);
            let taps = places.iter().enumerate().filter_map(|(position, place)| {
                let [output, input, cell] = place.map(|number| number as usize);
                let offset = offsets[cell]? + output * geometry.gradient.columns;
                Some(Tap { row: input, column: output, offset, position: position as u32 })
            });
            Product::new(form, extents, taps, false)
        });
        self.backward = backward.collect();
        self.refresh();
    }

    /// Any weights of the layer, ascending, in the order in which the gradient of the weights runs over them.
    pub(crate) fn taps_of(&self, indices: &[u32]) -> Taps {
        let places = self.places(indices.iter().copied());
        Taps::new(self.forward_extents(indices.len()), self.taps(&places))
    }

    /// Where the weights of these indices stand.
    fn places(&self, indices: impl Iterator<Item = u32>) -> Vec<Place> {
        // Divided once, in 32 bits: a mask update spends most of its time here.
        let Convolution { kernel, groups, .. } = self.geometry.convolution;
        let numbers = [kernel.pow(2), self.geometry.inputs_of_each(), self.geometry.outputs() / groups];
        let [cells, inputs, outputs] = numbers.map(|number| number as u32);
        let place = |index: u32| {
            let (output, input) = (index / cells / inputs, index / cells % inputs);
            let first = if groups > 1 { output / outputs * inputs } else { 0 };
            [output, first + input, index % cells]
        };
        indices.map(place).collect()
    }

    /// The taps of the forward pass.
    fn taps<'a>(&self, places: &'a [Place]) -> impl Iterator<Item = Tap> + Clone + use<'a> {
        // Computed once for all weights.
        let (offsets, columns) = (self.geometry.source_offsets(), self.geometry.source.columns);
        places.iter().enumerate().map(move |(position, place)| {
            let [output, input, cell] = place.map(|number| number as usize);
            let offset = offsets[cell] + input * columns;
            Tap { row: output, column: input, offset, position: position as u32 }
        })
    }

    /// How the forward pass sorts so many weights.
    fn forward_extents(&self, weights: usize) -> Extents {
        self.extents(
            self.geometry.outputs(),
            self.geometry.inputs(),
            weights,
            self.geometry.convolution.stride,
        )
    }

    /// How so many weights are sorted that write `rows` channels and read `columns`, of pixels `step` apart.
    /// A block is small enough for a window of a tile to fit the first-level cache, unless it had too few
    /// weights then.
    fn extents(&self, rows: usize, columns: usize, weights: usize, step: usize) -> Extents {
        let Convolution { kernel, .. } = self.geometry.convolution;
        let width = if self.geometry.output.width.is_multiple_of(7) { 7 } else { 4 };
        let (pixels, bytes) = match self.geometry.is_linear {
            true => (PANEL, PANEL_BYTES),
            false => ((step + kernel) * (step * (width - 1) + kernel), WINDOW_BYTES),
        };
        let fitting = (columns * pixels * self.lanes * size_of::<f32>()).div_ceil(bytes);
        let filled = weights / (rows * LEAST_TAPS);
        Extents { rows, columns, block: columns.div_ceil(fitting.min(filled).max(1)), lanes: self.lanes }
    }

    /// Hands the values to the kernels after a change.
    pub(crate) fn refresh(&mut self) {
        let rounded = self.rounding.as_ref().map(|precision| precision.weights(self.layer, &self.values));
        let values = rounded.as_deref().unwrap_or(&self.values);
        for product in std::iter::once(&mut self.forward).chain(&mut self.backward) {
            product.refresh(values);
        }
    }
}

#[cfg(test)]
mod tests;
