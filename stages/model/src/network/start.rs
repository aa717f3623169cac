//! What a layer takes over from another network of the same shape.

use std::collections::BTreeMap;

use crate::network::Network;
use crate::network::state::affine_lists;

/// The state with which a layer begins, in place of its initial draw. What is empty stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerStart {
    /// The weights of the dense layer, row-major in (output, input, kernel row, kernel column); 0 for those
    /// that did not exist.
    pub values: Vec<f32>,
    /// Their momenta, in the same order.
    pub momenta: Vec<f32>,
    /// The indices of the weights that existed, ascending, if the mask is taken over, too.
    pub mask: Option<Vec<u32>>,
    /// What follows the layer, by the words of [`Network::tensors`]: `bias`, `gain`, `running_mean` and so
    /// on.
    pub lists: BTreeMap<String, Vec<f32>>,
}

impl Network {
    /// The existing weights of a layer take their values and momenta from `start`, and so does what follows
    /// the layer. Which weights exist stays as it is. An optimiser that keeps squares begins anew: momenta
    /// without them would make its first steps too long.
    ///
    /// # Panics
    /// If there is no such layer, or something that is not empty has another length than the layer's.
    pub fn begin(&mut self, layer: usize, start: &LayerStart) {
        let LayerStart { values, momenta, lists, .. } = start;
        let shape = &self.description.architecture.layers[layer];
        let (weights, outputs) = (shape.weights(), shape.outputs);
        let own = &mut self.layers[layer];
        let anew = own.weights.keeps_squares;
        let momenta = if anew { &vec![] } else { momenta };
        for (dense, list) in [(values, &mut own.weights.values), (momenta, &mut own.weights.momenta)] {
            if !dense.is_empty() {
                assert_eq!(dense.len(), weights, "a number for each weight of layer {layer}");
                let places = own.weights.indices.iter().zip(list);
                places.for_each(|(index, number)| *number = dense[*index as usize]);
            }
        }
        own.weights.refresh();
        for (word, list) in affine_lists(&mut own.affine, false) {
            if let Some(given) = lists.get(word).filter(|_| !(anew && word.ends_with("_momenta"))) {
                assert_eq!(given.len(), outputs, "a number for each output of layer {layer}");
                list.clone_from(given);
            }
        }
    }

    /// What [`Network::begin`] gives a layer its values back by: its weights, 0 for those that do not exist,
    /// and what follows it; no momenta and no mask.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn state(&self, layer: usize) -> LayerStart {
        let own = &self.layers[layer];
        let mut values = vec![0.0; self.description.architecture.layers[layer].weights()];
        let existing = own.weights.indices.iter().zip(&own.weights.values);
        existing.for_each(|(index, value)| values[*index as usize] = *value);
        let mut affine = own.affine.clone();
        let lists = affine_lists(&mut affine, false).into_iter();
        let lists = lists.filter(|(word, _)| !word.ends_with("_momenta"));
        let lists = lists.map(|(word, list)| (word.to_owned(), list.clone())).collect();
        LayerStart { values, lists, ..LayerStart::default() }
    }

    /// What the optimiser keeps of a layer's parameters is as before its first step.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn rest(&mut self, layer: usize) {
        let own = &mut self.layers[layer];
        own.steps = 0;
        own.weights.momenta.fill(0.0);
        own.weights.squares.fill(0.0);
        for (word, list) in affine_lists(&mut own.affine, own.weights.keeps_squares) {
            if word.ends_with("_momenta") || word.ends_with("_squares") {
                list.fill(0.0);
            }
        }
    }

    /// The existing weights of a layer keep their magnitudes and take the signs of `sign`, by index.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn take_signs(&mut self, layer: usize, sign: impl Fn(u32) -> f32) {
        let weights = &mut self.layers[layer].weights;
        let places = weights.indices.iter().zip(&mut weights.values);
        places.for_each(|(index, value)| *value = value.abs() * sign(*index));
        weights.refresh();
    }
}
