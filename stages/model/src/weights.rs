//! The weights of one layer: those that exist, and nothing of those that do not.

use ndarray::Array1;
use ndarray_rand::RandomExt;
use ndarray_rand::rand::SeedableRng;
use ndarray_rand::rand_distr::StandardNormal;
use rand_chacha::ChaCha8Rng;
use spfde_data::random::{Purpose, seed_bytes};

use crate::geometry::{Geometry, PANEL};
use crate::kernel::{Form, Product, Tap, Taps};
use crate::lane::Lane;

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

/// The same for linear layers, whose tiles have few weights for each block and output: they gain more by longer runs of
/// weights than they lose by lanes that come from the second-level cache.
const PANEL_BYTES: usize = 48 * 1024;

/// Where a weight stands in its layer.
#[derive(Clone, Copy)]
struct Place {
    output: u32,
    input: u32,
    /// Kernel row and column, row-major.
    cell: u32,
}

impl Place {
    fn unpack(self) -> [usize; 3] {
        [self.output, self.input, self.cell].map(|number| number as usize)
    }
}

/// The existing weights of one layer by ascending index, row-major in (output, input, kernel row, kernel column).
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    seed: u64,
    layer: usize,
    geometry: Geometry,
    /// The density for which initial values are drawn; 1 for a dense layer.
    density: f64,
    pub(crate) masked: bool,
    pub(crate) indices: Array1<u32>,
    pub(crate) values: Array1<f32>,
    pub(crate) momenta: Array1<f32>,
    /// What the forward pass and the gradient of the weights run over.
    pub(crate) forward: Product,
    /// What the gradient of the input is made of, for each phase of the stride.
    pub(crate) backward: Vec<Product>,
}

impl Weights {
    /// A dense layer with its initial weights.
    pub(crate) fn dense(seed: u64, layer: usize, geometry: Geometry) -> Self {
        let count = geometry.weights();
        let mut weights = Self {
            seed,
            layer,
            geometry,
            density: 1.0,
            masked: false,
            indices: (0..count as u32).collect(),
            values: Array1::zeros(0),
            momenta: Array1::zeros(count),
            forward: Product::default(),
            backward: vec![],
        };
        weights.values = weights.draw();
        weights.rebuild();
        weights
    }

    /// All weights of the dense layer: normal with variance 2 / (fan-in · density) (He et al. 2015, section 2.2,
    /// with the inputs that exist), whatever the mask.
    fn draw(&self) -> Array1<f32> {
        let (rows, columns) = self.geometry.kernel();
        let fan_in = (self.geometry.inputs() * rows * columns) as f64 * self.density;
        let deviation = (2.0 / fan_in).sqrt() as f32;
        let seed = seed_bytes(self.seed, Purpose::Weights, self.layer as u64);
        let mut generator = ChaCha8Rng::from_seed(seed);
        let normal: Array1<f32> =
            Array1::random_using(self.geometry.weights(), StandardNormal, &mut generator);
        normal * deviation
    }

    /// The layer becomes masked and empty; its initial values are drawn for `density`.
    pub(crate) fn mask(&mut self, density: f64) {
        assert!(density > 0.0 && density <= 1.0, "a density lies above 0 and up to 1, not {density}");
        self.density = density;
        self.masked = true;
        self.set(vec![], vec![], vec![]);
    }

    /// Replaces the existing weights; indices ascend.
    pub(crate) fn set(&mut self, indices: Vec<u32>, values: Vec<f32>, momenta: Vec<f32>) {
        self.masked |= indices.len() < self.geometry.weights();
        self.indices = indices.into();
        self.values = values.into();
        self.momenta = momenta.into();
        self.rebuild();
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
        let initial = match growth {
            Growth::Initial if !grown.is_empty() => Some(self.draw()),
            _ => None,
        };
        let count = self.indices.len() + grown.len();
        let (mut indices, mut values, mut momenta) =
            (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut dropped, mut grown) = (dropped.iter().peekable(), grown.iter().peekable());
        let mut old = (0..self.indices.len()).peekable();
        loop {
            let next_old = old.peek().map(|position| self.indices[*position]);
            let next_grown = grown.peek().map(|index| **index);
            match (next_old, next_grown) {
                (None, None) => break,
                (Some(index), _) if dropped.next_if_eq(&&index).is_some() => {
                    old.next();
                }
                (Some(index), next) if next.is_none_or(|next| index < next) => {
                    let position = old.next().expect("it has been peeked at");
                    indices.push(index);
                    values.push(self.values[position]);
                    momenta.push(self.momenta[position]);
                }
                (next, Some(index)) => {
                    assert!(next != Some(index), "weight {index} of layer {} exists already", self.layer);
                    grown.next();
                    indices.push(index);
                    values.push(initial.as_ref().map_or(0.0, |initial| initial[index as usize]));
                    momenta.push(0.0);
                }
                (Some(_), None) => unreachable!("without grown weights the next old one is kept or dropped"),
            }
        }
        assert!(dropped.next().is_none(), "dropped weights of layer {} exist", self.layer);
        self.set(indices, values, momenta);
    }

    /// The kernel that serves the layer's density.
    pub(crate) fn form(&self) -> Form {
        Form::of(self.indices.len(), self.geometry.weights())
    }

