//! Tensors of a checkpoint: there and back, and what does not fit.

use spfde_model::{AdamW, InputShape, Kernel, Optimiser, Tensor, TensorData};

use crate::support::{bits, network, samples, sgd, shake, sparsify, train};

const SHAPE: InputShape = InputShape { channels: 1, height: 12, width: 12 };

#[test]
fn a_restored_network_goes_on_bit_for_bit() {
    let adamw = AdamW { momentum: 0.9, squares: 0.99, epsilon: 1e-8, weight_decay: 0.1 };
    let optimisers: [&dyn Optimiser; 2] = [&sgd(0.9, 1e-3), &adamw];
    for (model, optimiser) in ["mlp", "lenet5", "resnet20"].into_iter().cycle().zip(optimisers.repeat(3)) {
        let mut first = network(model, SHAPE, 6, Kernel::resolve("auto").unwrap());
        first.set_optimiser(optimiser);
        sparsify(&mut first, 0.3, Some(2), None);
        shake(&mut first);
        let samples = samples(9, SHAPE, 6);
        let rates = vec![0.05; first.architecture().blocks.len() + 1];
        let (part, _) = train(&first, &samples, 9);
        first.update(&part, &rates, optimiser);
        let mut second = network(model, SHAPE, 6, first.kernel());
        second.set_optimiser(optimiser);
        second.restore(&first.tensors()).unwrap();
        assert_eq!(first.part_len(), second.part_len());
        for _ in 0..2 {
            for network in [&mut first, &mut second] {
                let (part, _) = train(network, &samples, 9);
                network.update(&part, &rates, optimiser);
            }
        }
        assert_eq!(bits(&first), bits(&second));
    }
}

#[test]
fn tensors_that_do_not_fit_are_refused_and_change_nothing() {
    let mut network = network("lenet5", SHAPE, 6, Kernel::PORTABLE);
    let (before, tensors) = (bits(&network), network.tensors());
    type Change = fn(&mut Vec<Tensor>);
    let cases: [(Change, &str); 6] = [
        (
            |tensors| tensors.retain(|tensor| tensor.name != "linear2.momenta"),
            "tensor `linear2.momenta` is missing; the tensors are those of another model",
        ),
        (
            |tensors| {
                let data = TensorData::F32(vec![]);
                tensors.push(Tensor { name: "linear3.values".into(), shape: vec![0], data });
            },
            "tensor `linear3.values` is not part of this model",
        ),
        (|tensors| tensors.push(tensors[3].clone()), "tensor `convolution1.bias` is not part of this model"),
        (
            |tensors| tensors[3].data = TensorData::F32(vec![0.0; 5]),
            "tensor `convolution1.bias` holds 5 floating point numbers, expected 6 floating point numbers",
        ),
        (
            |tensors| tensors[1].data = TensorData::U32(vec![0; 150]),
            "tensor `convolution1.values` holds 150 unsigned numbers, expected 150 floating point numbers",
        ),
        (
            |tensors| {
                let TensorData::U32(indices) = &mut tensors[0].data else { panic!("indices come first") };
                indices[149] = 150;
            },
            "tensor `convolution1.indices` holds index 150 at position 149, not ascending below 150",
        ),
    ];
    for (change, message) in cases {
        let mut changed = tensors.clone();
        change(&mut changed);
        assert_eq!(network.restore(&changed).unwrap_err().to_string(), message);
        assert_eq!(bits(&network), before);
    }
    assert_eq!(network.restore(&tensors), Ok(()));
}
