//! The network's state as named tensors, and back.

use crate::layer::{AffineState, Trained};
use crate::network::Network;
use crate::tensor::RestoreError;
use spfde_data::tensor::{Tensor, TensorData};

impl Network {
    /// Everything that a step changes, layer by layer in forward order: `<layer>.indices`, `.values` and
    /// `.momenta` of the existing weights; then `.bias` and `.bias_momenta`, or `.gain`, `.gain_momenta`,
    /// `.offset`, `.offset_momenta`, `.running_mean` and `.running_variance`. Which blocks are frozen is not
    /// part of it.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut tensors = vec![];
        for (layer, shape) in self.layers.iter().zip(&self.architecture().layers) {
            let mut add = |what: &str, count: usize, data: TensorData| {
                tensors.push(Tensor { name: format!("{}.{what}", shape.name), shape: vec![count], data });
            };
            let weights = &layer.weights;
            let count = weights.indices.len();
            add("indices", count, TensorData::U32(weights.indices.clone()));
            add("values", count, TensorData::F32(weights.values.clone()));
            add("momenta", count, TensorData::F32(weights.momenta.clone()));
            for (what, values) in affine_lists(&mut layer.affine.clone()) {
                add(what, values.len(), TensorData::F32(values.clone()));
            }
        }
        tensors
    }

    /// Takes over the state that [`Network::tensors`] gave for the same model. Layers that lack weights
    /// become masked; frozen blocks stay as they are set.
    ///
    /// # Errors
    /// If a tensor is missing or unknown or does not fit; the network is unchanged then.
    pub fn restore(&mut self, tensors: &[Tensor]) -> Result<(), RestoreError> {
        let mut layers = self.layers.clone();
        let mut left: Vec<&Tensor> = tensors.iter().collect();
        for (layer, shape) in layers.iter_mut().zip(&self.description.architecture.layers) {
            let mut find = |what: &str| {
                let name = format!("{}.{what}", shape.name);
                let found = left.iter().position(|tensor| tensor.name == name);
                let missing = || misfit(&name, "is missing; the tensors are those of another model");
                found.map(|place| left.remove(place)).ok_or_else(missing)
            };
            let indices = indices(find("indices")?, shape.weights())?;
            let count = indices.len();
            let (values, momenta) = (floats(find("values")?, count)?, floats(find("momenta")?, count)?);
            layer.weights.set(indices, values, momenta);
            for (what, list) in affine_lists(&mut layer.affine) {
                *list = floats(find(what)?, shape.outputs)?;
            }
        }
        // Unknown ones, and second ones of a name.
        if let Some(tensor) = left.first() {
            return Err(misfit(&tensor.name, "is not part of this model"));
        }
        self.layers = layers;
        self.lay_out();
        Ok(())
    }
}

/// The lists of what follows a layer with their names.
fn affine_lists(affine: &mut AffineState) -> Vec<(&'static str, &mut Vec<f32>)> {
    match affine {
        AffineState::Bias(Trained { values, momenta }) => {
            vec![("bias", values), ("bias_momenta", momenta)]
        }
        AffineState::BatchNorm(norm) => vec![
            ("gain", &mut norm.gain.values),
            ("gain_momenta", &mut norm.gain.momenta),
            ("offset", &mut norm.offset.values),
            ("offset_momenta", &mut norm.offset.momenta),
            ("running_mean", &mut norm.running_mean),
            ("running_variance", &mut norm.running_variance),
        ],
    }
}

fn floats(tensor: &Tensor, count: usize) -> Result<Vec<f32>, RestoreError> {
    let (kind, found) = match &tensor.data {
        TensorData::F32(values) if values.len() == count => return Ok(values.clone()),
        TensorData::F32(values) => ("floating point", values.len()),
        TensorData::U32(values) => ("unsigned", values.len()),
    };
    let problem = format!("holds {found} {kind} numbers, expected {count} floating point numbers");
    Err(misfit(&tensor.name, problem))
}

fn indices(tensor: &Tensor, limit: usize) -> Result<Vec<u32>, RestoreError> {
    let TensorData::U32(indices) = &tensor.data else {
        return Err(misfit(&tensor.name, "holds floating point numbers, expected indices"));
    };
    for (position, index) in indices.iter().enumerate() {
        let ascends = position == 0 || indices[position - 1] < *index;
        if !ascends || *index as usize >= limit {
            let problem = format!("holds index {index} at position {position}, not ascending below {limit}");
            return Err(misfit(&tensor.name, problem));
        }
    }
    Ok(indices.clone())
}

fn misfit(name: &str, problem: impl Into<String>) -> RestoreError {
    RestoreError { name: name.to_owned(), problem: problem.into() }
}