    /// Sorts the existing weights anew for the kernels.
    fn rebuild(&mut self) {
        let geometry = &self.geometry;
        let places = self.places(self.indices.iter().copied());
        let offsets = self.source_offsets();
        let form = self.form();
        self.forward = Product::with_taps(form, self.extents(), self.taps(&places, &offsets));
        let (inputs, outputs) = (geometry.inputs(), geometry.outputs());
        self.backward = geometry
            .phases()
            .map(|phase| {
                let cells = geometry.cells();
                let offsets: Vec<Option<usize>> =
                    cells.map(|(row, column)| geometry.gradient_offset(phase, row, column)).collect();
                let taps = places.iter().enumerate().filter_map(|(position, place)| {
                    let [output, input, cell] = place.unpack();
                    let offset = offsets[cell]? + output * geometry.gradient.columns;
                    Some(Tap { row: input, column: output, offset, position: position as u32 })
                });
                Product::new(form, [inputs, outputs, self.block(outputs, 1)], taps)
            })
            .collect();
        self.refresh();
    }

    /// All weights of the dense layer, in the order in which the gradient of the weights runs over them: positions are
    /// indices.
    pub(crate) fn dense_taps(&self) -> Taps {
        let places = self.places(0..self.geometry.weights() as u32);
        Taps::new(self.extents(), self.taps(&places, &self.source_offsets()))
    }

    /// Where the weights of these indices stand.
    fn places(&self, indices: impl Iterator<Item = u32>) -> Vec<Place> {
        // Divided once, in 32 bits: a mask update spends most of its time here.
        let [cells, inputs] =
            [self.geometry.cells().count(), self.geometry.inputs()].map(|count| count as u32);
        let place = |index: u32| {
            let (rest, cell) = (index / cells, index % cells);
            Place { output: rest / inputs, input: rest % inputs, cell }
        };
        indices.map(place).collect()
    }

    /// The offset of each cell of the kernel in the packed input, computed once for all weights.
    fn source_offsets(&self) -> Vec<usize> {
        let geometry = &self.geometry;
        geometry.cells().map(|(row, column)| geometry.source_offset(row, column)).collect()
    }

    /// The taps of the forward pass.
    fn taps<'a>(
        &self,
        places: &'a [Place],
        offsets: &'a [usize],
    ) -> impl Iterator<Item = Tap> + Clone + use<'a> {
        let columns = self.geometry.source.columns;
        places.iter().enumerate().map(move |(position, place)| {
            let [output, input, cell] = place.unpack();
            let offset = offsets[cell] + input * columns;
            Tap { row: output, column: input, offset, position: position as u32 }
        })
    }

    /// Written channels, read channels and the read channels of a block in the forward pass.
    fn extents(&self) -> [usize; 3] {
        let inputs = self.geometry.inputs();
        [self.geometry.outputs(), inputs, self.block(inputs, self.geometry.stride())]
    }

    /// How many of `channels` read channels a block holds so that a tile's window fits the first-level cache.
    fn block(&self, channels: usize, stride: usize) -> usize {
        let (lanes, bytes) = match self.geometry.window {
            None => (PANEL, PANEL_BYTES),
            Some(window) => {
                let width = if self.geometry.output.width.is_multiple_of(7) { 7 } else { 4 };
                ((stride + window.kernel) * (stride * (width - 1) + window.kernel), WINDOW_BYTES)
            }
        };
        let blocks = (channels * lanes * size_of::<Lane>()).div_ceil(bytes);
        channels.div_ceil(blocks.max(1))
    }

    /// Hands the values to the kernels after a change.
    pub(crate) fn refresh(&mut self) {
        let values = self.values.as_slice().expect("a list in standard layout");
        for product in std::iter::once(&mut self.forward).chain(&mut self.backward) {
            product.refresh(values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::InputShape;
    use crate::geometry::Window;

    fn weights() -> Weights {
        let shape = InputShape { channels: 3, height: 6, width: 6 };
        let window = Window { kernel: 3, stride: 1, padding: 1 };
        Weights::dense(5, 2, Geometry::convolution(shape, 4, window))
    }

    #[test]
    fn initial_weights_depend_on_the_mask_through_the_density_alone() {
        let dense = weights();
        let mut masked = weights();
        masked.mask(0.25);
        masked.apply_mask(&[], &[3, 50, 107], Growth::Initial);
        for (position, index) in [3, 50, 107].into_iter().enumerate() {
            // A quarter of the density doubles the deviation.
            assert!((masked.values[position] - 2.0 * dense.values[index]).abs() < 1e-6);
        }
        let mean_square = dense.values.iter().map(|value| value * value).sum::<f32>() / 108.0;
        assert!((mean_square * 27.0 / 2.0 - 1.0).abs() < 0.5, "{mean_square}");
    }

    #[test]
    fn deltas_merge_and_regrown_weights_begin_without_momentum() {
        let mut weights = weights();
        weights.mask(0.1);
        weights.apply_mask(&[], &[1, 5, 9, 100], Growth::Zero);
        weights.values.assign(&ndarray::array![1.0, 2.0, 3.0, 4.0]);
        weights.momenta.assign(&ndarray::array![10.0, 20.0, 30.0, 40.0]);
        weights.apply_mask(&[5, 100], &[0, 5, 107], Growth::Zero);
        assert_eq!(weights.indices.to_vec(), [0, 1, 5, 9, 107]);
        assert_eq!(weights.values.to_vec(), [0.0, 1.0, 0.0, 3.0, 0.0]);
        assert_eq!(weights.momenta.to_vec(), [0.0, 10.0, 0.0, 30.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "exists already")]
    fn a_weight_cannot_grow_twice() {
        let mut weights = weights();
        weights.mask(0.1);
        weights.apply_mask(&[], &[1, 5], Growth::Zero);
        weights.apply_mask(&[1], &[5], Growth::Zero);
    }

    #[test]
    #[should_panic(expected = "dropped weights")]
    fn a_weight_that_does_not_exist_cannot_be_dropped() {
        let mut weights = weights();
        weights.mask(0.1);
        weights.apply_mask(&[7], &[], Growth::Zero);
    }
}
