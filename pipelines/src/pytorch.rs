//! What PyTorch calls the arrays of a network: the names of a `state_dict`.
//!
//! | network | names |
//! |---|---|
//! | residual, such as `resnet20` | those of torchvision: `conv1`, `bn1`, `layer1.0.conv1`, `layer2.0.downsample.0`, `fc` |
//! | convolutions with batch norm in a row, such as `vgg16` | `features.0`, `features.1`, …, counted as `nn.Sequential` counts them with ReLU and pooling; `classifier` |
//! | `lenet5`, `mlp` | `conv1`, `conv2`, `fc1`, `fc2`, … |
//! | any other | the layer's own name; that of its batch norm ends in `_bn` |

use std::collections::BTreeSet;

use spfde_data::{LayerKind, LayerShape};

use crate::graph::{Graph, Step};

/// What the modules of a layer are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// The convolution or linear layer: of its `weight` and `bias`.
    pub(crate) layer: String,
    /// The batch norm behind it.
    pub(crate) norm: String,
}

/// The lists of what follows a layer: the network's word, whether it belongs to a batch norm, PyTorch's word.
pub(crate) const AFFINE: [(&str, bool, &str); 5] = [
    ("bias", false, "bias"),
    ("gain", true, "weight"),
    ("offset", true, "bias"),
    ("running_mean", true, "running_mean"),
    ("running_variance", true, "running_var"),
];

/// The shape of a layer's weights: outputs and inputs, of a convolution also rows and columns of its kernel.
pub(crate) fn weight_shape(layer: &LayerShape) -> Vec<usize> {
    match layer.kind {
        LayerKind::Convolution => vec![layer.outputs, layer.inputs, layer.kernel.0, layer.kernel.1],
        LayerKind::Linear => vec![layer.outputs, layer.inputs],
    }
}

/// The modules of all layers, in forward order.
pub(crate) fn modules(graph: &Graph) -> Vec<Module> {
    let named = residual(graph).or_else(|| features(graph)).or_else(|| plain(graph));
    let named = named.filter(|modules| {
        let names: BTreeSet<&str> = modules.iter().map(|module| &*module.layer).collect();
        names.len() == modules.len()
    });
    named.unwrap_or_else(|| {
        graph.layers().map(|step| module(&step.name, format!("{}_bn", step.name))).collect()
    })
}

fn module(layer: impl Into<String>, norm: impl Into<String>) -> Module {
    Module { layer: layer.into(), norm: norm.into() }
}

/// The number at the end of `name`, behind `word`.
fn numbered(name: &str, word: &str) -> Option<usize> {
    name.strip_prefix(word)?.parse().ok()
}

/// A stem, blocks of convolutions and shortcuts, a classifier. A shortcut begins a stage, but in the first.
fn residual(graph: &Graph) -> Option<Vec<Module>> {
    let has = |word: &str| graph.operations.iter().any(|step| step.word() == word);
    let shortcuts: BTreeSet<usize> = graph
        .layers()
        .filter_map(|step| numbered(step.name.strip_suffix(".shortcut")?, "block"))
        .filter(|block| *block > 0)
        .collect();
    let of = |step: &Step| match &*step.name {
        "stem" => Some(module("conv1", "bn1")),
        "classifier" => Some(module("fc", "")),
        name => {
            let (block, layer) = name.split_once('.')?;
            let block = numbered(block, "block")?;
            let first = shortcuts.range(..=block).next_back().copied().unwrap_or(0);
            let (stage, place) = (1 + shortcuts.range(..=block).count(), block - first);
            let prefix = format!("layer{stage}.{place}");
            Some(match numbered(layer, "convolution") {
                Some(number) => module(format!("{prefix}.conv{number}"), format!("{prefix}.bn{number}")),
                None if layer == "shortcut" => {
                    module(format!("{prefix}.downsample.0"), format!("{prefix}.downsample.1"))
                }
                None => return None,
            })
        }
    };
    let has_stem = graph.layers().any(|step| step.name == "stem");
    (has("addition") && has_stem).then(|| graph.layers().map(of).collect())?
}

