//! Every model of the registry: it builds, and has the layers and sizes that can be counted by hand.

use spfde_data::architecture::LayerKind;
use spfde_model::{Description, InputShape, Kernel, models};

use crate::support::{self, network, parameters, samples, sgd, sparsify, train};

const GREY: InputShape = InputShape { channels: 1, height: 28, width: 28 };
const COLOUR: InputShape = InputShape { channels: 3, height: 32, width: 32 };

fn describe(model: &str, width: i64, shape: InputShape, classes: usize) -> Description {
    support::describe(model, width, shape, classes).unwrap()
}

#[test]
fn every_model_builds_and_trains_on_grey_and_coloured_images() {
    for entry in models::registry() {
        for shape in [GREY, COLOUR] {
            let large = ["resnet18", "resnet50", "vgg16", "vgg19"].contains(&entry.name);
            if large && shape == COLOUR {
                continue;
            }
            let network = network(entry.name, shape, 10, Kernel::resolve("auto").unwrap());
            let (part, scores) = train(&network, &samples(3, shape, 10), 3);
            assert_eq!(network.check(&part), Ok(()), "{}", entry.name);
            assert_eq!(scores.len(), 3);
            let architecture = network.architecture();
            assert_eq!(architecture.activation_bytes.len(), architecture.blocks.len() + 1);
            for (number, layer) in architecture.layers.iter().enumerate() {
                assert_eq!(network.nonzero(number), layer.weights(), "{} {}", entry.name, layer.name);
                assert!(network.gradient(&part, number).iter().any(|g| *g != 0.0), "{}", layer.name);
            }
            // The classifier is the only layer without a block, and blocks come in order.
            let blocks: Vec<usize> = architecture.layers.iter().map(|layer| layer.block).collect();
            assert!(blocks.is_sorted());
            assert_eq!(blocks.iter().filter(|block| **block == architecture.blocks.len()).count(), 1);
            for block in 0..architecture.blocks.len() {
                let mut layers = architecture.layers_of(block);
                assert!(layers.any(|layer| architecture.layers[layer].reads_block_input));
            }
        }
    }
}

#[test]
fn deep_networks_learn_a_batch_at_their_learning_rate() {
    let shape = InputShape { channels: 3, height: 16, width: 16 };
    for name in ["resnet18", "wide-resnet", "vgg16", "mobilenet", "vit"] {
        let mut network = network(name, shape, 4, Kernel::resolve("auto").unwrap());
        sparsify(&mut network, 0.3, None, None);
        let entry = models::registry().into_iter().find(|entry| entry.name == name).unwrap();
        let samples = samples(16, shape, 4);
        let losses = (0..30).map(|step| {
            let (part, scores) = train(&network, &samples, 16);
            network.check(&part).unwrap();
            // Down to 0, as a run has it.
            let rate = entry.learning_rate as f32 * (30 - step) as f32 / 30.0;
            let rates = vec![rate; network.architecture().blocks.len() + 1];
            network.update(&part, &rates, &sgd(0.9, 1e-4));
            scores.iter().map(|score| score.loss).sum::<f32>() / 16.0
        });
        let losses: Vec<f32> = losses.collect();
        assert!(losses[29] < 0.5 * losses[0], "{name}: {losses:?}");
    }
}

#[test]
fn models_have_as_many_parameters_as_counted_by_hand() {
    // ResNet-20 with shortcuts without parameters has 269 722 on CIFAR-10 (He et al. 2016: 0.27 million);
    // each further block of a stage of c channels adds 18 c² + 4 c; the two shortcuts add 16·32 + 64 and
    // 32·64 + 128.
    let shortcuts = 16 * 32 + 64 + 32 * 64 + 128;
    let block = |c: usize| 18 * c * c + 4 * c;
    let stages = block(16) + block(32) + block(64);
    for (model, counted) in [
        ("resnet20", 269_722 + shortcuts),
        ("resnet32", 269_722 + 2 * stages + shortcuts),
        ("resnet56", 269_722 + 6 * stages + shortcuts),
    ] {
        assert_eq!(parameters(&describe(model, 1, COLOUR, 10)), counted, "{model}");
        assert_eq!(parameters(&describe(model, 1, GREY, 10)), counted - 2 * 9 * 16, "{model}");
    }
    assert_eq!(parameters(&describe("resnet20", 1, COLOUR, 10)), 272_474);
    assert_eq!(parameters(&describe("lenet5", 1, GREY, 10)), 61_706);
    let mlp = 784 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 * 10 + 10;
    assert_eq!(parameters(&describe("mlp", 1, GREY, 10)), mlp);
    let wide = 784 * 3072 + 3072 + 3072 * 3072 + 3072 + 3072 * 100 + 100;
    assert_eq!(parameters(&describe("mlp", 3, GREY, 100)), wide);
}

