//! Dense gradients on demand: of weights that exist and of those that do not.

use spfde_data::FrozenBlocks;
use spfde_model::{Extra, InputShape, Kernel, Network, Wanted, Workspace};

use crate::families::{Norms, Overrides, model};
use crate::support::{Samples, activations, network, relative_error, samples, shake, sparsify, train};

const CLASSES: usize = 5;
const MODELS: [(&str, InputShape); 3] = [
    ("mlp", InputShape { channels: 2, height: 3, width: 4 }),
    ("lenet5", InputShape { channels: 2, height: 14, width: 13 }),
    ("resnet20", InputShape { channels: 3, height: 9, width: 7 }),
];

/// All weights of these layers.
fn whole(network: &Network, layers: &[usize]) -> Vec<Extra> {
    let weights = |layer: usize| network.architecture().layers[layer].weights() as u32;
    layers.iter().map(|layer| Extra::new(*layer, (0..weights(*layer)).collect())).collect()
}

/// The part and the dense gradients of `layers` of some samples.
fn dense(network: &Network, samples: &Samples, batch_samples: usize, layers: &[usize]) -> [Vec<f32>; 2] {
    let inputs = activations(network.kernel(), samples, f32::NAN);
    let shard = samples.shard(&inputs, batch_samples);
    let mut part = vec![f32::NAN; network.part_len()];
    let extra = whole(network, layers);
    let mut dense = vec![f32::NAN; network.extra_len(&extra)];
    let wanted = Wanted { part: &mut part, extra: &extra, extra_gradients: &mut dense, ..Wanted::default() };
    network.train_shard_for(&mut Workspace::new(network), &shard, wanted);
    [part, dense]
}

#[test]
fn dense_gradients_are_those_of_the_reference_and_leave_every_bit_of_the_part() {
    for (name, shape) in MODELS {
        let samples = samples(9, shape, CLASSES);
        for frozen in ["0", "1", "0+1"].map(|text| FrozenBlocks::parse(text).unwrap()) {
            let networks = Kernel::all().into_iter().map(|kernel| {
                let mut network = network(name, shape, CLASSES, kernel);
                // One layer has no weights at all, one all of them.
                sparsify(&mut network, 0.3, Some(2), Some(1));
                shake(&mut network);
                network.freeze(&frozen);
                network
            });
            let networks: Vec<Network> = networks.collect();
            let reference = model(name, &networks[0], &samples, 40, Norms::Batch, &Overrides::new());
            let gradients = reference.reference.gradients(reference.loss);
            let expected = |layer: &str| &gradients[reference.parameters[&format!("{layer}.values")]];
            networks.iter().for_each(|network| compare(network, &samples, expected));
        }
    }
}

fn compare<'a>(network: &Network, samples: &Samples, expected: impl Fn(&str) -> &'a Vec<f64>) {
    let shapes = &network.architecture().layers;
    let frozen = network.frozen_blocks();
    let layers = (0..shapes.len()).filter(|layer| !frozen.contains(shapes[*layer].block));
    let layers: Vec<usize> = layers.collect();
    let [part, dense] = dense(network, samples, 40, &layers);
    assert_eq!(part, train(network, samples, 40).0);
    let extra = whole(network, &layers);
    for layer in &layers {
        let found = network.extra_gradient(&dense, &extra, *layer);
        let name = &shapes[*layer].name;
        let error = relative_error(found, expected(name));
        assert!(error < 2e-5, "{name} is off by {error:.1e} with {frozen} frozen");
        let existing: Vec<f32> = network.indices(*layer).iter().map(|index| found[*index as usize]).collect();
        assert_eq!(existing, network.gradient(&part, *layer));
    }
}

#[test]
fn dense_gradients_of_some_layers_are_those_of_all_and_a_shard_without_samples_adds_nothing() {
    let (name, shape) = MODELS[1];
    let mut network = network(name, shape, CLASSES, Kernel::PORTABLE);
    sparsify(&mut network, 0.2, None, None);
    let samples = samples(9, shape, CLASSES);
    let [_, all] = dense(&network, &samples, 9, &[1, 2, 3]);
    let [_, some] = dense(&network, &samples, 9, &[1, 3]);
    for layer in [1, 3] {
        let of_all = network.extra_gradient(&all, &whole(&network, &[1, 2, 3]), layer);
        assert_eq!(of_all, network.extra_gradient(&some, &whole(&network, &[1, 3]), layer));
        assert!(of_all.iter().filter(|gradient| **gradient != 0.0).count() > network.nonzero(layer));
    }
    let nothing = crate::support::samples(0, shape, CLASSES);
    for numbers in dense(&network, &nothing, 9, &[1, 3]) {
        assert!(numbers.iter().all(|number| *number == 0.0));
    }
}

#[test]
fn gradients_of_candidates_are_those_of_all_weights() {
    for (name, shape) in MODELS {
        for kernel in Kernel::all() {
            let mut network = network(name, shape, CLASSES, kernel);
            sparsify(&mut network, 0.2, None, None);
            let samples = samples(9, shape, CLASSES);
            let inputs = activations(kernel, &samples, f32::NAN);
            let shard = samples.shard(&inputs, 9);
            let [part, all] = dense(&network, &samples, 9, &[1]);
            let third = |index: &u32| index.is_multiple_of(3) || network.indices(1).contains(index);
            let indices = whole(&network, &[1])[0].indices().iter().copied().filter(third).collect();
            let some = [Extra::new(1, indices)];
            let (mut few, mut again) = (vec![0.0; network.extra_len(&some)], vec![0.0; network.part_len()]);
            let wanted =
                Wanted { part: &mut again, extra: &some, extra_gradients: &mut few, ..Wanted::default() };
            network.train_shard_for(&mut Workspace::new(&network), &shard, wanted);
            assert_eq!(again, part, "{name}");
            let expected = some[0].indices().iter().map(|index| all[*index as usize]);
            assert_eq!(few, expected.collect::<Vec<f32>>(), "{name}");
        }
    }
}

#[test]
#[should_panic(expected = "no layer is frozen")]
fn a_frozen_layer_is_never_asked() {
    let (name, shape) = MODELS[1];
    let mut network = network(name, shape, CLASSES, Kernel::PORTABLE);
    network.freeze(2);
    network.extra_len(&whole(&network, &[1]));
}
