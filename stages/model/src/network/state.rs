//! The network's state as named tensors, and back.

use crate::layer::{AffineState, Trained};
use crate::network::Network;
use crate::tensor::RestoreError;
use spfde_data::tensor::{Tensor, TensorData};

/// How the names of tensors end that a checkpoint keeps beside the network's: momenta of dense gradients, by
/// which masks grow.
pub const DENSE_MOMENTA: &str = ".dense_gradient_momenta";

/// How the names of tensors go on behind their layer's, that keep values of weights that do not exist.
pub const STORED: &str = ".store_";

/// How the names of tensors go on behind their layer's, that keep what the network goes back to.
pub const REWOUND: &str = ".rewound_";

/// Whether a checkpoint keeps a tensor of this name beside those of the network: [`DENSE_MOMENTA`],
/// [`STORED`], [`REWOUND`].
pub fn is_beside(name: &str) -> bool {
    let last = name.rfind('.').map_or("", |dot| &name[dot..]);
    last == DENSE_MOMENTA || [STORED, REWOUND].iter().any(|begin| last.starts_with(begin))
}

impl Network {
    /// Everything that a step changes, layer by layer in forward order: `<layer>.indices`, `.values` and
    /// `.momenta` of the existing weights; then `.bias` and `.bias_momenta`, or `.gain`, `.gain_momenta`,
    /// `.offset`, `.offset_momenta`, `.running_mean` and `.running_variance`. An optimiser that keeps squares
    /// adds `.squares` and `.steps`, and `_squares` of each list with momenta. Which blocks are frozen is not
    /// part of it.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut tensors = vec![];
        for (layer, shape) in self.layers.iter().zip(&self.architecture().layers) {
            let mut add = |what: &str, data: TensorData| {
                tensors.push(Tensor::list(format!("{}.{what}", shape.name), data));
            };
            let weights = &layer.weights;
            add("indices", weights.indices.clone().into());
            add("values", weights.values.clone().into());
            add("momenta", weights.momenta.clone().into());
            if weights.keeps_squares {
                add("squares", weights.squares.clone().into());
                add("steps", vec![layer.steps].into());
            }
            for (what, values) in affine_lists(&mut layer.affine.clone(), weights.keeps_squares) {
                add(what, values.clone().into());
            }
        }
        tensors
    }

    /// Takes over the state that [`Network::tensors`] gave for the same model. Layers that lack weights
    /// become masked; frozen blocks stay as they are set. Tensors [beside](is_beside) the network's are
    /// ignored.
    ///
    /// # Errors
    /// If a tensor is missing or unknown or does not fit; the network is unchanged then.
    pub fn restore(&mut self, tensors: &[Tensor]) -> Result<(), RestoreError> {
        let mut layers = self.layers.clone();
        let mut left: Vec<&Tensor> = tensors.iter().filter(|tensor| !is_beside(&tensor.name)).collect();
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
            let keeps_squares = layer.weights.keeps_squares;
            let squares = if keeps_squares { floats(find("squares")?, count)? } else { vec![] };
            layer.weights.set(indices, values, momenta, squares);
            if keeps_squares {
                layer.steps = steps(find("steps")?)?;
            }
            for (what, list) in affine_lists(&mut layer.affine, keeps_squares) {
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
pub(super) fn affine_lists(
    affine: &mut AffineState,
    keeps_squares: bool,
) -> Vec<(&'static str, &mut Vec<f32>)> {
    fn lists<'a>(
        [value, momenta, squares]: [&'static str; 3],
        trained: &'a mut Trained,
        keeps_squares: bool,
    ) -> impl Iterator<Item = (&'static str, &'a mut Vec<f32>)> {
        let lists = [(value, &mut trained.values), (momenta, &mut trained.momenta)];
        lists.into_iter().chain(keeps_squares.then_some((squares, &mut trained.squares)))
    }
    match affine {
        AffineState::Bias(bias) => {
            lists(["bias", "bias_momenta", "bias_squares"], bias, keeps_squares).collect()
        }
        AffineState::BatchNorm(norm) => {
            let gain = lists(["gain", "gain_momenta", "gain_squares"], &mut norm.gain, keeps_squares);
            let offset = ["offset", "offset_momenta", "offset_squares"];
            let running =
                [("running_mean", &mut norm.running_mean), ("running_variance", &mut norm.running_variance)];
            gain.chain(lists(offset, &mut norm.offset, keeps_squares)).chain(running).collect()
        }
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

fn steps(tensor: &Tensor) -> Result<u32, RestoreError> {
    match &tensor.data {
        TensorData::U32(steps) if steps.len() == 1 => Ok(steps[0]),
        _ => Err(misfit(&tensor.name, "is to hold one unsigned number")),
    }
}

fn misfit(name: &str, problem: impl Into<String>) -> RestoreError {
    RestoreError { name: name.to_owned(), problem: problem.into() }
}
