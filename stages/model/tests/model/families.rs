//! The models once more, written out in the operations of the reference, with the weights of a given network.

use std::collections::BTreeMap;

use spfde_data::random::mix;
use spfde_model::Network;

use crate::reference::{Id, Reference};
use crate::support::{Samples, state};

/// A network's computation in f64.
pub(crate) struct Model {
    pub(crate) reference: Reference,
    /// The place of each parameter by the name of its tensor (`values` stands for the dense weights).
    pub(crate) parameters: BTreeMap<String, Id>,
    /// The place of each layer's output before batch norm or bias, by the layer's name.
    pub(crate) outputs: BTreeMap<String, Id>,
    pub(crate) logits: Id,
    pub(crate) loss: Id,
}

/// What is put in the place of parameters: dense weights, gains, offsets, biases, by the name of the tensor.
pub(crate) type Overrides = BTreeMap<String, Vec<f64>>;

/// How batch norms normalise.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Norms {
    /// By the samples' statistics, but for the blocks that are frozen.
    Batch,
    /// By the running statistics.
    Running,
}

/// `model` with the state of `network`, on `samples`: `mlp`, `lenet5` and `resnet20` as they are written out
/// here, every other network as its JSON describes it.
pub(crate) fn model(
    model: &str,
    network: &Network,
    samples: &Samples,
    batch: usize,
    norms: Norms,
    overrides: &Overrides,
) -> Model {
    let mut builder = Builder {
        noise: &samples.noise,
        state: state(network),
        network,
        norms,
        overrides,
        reference: Reference::default(),
        parameters: BTreeMap::new(),
        outputs: BTreeMap::new(),
    };
    let pixels = samples.pixels.iter().map(|pixel| f64::from(*pixel)).collect();
    let input = builder.reference.leaf(samples.shape, pixels);
    let features = match model {
        "mlp" => {
            let first = builder.linear("linear1", input);
            let first = builder.reference.relu(first);
            let second = builder.linear("linear2", first);
            builder.reference.relu(second)
        }
        "lenet5" => builder.lenet5(input),
        "resnet20" => builder.resnet(input),
        _ => builder.described(input),
    };
    let logits = builder.linear("classifier", features);
    let Builder { mut reference, parameters, outputs, .. } = builder;
    let loss = reference.loss(logits, &samples.labels, &samples.weights, batch);
    Model { reference, parameters, outputs, logits, loss }
}

struct Builder<'a> {
    noise: &'a [u64],
    state: BTreeMap<String, Vec<f64>>,
    network: &'a Network,
    norms: Norms,
    overrides: &'a Overrides,
    reference: Reference,
    parameters: BTreeMap<String, Id>,
    outputs: BTreeMap<String, Id>,
}

