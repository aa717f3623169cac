//! Networks, shards and comparisons that several tests share.

use std::collections::BTreeMap;

use spfde_data::FrozenBlocks;
use spfde_data::parameter::{ParameterError, Parameters, Value};
use spfde_data::random::{Purpose, draw};
use spfde_model::{
    Activations, Description, Growth, InputShape, Kernel, MomentumSgd, Network, Score, Shard, Tensor,
    TensorData, Wanted, Workspace, models,
};

/// A number in [−1, 1) that depends on its keys alone.
pub(crate) fn number(stream: u64, place: usize) -> f64 {
    (draw(stream, Purpose::User, 0, place as u64) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// What a model that is built in is for such inputs.
pub(crate) fn describe(
    model: &str,
    width: i64,
    shape: InputShape,
    classes: usize,
) -> Result<Description, ParameterError> {
    describe_with(model, "model.width", width, shape, classes)
}

/// The same with another parameter than the width.
pub(crate) fn describe_with(
    model: &str,
    key: &str,
    value: i64,
    shape: InputShape,
    classes: usize,
) -> Result<Description, ParameterError> {
    let entry = models::registry().into_iter().find(|entry| entry.name == model).unwrap();
    let known = (entry.parameters)();
    let parameters = Parameters::defaults(&known).with(&known, key, Value::Integer(value)).unwrap();
    (entry.build)(&parameters, shape, classes)
}

/// Trainable parameters of the dense network: weights, gains and offsets of batch norms, biases.
pub(crate) fn parameters(description: &Description) -> usize {
    let tensors = Network::from_description(description.clone(), 1, Kernel::PORTABLE).tensors();
    let trained = |tensor: &&Tensor| {
        let what = tensor.name.rsplit('.').next().unwrap();
        ["values", "gain", "offset", "bias"].contains(&what)
    };
    tensors.iter().filter(trained).map(|tensor| tensor.shape[0]).sum()
}

/// A model with dense layers.
pub(crate) fn network(model: &str, shape: InputShape, classes: usize, kernel: Kernel) -> Network {
    Network::from_description(describe(model, 1, shape, classes).unwrap(), 11, kernel)
}

/// Masks all layers but the first and the last at random. The layer `empty` loses all weights, the layer
/// `full` none.
pub(crate) fn sparsify(network: &mut Network, density: f64, empty: Option<usize>, full: Option<usize>) {
    for layer in 1..network.architecture().layers.len() - 1 {
        let kept: Vec<u32> = (0..network.nonzero(layer))
            .filter(|index| match layer {
                _ if Some(layer) == empty => false,
                _ if Some(layer) == full => true,
                _ => number(100 + layer as u64, *index) < 2.0 * density - 1.0,
            })
            .map(|index| index as u32)
            .collect();
        network.mask(layer, density);
        network.apply_mask(layer, &[], &kept, Growth::Initial);
    }
}

/// Gives batch norms and biases values other than those at the start.
pub(crate) fn shake(network: &mut Network) {
    let mut tensors = network.tensors();
    for (stream, tensor) in tensors.iter_mut().enumerate() {
        let what = tensor.name.rsplit('.').next().unwrap().to_owned();
        let TensorData::F32(values) = &mut tensor.data else { continue };
        for (place, value) in values.iter_mut().enumerate() {
            let noise = 0.3 * number(1000 + stream as u64, place) as f32;
            match what.as_str() {
                "gain" | "running_variance" => *value = 1.0 + noise,
                "offset" | "bias" | "running_mean" => *value = noise,
                _ => {}
            }
        }
    }
    network.restore(&tensors).unwrap();
}

/// Every set of so many blocks.
pub(crate) fn sets_of(blocks: usize) -> impl Iterator<Item = FrozenBlocks> {
    (0..1_u32 << blocks).map(move |bits| (0..blocks).map(|block| (bits >> block) & 1 == 1).collect())
}

/// Samples as `[sample][channel][row][column]`, and their labels and weights in the loss.
pub(crate) struct Samples {
    pub(crate) shape: [usize; 4],
    pub(crate) pixels: Vec<f32>,
    pub(crate) labels: Vec<u16>,
    pub(crate) weights: Vec<f32>,
    pub(crate) noise: Vec<u64>,
}

impl Samples {
    /// Their shard of a batch.
    pub(crate) fn shard<'a>(&'a self, inputs: &'a Activations, batch_samples: usize) -> Shard<'a> {
        let Self { labels, weights, noise, .. } = self;
        Shard { inputs, labels, weights, noise, batch_samples }
    }
}

/// `count` random samples.
pub(crate) fn samples(count: usize, shape: InputShape, classes: usize) -> Samples {
    let shape = [count, shape.channels, shape.height, shape.width];
    Samples {
        shape,
        pixels: (0..shape.iter().product()).map(|place| number(7, place) as f32).collect(),
        labels: (0..count).map(|sample| (sample * 5 % classes) as u16).collect(),
        weights: (0..count).map(|sample| 0.5 + 0.25 * (sample % 4) as f32).collect(),
        noise: (0..count).map(|sample| draw(5, Purpose::Dropout, 0, sample as u64)).collect(),
    }
}

/// The samples in lanes for a kernel; lanes without a sample hold `padding`.
pub(crate) fn activations(kernel: Kernel, samples: &Samples, padding: f32) -> Activations {
    let [n, c, h, w] = samples.shape;
    let lanes = kernel.lanes();
    Activations::from_shape_fn((kernel.groups(n), h, c, w, lanes), |(group, row, channel, column, lane)| {
        match group * lanes + lane {
            sample if sample < n => samples.pixels[((sample * c + channel) * h + row) * w + column],
            _ => padding,
        }
    })
}

/// The optimiser of all tests.
pub(crate) fn sgd(momentum: f32, weight_decay: f32) -> MomentumSgd {
    MomentumSgd { momentum, weight_decay, nesterov: false }
}

/// What a shard contributes, and its scores.
pub(crate) fn train(network: &Network, samples: &Samples, batch_samples: usize) -> (Vec<f32>, Vec<Score>) {
    let inputs = activations(network.kernel(), samples, 0.0);
    let shard = samples.shard(&inputs, batch_samples);
    let mut part = vec![f32::NAN; network.part_len()];
    let scores = network.train_shard(&mut Workspace::new(network), &shard, &mut part);
    (part, scores)
}

/// The same with the gradients of frozen layers.
pub(crate) fn train_and_observe(
    network: &Network,
    samples: &Samples,
    batch_samples: usize,
) -> (Vec<f32>, Vec<f32>, Vec<Score>) {
    let inputs = activations(network.kernel(), samples, 0.0);
    let shard = samples.shard(&inputs, batch_samples);
    let mut part = vec![f32::NAN; network.part_len()];
    let mut observed = vec![f32::NAN; network.observed_len()];
    let mut workspace = Workspace::new(network);
    let wanted = Wanted { part: &mut part, observed: &mut observed, ..Wanted::default() };
    let scores = network.train_shard_for(&mut workspace, &shard, wanted);
    (part, observed, scores)
}

/// The tensors of a network by name, in f64.
pub(crate) fn state(network: &Network) -> BTreeMap<String, Vec<f64>> {
    let numbers = |tensor: &Tensor| match &tensor.data {
        TensorData::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        TensorData::U32(values) => values.iter().map(|value| f64::from(*value)).collect(),
    };
    network.tensors().iter().map(|tensor| (tensor.name.clone(), numbers(tensor))).collect()
}

/// The bits of every tensor.
pub(crate) fn bits(network: &Network) -> Vec<(String, Vec<u32>)> {
    let numbers = |tensor: &Tensor| match &tensor.data {
        TensorData::F32(values) => values.iter().map(|value| value.to_bits()).collect(),
        TensorData::U32(values) => values.clone(),
    };
    network.tensors().iter().map(|tensor| (tensor.name.clone(), numbers(tensor))).collect()
}

/// ‖found − expected‖ / ‖expected‖, or the norm of the difference where nothing is expected.
pub(crate) fn relative_error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(f, e)| f64::from(*f) - e));
    let size = norm(&mut expected.iter().copied());
    if size == 0.0 { difference } else { difference / size }
}