/// Convolutions with batch norm and ReLU in a row, and a classifier.
fn features(graph: &Graph) -> Option<Vec<Module>> {
    let mut place = 0;
    let mut modules = Vec::new();
    for step in &graph.operations {
        match step.word() {
            "convolution" if step.has_batch_norm() && numbered(&step.name, "convolution").is_some() => {
                modules.push(module(format!("features.{place}"), format!("features.{}", place + 1)));
                place += 2 + usize::from(step.relu);
            }
            "max_pool" => place += 1,
            "average_pool" => (),
            "classifier" => modules.push(module("classifier", "")),
            _ => return None,
        }
    }
    Some(modules)
}

/// Numbered convolutions and linear layers with biases, the classifier last.
fn plain(graph: &Graph) -> Option<Vec<Module>> {
    let linear = |step: &&Step| step.word() == "linear";
    let last = graph.operations.iter().filter(linear).count() + 1;
    let of = |step: &Step| {
        let (convolution, linear) = (numbered(&step.name, "convolution"), numbered(&step.name, "linear"));
        let layer = match step.word() {
            "classifier" => format!("fc{last}"),
            _ => convolution.map(|number| format!("conv{number}")).or(linear.map(|n| format!("fc{n}")))?,
        };
        (!step.has_batch_norm()).then(|| module(layer, ""))
    };
    graph.layers().map(of).collect()
}

/// `count` numbers with `values` at `indices`, and 0 elsewhere; `None` if an index lies behind them.
pub(crate) fn scatter(indices: &[u32], values: &[f32], count: usize) -> Option<Vec<f32>> {
    if indices.iter().any(|index| *index as usize >= count) {
        return None;
    }
    let mut dense = vec![0.0; count];
    indices.iter().zip(values).for_each(|(index, value)| dense[*index as usize] = *value);
    Some(dense)
}

#[cfg(test)]
mod tests {
    use spfde_data::{Parameters, Value};
    use spfde_model::{Description, InputShape};

    use super::*;
    use crate::Registry;

    fn layers(description: &Description) -> Vec<String> {
        modules(&Graph::of(description)).into_iter().map(|module| module.layer).collect()
    }

    fn named(model: &str) -> Vec<String> {
        let mut parameters = Parameters::default();
        parameters.insert("model.width", Value::Integer(1));
        let input = InputShape { channels: 3, height: 32, width: 32 };
        let registry = Registry::standard();
        layers(&(registry.model(model).build)(&parameters, input, 10).unwrap())
    }

    #[test]
    fn models_have_the_names_of_their_counterparts() {
        assert_eq!(named("mlp"), ["fc1", "fc2", "fc3"]);
        assert_eq!(named("lenet5"), ["conv1", "conv2", "fc1", "fc2", "fc3"]);
        let resnet = named("resnet20");
        assert_eq!(resnet.len(), 22);
        assert_eq!(resnet[..4], ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1"]);
        assert_eq!(
            resnet[7..11],
            ["layer2.0.conv1", "layer2.0.conv2", "layer2.0.downsample.0", "layer2.1.conv1"]
        );
        assert_eq!(resnet[19..], ["layer3.2.conv1", "layer3.2.conv2", "fc"]);
    }

    #[test]
    fn rows_of_convolutions_are_counted_with_what_lies_between_them() {
        let input = InputShape { channels: 1, height: 8, width: 8 };
        let network = Description::build(input, 2, |net| {
            let x =
                net.block_named("convolution1").convolution(2, 3).batch_norm().relu().named("convolution1");
            let x = net.max_pool(x);
            let x = net.block_named("convolution2").convolution(2, 3).after(x);
            net.classifier(net.average_pool(x.batch_norm().relu().named("convolution2")))
        })
        .unwrap();
        assert_eq!(layers(&network), ["features.0", "features.4", "classifier"]);
        assert_eq!(modules(&Graph::of(&network))[1].norm, "features.5");
    }

    #[test]
    fn other_networks_keep_their_names() {
        let input = InputShape { channels: 1, height: 8, width: 8 };
        let network = Description::build(input, 2, |net| {
            let x = net.convolution(2, 3).batch_norm().relu();
            let x = net.block().convolution(2, 3).batch_norm().relu().after(x).named("second");
            net.classifier(net.average_pool(x))
        })
        .unwrap();
        assert_eq!(layers(&network), ["block0.convolution1", "second", "classifier"]);
        assert_eq!(modules(&Graph::of(&network))[1].norm, "second_bn");
    }
}
