//! A network as an ONNX graph: pixels of 0 to 1 in, normalised inside, logits out.

use prost::Message;
use spfde_data::{Normalization, Tensor, TensorData};

use super::protobuf as proto;
use super::state_dict::{arrays, metadata};
use crate::graph::{Graph, Step};
use crate::pytorch::{Module, modules};
use crate::trained::TrainedNetwork;
use crate::{Error, Result};

/// Version of the file format; 8 is that of ONNX 1.13, and can be read by all later programs.
const FORMAT: i64 = 8;

/// Version of the operators.
const OPERATORS: i64 = 13;

/// What batch norms add to a variance.
const EPSILON: f32 = 1e-5;

/// Bytes of a protobuf message.
const LARGEST: usize = i32::MAX as usize;

/// The name of the number of images.
const IMAGES: &str = "N";

/// The bytes of the file.
///
/// # Errors
/// If the network has an operation that is not known here, or is too large for the format.
pub(super) fn encode(trained: &TrainedNetwork) -> Result<Vec<u8>> {
    let network = trained.network();
    let graph = Graph::of(network.description());
    let arrays = arrays(network, false);
    let mut nodes = Nodes::default();
    let normalization = nodes.normalise(&trained.normalization()?, trained.is_table()?);
    let mut layers = modules(&graph).into_iter();
    for step in &graph.operations {
        let module = if step.name.is_empty() { None } else { layers.next() };
        nodes.add(&graph, step, module.as_ref())?;
    }
    nodes.rename_last("logits");
    let shape = trained.shape().map(|extent| extent as i64);
    let classes = network.description().task().1 as i64;
    let graph = proto::Graph {
        node: nodes.nodes,
        name: trained.model().to_owned(),
        initializer: normalization.iter().chain(&arrays).map(initializer).chain(nodes.constants).collect(),
        input: vec![value("pixels", &shape)],
        output: vec![value("logits", &[classes])],
    };
    let entry = |(key, value): (String, String)| proto::Entry { key, value };
    let model = proto::Model {
        ir_version: FORMAT,
        producer_name: "spfde".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![proto::OperatorSet { domain: String::new(), version: OPERATORS }],
        metadata_props: metadata(trained)?.into_iter().map(entry).collect(),
    };
    if model.encoded_len() > LARGEST {
        let what = "the network has more than the 2 GB that an ONNX file holds; export .safetensors";
        return Err(Error::failed(what));
    }
    Ok(model.encode_to_vec())
}

/// Operations under construction.
#[derive(Default)]
pub(super) struct Nodes {
    nodes: Vec<proto::Node>,
    /// Arrays that are not the network's.
    pub(super) constants: Vec<proto::Tensor>,
    /// The name of each value of the network, and whether it has features only, without rows and columns.
    values: Vec<(String, bool)>,
}

impl Nodes {
    /// Pixels become the network's input: pixel · scale + shift, for each of the channels; these two arrays.
    /// The columns of a table have a scale each, and are taken as they are.
    fn normalise(&mut self, Normalization { scale, shift }: &Normalization, is_table: bool) -> [Tensor; 2] {
        let scale = scale.iter().map(|scale| scale * if is_table { 1.0 } else { 255.0 }).collect();
        self.push("Mul", &["pixels", "normalization.scale"], "scaled", vec![]);
        self.push("Add", &["scaled", "normalization.shift"], "value0", vec![]);
        self.values.push(("value0".to_owned(), false));
        [("scale", scale), ("shift", shift.clone())].map(|(name, numbers): (_, Vec<f32>)| Tensor {
            name: format!("normalization.{name}"),
            shape: if is_table { vec![1, 1, 1, numbers.len()] } else { vec![1, numbers.len(), 1, 1] },
            data: TensorData::F32(numbers),
        })
    }

