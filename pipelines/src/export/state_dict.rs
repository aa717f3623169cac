//! The arrays of a network by the names and in the layouts of PyTorch.

use std::collections::BTreeMap;

use spfde_data::files::weights::Metadata;
use spfde_data::{Normalization, Tensor, TensorData};
use spfde_model::Network;

use crate::Result;
use crate::graph::Graph;
use crate::pytorch::{AFFINE, Module, modules, scatter, weight_shape};
use crate::trained::TrainedNetwork;

/// All arrays. Where `sparse`, a layer that lacks weights has `weight.indices` (ascending, row-major),
/// `weight.values` and `weight.shape` in place of `weight`.
pub(super) fn arrays(network: &Network, sparse: bool) -> Vec<Tensor> {
    let state: BTreeMap<String, Tensor> =
        network.tensors().into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let names = modules(&Graph::of(network.description()));
    let mut arrays = Vec::new();
    for (number, (layer, Module { layer: module, norm })) in
        network.architecture().layers.iter().zip(names).enumerate()
    {
        let mut add = |name: String, shape, data| arrays.push(Tensor { name, shape, data });
        let (name, shape) = (format!("{module}.weight"), weight_shape(layer));
        if sparse && network.nonzero(number) < layer.weights() {
            let (indices, values) = (network.indices(number).to_vec(), network.values(number).to_vec());
            let extents = shape.iter().map(|extent| *extent as u32).collect();
            add(format!("{name}.indices"), vec![indices.len()], TensorData::U32(indices));
            add(format!("{name}.values"), vec![values.len()], TensorData::F32(values));
            add(format!("{name}.shape"), vec![shape.len()], TensorData::U32(extents));
        } else {
            add(name, shape, TensorData::F32(dense(network, number)));
        }
        for (own, is_norm, word) in AFFINE {
            if let Some(list) = state.get(&format!("{}.{own}", layer.name)) {
                let owner = if is_norm { &norm } else { &module };
                add(format!("{owner}.{word}"), list.shape.clone(), list.data.clone());
            }
        }
    }
    arrays
}

/// All weights of a layer, row-major; 0 for those that do not exist.
pub(super) fn dense(network: &Network, layer: usize) -> Vec<f32> {
    let weights = network.architecture().layers[layer].weights();
    scatter(network.indices(layer), network.values(layer), weights).expect("indices lie in their layer")
}

/// What is known beside the arrays. Mean and deviation are those of each channel, of pixels from 0 to 1.
pub(super) fn metadata(trained: &TrainedNetwork) -> Result<Metadata> {
    let Normalization { scale, shift } = trained.normalization()?;
    let listed = |numbers: &mut dyn Iterator<Item = f64>| {
        numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
    };
    let pairs = || scale.iter().zip(&shift).map(|(scale, shift)| (f64::from(*scale), f64::from(*shift)));
    let shape = trained.shape().map(|extent| extent.to_string()).join("x");
    // The columns of a table are taken as they are.
    let whole = if trained.is_table()? { 1.0 } else { 255.0 };
    let labels = serde_json::to_string(&trained.labels()).expect("names are text");
    let known = [
        ("format", "pt".to_owned()),
        ("spfde.model", trained.model().to_owned()),
        ("spfde.epoch", trained.epoch().to_string()),
        ("spfde.input", shape),
        ("spfde.labels", labels),
        ("spfde.mean", listed(&mut pairs().map(|(scale, shift)| -shift / scale / whole))),
        ("spfde.deviation", listed(&mut pairs().map(|(scale, _)| 1.0 / scale / whole))),
    ];
    Ok(known.map(|(key, value)| (key.to_owned(), value)).into())
}