/// Counted by PyTorch: of torchvision on images of 224×224 with 1000 classes, of the usual implementations
/// for CIFAR (github.com/kuangliu/pytorch-cifar) on those, whose VGG has 4224 and 5504 biases more, in
/// front of batch norms.
#[test]
fn networks_after_pytorch_have_as_many_parameters_as_there() {
    let large = InputShape { channels: 3, height: 224, width: 224 };
    for (model, shape, classes, counted) in [
        ("resnet18", large, 1000, 11_689_512),
        ("resnet50", large, 1000, 25_557_032),
        ("resnet18", COLOUR, 10, 11_173_962),
        ("resnet50", COLOUR, 10, 23_520_842),
        ("vgg16", COLOUR, 10, 14_728_266 - 4224),
        ("vgg19", COLOUR, 10, 20_040_522 - 5504),
        ("mobilenet", COLOUR, 10, 3_217_226),
    ] {
        assert_eq!(parameters(&describe(model, 1, shape, classes)), counted, "{model}");
    }
    let stage = |inputs: usize, c: usize| 9 * inputs * c + 27 * c * c + 8 * c + inputs * c + 2 * c;
    let wide = 27 * 16 + 32 + stage(16, 64) + stage(64, 128) + stage(128, 256) + 2570;
    assert_eq!(parameters(&describe("wide-resnet", 4, COLOUR, 10)), wide);
    let description = describe("resnet50", 1, large, 1000);
    let positions = |name: &str| {
        let mut layers = description.architecture().layers.iter();
        layers.find(|layer| layer.name == name).unwrap().positions
    };
    assert_eq!(positions("stem"), 112 * 112);
    assert_eq!(positions("block0.convolution1"), 56 * 56);
    // The stride is that of the 3×3 convolution.
    assert_eq!([1, 2, 3].map(|n| positions(&format!("block3.convolution{n}"))), [56 * 56, 28 * 28, 28 * 28]);
}

#[test]
fn a_depthwise_layer_has_a_weight_for_its_own_channel_only() {
    let description = describe("mobilenet", 1, COLOUR, 10);
    let layer = &description.architecture().layers[3];
    assert_eq!((layer.name.as_str(), layer.inputs, layer.outputs), ("block1.depthwise", 1, 64));
    assert_eq!((layer.weights(), layer.positions), (64 * 9, 256));
    let error = support::describe_with("wide-resnet", "model.depth", 18, COLOUR, 10).unwrap_err().to_string();
    assert_eq!(error, "`model.depth`: 18 is not 4 more than a multiple of 6; 16 and 22 are");
}

#[test]
fn resnet20_has_the_layers_of_the_paper_and_projections_after_second_convolutions() {
    let description = describe("resnet20", 2, GREY, 10);
    let architecture = description.architecture();
    assert_eq!((architecture.layers.len(), architecture.blocks.len()), (22, 9));
    let names: Vec<&str> = architecture.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names[..4], ["stem", "block0.convolution1", "block0.convolution2", "block1.convolution1"]);
    assert_eq!(
        names[7..11],
        ["block3.convolution1", "block3.convolution2", "block3.shortcut", "block4.convolution1"]
    );
    let layer = |name: &str| &architecture.layers[names.iter().position(|n| *n == name).unwrap()];
    let stem = layer("stem");
    assert_eq!((stem.block, stem.reads_block_input, stem.positions), (0, true, 784));
    assert_eq!(stem.kind, LayerKind::Convolution);
    assert!(!layer("block0.convolution1").reads_block_input);
    let first = layer("block3.convolution1");
    assert_eq!((first.outputs, first.inputs, first.kernel, first.positions), (64, 32, (3, 3), 196));
    assert!(first.reads_block_input && !layer("block3.convolution2").reads_block_input);
    let shortcut = layer("block3.shortcut");
    assert_eq!(
        (shortcut.outputs, shortcut.inputs, shortcut.kernel, shortcut.positions),
        (64, 32, (1, 1), 196)
    );
    assert!(shortcut.reads_block_input);
    assert_eq!(layer("block8.convolution2").positions, 49);
    let classifier = layer("classifier");
    assert_eq!((classifier.outputs, classifier.inputs, classifier.block), (10, 128, 9));
    assert_eq!((classifier.kind, classifier.reads_block_input), (LayerKind::Linear, true));
}

#[test]
fn in_mlp_and_lenet5_every_layer_but_the_classifier_is_a_block() {
    for (model, layers) in [("mlp", 3), ("lenet5", 5)] {
        let description = describe(model, 1, GREY, 10);
        let architecture = description.architecture();
        let blocks: Vec<usize> = architecture.layers.iter().map(|layer| layer.block).collect();
        assert_eq!(blocks, (0..layers).collect::<Vec<_>>());
        assert!(architecture.layers.iter().all(|layer| layer.reads_block_input));
        assert_eq!(architecture.blocks.len(), layers - 1);
    }
    let description = describe("lenet5", 1, GREY, 10);
    let positions: Vec<u64> = description.architecture().layers.iter().map(|layer| layer.positions).collect();
    assert_eq!(positions, [784, 100, 1, 1, 1]);
}

#[test]
fn inputs_that_are_too_small_are_refused() {
    let new = |model: &str, shape: InputShape| support::describe(model, 1, shape, 10);
    let error = new("lenet5", InputShape { width: 11, ..GREY }).unwrap_err().to_string();
    assert_eq!(error, "`model.name`: `lenet5` needs images of at least 12x12 pixels, the data has 1x28x11");
    assert!(new("lenet5", InputShape { channels: 1, height: 12, width: 12 }).is_ok());
    assert!(new("resnet20", InputShape { channels: 1, height: 1, width: 1 }).is_ok());
    let error = new("vgg16", InputShape { channels: 3, height: 12, width: 16 }).unwrap_err().to_string();
    let expected = "`model.name`: `vgg16` cannot be built for images of 3x12x16: max pooling (operation 13): \
                    an input of 512x1x2 has no room for a window of 2x2 pixels";
    assert_eq!(error, expected);
}