impl Builder<'_> {
    fn lenet5(&mut self, input: Id) -> Id {
        let mut value = input;
        for (layer, padding) in [("convolution1", 2), ("convolution2", 0)] {
            value = self.convolution(layer, value, 1, padding);
            value = self.bias(layer, value);
            value = self.reference.relu(value);
            value = self.reference.max_pool(value);
        }
        for layer in ["linear1", "linear2"] {
            value = self.linear(layer, value);
            value = self.reference.relu(value);
        }
        value
    }

    fn resnet(&mut self, input: Id) -> Id {
        let stem = self.convolution("stem", input, 1, 1);
        let stem = self.batch_norm("stem", 0, stem);
        let mut value = self.reference.relu(stem);
        for block in 0..9 {
            let name = |layer: &str| format!("block{block}.{layer}");
            let stride = if block == 3 || block == 6 { 2 } else { 1 };
            let first = self.convolution(&name("convolution1"), value, stride, 1);
            let first = self.batch_norm(&name("convolution1"), block, first);
            let first = self.reference.relu(first);
            let second = self.convolution(&name("convolution2"), first, 1, 1);
            let second = self.batch_norm(&name("convolution2"), block, second);
            if stride == 2 {
                value = self.convolution(&name("shortcut"), value, 2, 0);
                value = self.batch_norm(&name("shortcut"), block, value);
            }
            let sum = self.reference.add(second, value);
            value = self.reference.relu(sum);
        }
        self.reference.average_pool(value)
    }

    /// What the JSON of the network describes, up to the classifier.
    fn described(&mut self, input: Id) -> Id {
        let json: serde_json::Value = serde_json::from_str(&self.network.description().to_json()).unwrap();
        let mut values = vec![input];
        for step in json["operations"].as_array().unwrap() {
            let number = |value: &serde_json::Value| value.as_u64().unwrap() as usize;
            let reads: Vec<Id> =
                step["reads"].as_array().unwrap().iter().map(|r| values[number(r)]).collect();
            let (name, first) = (step["name"].as_str().unwrap_or_default(), reads[0]);
            let (kind, options) = match &step["operation"] {
                serde_json::Value::String(kind) => (kind.as_str(), &serde_json::Value::Null),
                kind => kind.as_object().unwrap().iter().map(|(k, o)| (k.as_str(), o)).next().unwrap(),
            };
            let value = match kind {
                "convolution" => {
                    let [stride, padding] = [&options["stride"], &options["padding"]].map(number);
                    let value = self.convolution(name, first, stride, padding);
                    match options["affine"].as_str() {
                        Some("batch_norm") => self.batch_norm(name, number(&step["block"]), value),
                        _ => self.bias(name, value),
                    }
                }
                "linear" => self.linear(name, first),
                "classifier" => return first,
                "addition" => {
                    let sum = self.reference.add(first, reads[1]);
                    self.reference.relu(sum)
                }
                "max_pool" => self.reference.max_pool(first),
                "wide_max_pool" => self.reference.greatest(first, [3, 2, 1]),
                "average_pool" => self.reference.average_pool(first),
                "concatenation" => self.reference.concatenate(&reads),
                "gelu" => self.reference.gelu(first),
                "sum" => self.reference.add(first, reads[1]),
                "layer_norm" => self.reference.layer_norm(first),
                "patches" => self.reference.patches(first, number(&options["side"])),
                "attention" => self.reference.attention(first, number(&options["heads"])),
                "dropout" => {
                    let share = options["millionths"].as_f64().unwrap() / 1e6;
                    self.dropout(first, values.len() as u64, share)
                }
                other => panic!("no reference for {other}"),
            };
            let rectified = step["relu"] == true;
            values.push(if rectified { self.reference.relu(value) } else { value });
        }
        panic!("a network ends with its classifier")
    }

    /// Dropout by the operation that writes value `number`.
    fn dropout(&mut self, input: Id, number: u64, share: f64) -> Id {
        let shape = self.reference.nodes[input].shape;
        let len = shape[1..].iter().product::<usize>();
        let factor = |place: usize| {
            let key = mix(self.noise[place / len] ^ number);
            let drawn = mix(key ^ (place % len) as u64) as f64 / 2_f64.powi(64);
            if drawn < share { 0.0 } else { 1.0 / (1.0 - share) }
        };
        let factors = (0..self.reference.nodes[input].values.len()).map(factor).collect();
        self.reference.product(input, factors)
    }

    /// The dense weights of a layer: zeros where the network has none.
    fn weights(&mut self, layer: &str) -> Id {
        let architecture = self.network.architecture();
        let number = architecture.layers.iter().position(|shape| shape.name == layer).unwrap();
        let shape = &architecture.layers[number];
        let name = format!("{layer}.values");
        let dense = self.overrides.get(&name).cloned().unwrap_or_else(|| {
            let mut dense = vec![0.0; shape.weights()];
            for (index, value) in self.network.indices(number).iter().zip(self.network.values(number)) {
                dense[*index as usize] = f64::from(*value);
            }
            dense
        });
        let id = self.reference.leaf([shape.outputs, shape.inputs, shape.kernel.0, shape.kernel.1], dense);
        self.parameters.insert(name, id);
        id
    }

    fn list(&mut self, layer: &str, what: &str) -> Id {
        let name = format!("{layer}.{what}");
        let id = self.reference.list(self.overrides.get(&name).unwrap_or(&self.state[&name]));
        self.parameters.insert(name, id);
        id
    }

    fn convolution(&mut self, layer: &str, input: Id, stride: usize, padding: usize) -> Id {
        let weights = self.weights(layer);
        let output = self.reference.convolution(input, weights, stride, padding);
        self.outputs.insert(layer.into(), output);
        output
    }

    fn linear(&mut self, layer: &str, input: Id) -> Id {
        let weights = self.weights(layer);
        let output = self.reference.linear(input, weights);
        self.outputs.insert(layer.into(), output);
        self.bias(layer, output)
    }

    fn bias(&mut self, layer: &str, input: Id) -> Id {
        let bias = self.list(layer, "bias");
        self.reference.bias(input, bias)
    }

    fn batch_norm(&mut self, layer: &str, block: usize, input: Id) -> Id {
        let running = match self.norms {
            Norms::Running => true,
            Norms::Batch => self.network.frozen_blocks().contains(block),
        };
        if running {
            let list = |what: &str| self.state[&format!("{layer}.{what}")].as_slice();
            let norm = [list("gain"), list("offset"), list("running_mean"), list("running_variance")];
            return self.reference.fixed_norm(input, norm);
        }
        let (gain, offset) = (self.list(layer, "gain"), self.list(layer, "offset"));
        self.reference.batch_norm(input, gain, offset)
    }
}