    /// Adds an operation of the network; a layer has a module.
    fn add(&mut self, graph: &Graph, step: &Step, module: Option<&Module>) -> Result<()> {
        let number = self.values.len();
        let reads: Vec<(String, bool)> = step.reads.iter().map(|read| self.values[*read].clone()).collect();
        let (mut value, mut is_flat) = reads[0].clone();
        let named = |what: &str| format!("value{number}.{what}");
        let ints = |name, number: i64| ints(name, vec![number; 2]);
        let of_pixels = ["convolution", "max_pool", "wide_max_pool", "average_pool", "patches", "attention"];
        if is_flat && of_pixels.contains(&step.word()) {
            value = self.pixel(&value, graph.shapes[step.reads[0]][0], &named);
            is_flat = false;
        }
        match (step.word(), module) {
            ("convolution", Some(Module { layer, norm })) => {
                let numbers = step.convolution().expect("a convolution has its numbers");
                let attributes = vec![
                    ints("kernel_shape", numbers.kernel),
                    ints("strides", numbers.stride),
                    self::ints("pads", vec![numbers.padding; 4]),
                    int("group", numbers.groups),
                ];
                let weight = format!("{layer}.weight");
                if step.has_batch_norm() {
                    value = self.push("Conv", &[&value, &weight], named("convolution"), attributes);
                    let lists = ["weight", "bias", "running_mean", "running_var"];
                    let [gain, offset, mean, variance] = lists.map(|list| format!("{norm}.{list}"));
                    let inputs = [&*value, &gain, &offset, &mean, &variance];
                    let epsilon = vec![float("epsilon", EPSILON)];
                    value = self.push("BatchNormalization", &inputs, named("norm"), epsilon);
                } else {
                    let bias = format!("{layer}.bias");
                    value = self.push("Conv", &[&value, &weight, &bias], named("convolution"), attributes);
                }
            }
            ("linear" | "classifier", Some(Module { layer, .. })) => {
                value = self.flat(&reads[0], named("flat"));
                is_flat = true;
                let inputs = [&*value, &format!("{layer}.weight"), &format!("{layer}.bias")];
                value = self.push("Gemm", &inputs, named("linear"), vec![int("transB", 1)]);
            }
            ("addition" | "sum" | "concatenation", _) => {
                // Features are alike whether they have rows and columns or not.
                is_flat = reads.iter().any(|(_, is_flat)| *is_flat);
                let mut terms: Vec<String> = reads.iter().map(|(value, _)| value.clone()).collect();
                if is_flat {
                    let flat = reads.iter().enumerate();
                    terms = flat.map(|(term, read)| self.flat(read, named(&format!("flat{term}")))).collect();
                }
                let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
                value = match step.word() {
                    "concatenation" => {
                        self.push("Concat", &terms, named("concatenation"), vec![int("axis", 1)])
                    }
                    _ => self.push("Add", &terms, named("sum"), vec![]),
                };
            }
            // Nothing is dropped but in training.
            ("dropout", _) => {}
            ("gelu", _) => value = self.gelu(&value, &named),
            ("layer_norm", _) => value = self.layer_norm(&value, &named),
            ("patches", _) => {
                let (input, output) = (graph.shapes[step.reads[0]], graph.shapes[number]);
                value = self.patches(&value, input, output, step.number("side"), &named);
            }
            ("attention", _) => {
                value = self.attention(&value, graph.shapes[number], step.number("heads"), &named);
            }
            ("max_pool", _) => {
                let attributes = vec![ints("kernel_shape", 2), ints("strides", 2)];
                value = self.push("MaxPool", &[&value], named("pool"), attributes);
            }
            ("wide_max_pool", _) => {
                let pads = self::ints("pads", vec![1; 4]);
                let attributes = vec![ints("kernel_shape", 3), ints("strides", 2), pads];
                value = self.push("MaxPool", &[&value], named("pool"), attributes);
            }
            ("average_pool", _) => value = self.push("GlobalAveragePool", &[&value], named("mean"), vec![]),
            (other, _) => {
                let what = format!("the network has the operation `{other}`, which no ONNX export knows yet");
                return Err(Error::failed(format!("{what}; export .safetensors")));
            }
        }
        if step.relu || step.word() == "addition" {
            value = self.push("Relu", &[&value], named("relu"), vec![]);
        }
        self.values.push((value, is_flat));
        Ok(())
    }

    /// Adds a node; the name of its output.
    pub(super) fn push(
        &mut self,
        kind: &str,
        inputs: &[&str],
        output: impl Into<String>,
        attributes: Vec<proto::Attribute>,
    ) -> String {
        let output = output.into();
        self.nodes.push(proto::Node {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![output.clone()],
            name: format!("make_{output}"),
            op_type: kind.to_owned(),
            attribute: attributes,
        });
        output
    }

    /// Gives the last output another name.
    fn rename_last(&mut self, name: &str) {
        let last = self.nodes.last_mut().expect("a network ends with a classifier");
        last.output = vec![name.to_owned()];
    }
}

fn float(name: &str, f: f32) -> proto::Attribute {
    proto::Attribute { name: name.to_owned(), f: Some(f), kind: proto::FLOAT, ..Default::default() }
}

pub(super) fn int(name: &str, i: i64) -> proto::Attribute {
    proto::Attribute { name: name.to_owned(), i: Some(i), kind: proto::INT, ..Default::default() }
}

pub(super) fn ints(name: &str, ints: Vec<i64>) -> proto::Attribute {
    proto::Attribute { name: name.to_owned(), ints, kind: proto::INTS, ..Default::default() }
}

/// An array that belongs to the graph.
fn initializer(Tensor { name, shape, data }: &Tensor) -> proto::Tensor {
    let TensorData::F32(numbers) = data else { unreachable!("dense arrays hold floating point numbers") };
    proto::Tensor {
        dims: shape.iter().map(|extent| *extent as i64).collect(),
        data_type: proto::ELEMENT_FLOAT,
        name: name.clone(),
        raw_data: numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
    }
}

/// An array of numbers for each of the images.
fn value(name: &str, extents: &[i64]) -> proto::ValueInfo {
    let first = proto::Extent::Name(IMAGES.to_owned());
    let extents = extents.iter().map(|extent| proto::Extent::Number(*extent));
    let dim = std::iter::once(first).chain(extents).map(|extent| proto::Dimension { extent: Some(extent) });
    let shape = Some(proto::Shape { dim: dim.collect() });
    let tensor_type = Some(proto::TensorType { elem_type: proto::ELEMENT_FLOAT, shape });
    proto::ValueInfo { name: name.to_owned(), kind: Some(proto::Type { tensor_type }) }
}
