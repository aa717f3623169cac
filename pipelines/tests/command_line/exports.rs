//! Exported networks: arrays by the names of PyTorch, and graphs that another program computes.

mod onnx;

use std::collections::BTreeMap;

use spfde_data::files::weights;
use spfde_data::{Pixels, Tensor, TensorData, files::data_set};

use crate::place::Place;
use crate::predicts::{predictions, probabilities};

/// A network with all operations that no network by name has, of images of 12 × 12: patches of 5 × 5 leave
/// two rows and columns out.
const ALL: &str = "model.layers=[{ patches = 5 }, { convolution = 12, kernel = 1, name = \"first\" }, \
     { block = \"one\" }, { convolution = 36, kernel = 1, name = \"three\" }, { attention = 2 }, \
     { dropout = 0.2 }, { sum = \"first\" }, { layer_norm = true }, \
     { convolution = 12, kernel = 3, depthwise = true }, { gelu = true, name = \"bent\" }, \
     { concatenate = [\"bent\", \"three\"] }, { block = \"two\" }, { linear = 20 }, { gelu = true }, \
     { layer_norm = true }, { dropout = 0.3 }, { linear = 10 }]";

/// A place with a run of `model` on its data.
fn trained(model: &str) -> Place {
    let place = Place::with_data();
    let name = if model == "all" { ALL.to_owned() } else { format!("model.name={model}") };
    // A graph computes with values of 32 bits.
    let exact = "train.storage=f32";
    let words = [
        "train",
        "data.path=data",
        &name,
        exact,
        "mask.sparsity=0.5",
        "freeze.policy=none",
        "train.epochs=2",
    ];
    place.run(&[&words[..], &["--run-dir", "run"]].concat()).done();
    place
}

fn arrays(place: &Place, file: &str) -> BTreeMap<String, Tensor> {
    let weights = weights::read(&place.path(file)).unwrap();
    weights.arrays.into_iter().map(|array| (array.name.clone(), array)).collect()
}

#[test]
fn graphs_give_the_probabilities_of_the_run() {
    for model in ["mlp", "lenet5", "resnet20", "vit", "all"] {
        let place = trained(model);
        place.run(&["export", "run", "--out", "net.onnx"]).done();
        let graph = onnx::Model::parse(&std::fs::read(place.path("net.onnx")).unwrap());
        assert_eq!((graph.inputs(), graph.outputs()), (vec!["pixels".to_owned()], vec!["logits".to_owned()]));
        assert_eq!(graph.shape("pixels"), ["N", "1", "12", "12"]);
        assert_eq!(graph.shape("logits"), ["N", "10"]);
        let set = data_set::read(&place.path("data")).unwrap();
        let rows = predictions(&place, &["run", "--data", "data"]);
        for (sample, row) in rows.iter().enumerate().take(6) {
            let pixels = set.test.image(sample).iter().map(|byte| f64::from(*byte) / 255.0).collect();
            let logits = graph.run(onnx::Array { shape: vec![1, 12, 12], numbers: pixels });
            let sum: f64 = logits.numbers.iter().map(|logit| logit.exp()).sum();
            for (logit, share) in logits.numbers.iter().zip(probabilities(row)) {
                // Logits, but for a number that is the same for all classes.
                let distance = (logit - sum.ln() - share.ln()).abs();
                assert!(distance < 1e-4, "{model}, image {sample}: {distance}");
            }
        }
    }
}

#[test]
fn arrays_have_the_names_and_layouts_of_pytorch() {
    let place = trained("resnet20");
    place.run(&["export", "run", "--out", "dense.safetensors"]).done();
    let dense = arrays(&place, "dense.safetensors");
    let shape = |name: &str| dense[name].shape.clone();
    assert_eq!(shape("conv1.weight"), [16, 1, 3, 3]);
    assert_eq!(shape("bn1.running_var"), [16]);
    assert_eq!(shape("layer2.0.downsample.0.weight"), [32, 16, 1, 1]);
    assert_eq!(shape("layer3.2.conv2.weight"), [64, 64, 3, 3]);
    assert_eq!((shape("fc.weight"), shape("fc.bias")), (vec![10, 64], vec![10]));
    // 21 convolutions with four lists each, and the classifier's two arrays.
    assert_eq!(dense.len(), 21 * 5 + 2);
    let metadata = weights::read(&place.path("dense.safetensors")).unwrap().metadata;
    assert_eq!((&*metadata["format"], &*metadata["spfde.input"]), ("pt", "1x12x12"));
    let set = data_set::read(&place.path("data")).unwrap();
    let Pixels::U8(bytes) = &set.train.pixels else { panic!("pictures are bytes") };
    let pixels: Vec<f64> = bytes.iter().map(|byte| f64::from(*byte) / 255.0).collect();
    let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
    let variance = pixels.iter().map(|pixel| (pixel - mean).powi(2)).sum::<f64>() / pixels.len() as f64;
    let number = |key: &str| metadata[key].parse::<f64>().unwrap();
    assert!((number("spfde.mean") - mean).abs() < 1e-6, "{mean}");
    assert!((number("spfde.deviation") - variance.sqrt()).abs() < 1e-6);

    place.run(&["export", "run", "--out", "sparse.safetensors", "--sparse"]).done();
    let sparse = arrays(&place, "sparse.safetensors");
    assert!(sparse.contains_key("conv1.weight") && !sparse.contains_key("layer1.0.conv1.weight"));
    let (TensorData::U32(indices), TensorData::F32(values), TensorData::U32(shape)) = (
        &sparse["layer1.0.conv1.weight.indices"].data,
        &sparse["layer1.0.conv1.weight.values"].data,
        &sparse["layer1.0.conv1.weight.shape"].data,
    ) else {
        panic!("{:?}", sparse.keys())
    };
    assert_eq!((indices.len(), &shape[..]), (16 * 16 * 9 / 2, &[16, 16, 3, 3][..]));
    let mut scattered = vec![0.0; 16 * 16 * 9];
    indices.iter().zip(values).for_each(|(index, value)| scattered[*index as usize] = *value);
    assert_eq!(dense["layer1.0.conv1.weight"].data, TensorData::F32(scattered));
}

#[test]
fn exports_overwrite_nothing_and_know_their_formats() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    let export = |words: &[&str]| place.run(&[&["export", "run", "--out"], words].concat());
    let done = export(&["net.onnx"]).done();
    assert!(done.out.starts_with("lenet5 after 5 epochs, 0.1 MB: net.onnx"), "{done:?}");
    export(&["net.onnx"]).refused(1, "net.onnx: exists already and was left as it is", "");
    export(&["net.pt"]).refused(2, "--out net.pt: its name has to end in .safetensors or .onnx", "");
    export(&["a.onnx", "--sparse"]).refused(2, "--out a.onnx: an ONNX graph is dense", "leave --sparse out");
}
