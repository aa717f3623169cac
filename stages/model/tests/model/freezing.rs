//! Frozen blocks: no gradient, no update, running statistics, and thawing.

use spfde_data::FrozenBlocks;
use spfde_model::{Description, InputShape, Kernel, Network};

use crate::support::{bits, network, samples, sets_of, sgd, shake, sparsify, train, train_and_observe};

const SHAPE: InputShape = InputShape { channels: 1, height: 12, width: 12 };

fn masked(model: &str) -> Network {
    let mut network = network(model, SHAPE, 6, Kernel::resolve("auto").unwrap());
    sparsify(&mut network, 0.3, None, None);
    shake(&mut network);
    network
}

#[test]
fn an_update_leaves_every_bit_of_frozen_blocks_and_changes_all_others() {
    for model in ["lenet5", "resnet20"] {
        let mut network = masked(model);
        let blocks = network.architecture().blocks.len();
        let samples = samples(12, SHAPE, 6);
        let behind = ["0+1", "0+2", "1+3", "0+1+2+3"].map(|text| FrozenBlocks::parse(text).unwrap());
        let front = [0, 1, blocks - 1, blocks, 1].map(FrozenBlocks::from);
        for frozen in front.into_iter().chain(behind) {
            network.freeze(&frozen);
            assert_eq!(network.frozen_blocks(), &frozen);
            let before = bits(&network);
            let (part, _) = train(&network, &samples, 12);
            network.update(&part, &vec![0.05; blocks + 1], &sgd(0.9, 1e-2));
            for ((name, before), (_, after)) in before.iter().zip(bits(&network)) {
                let layers = &network.architecture().layers;
                let layer =
                    layers.iter().rfind(|layer| name.starts_with(&format!("{}.", layer.name))).unwrap();
                if frozen.contains(layer.block) || name.ends_with("indices") {
                    assert_eq!(*before, after, "{name} with {frozen} frozen");
                } else {
                    assert_ne!(*before, after, "{name} with {frozen} frozen");
                }
            }
        }
    }
}

#[test]
fn frozen_layers_have_no_place_in_a_part() {
    let mut network = masked("lenet5");
    let whole = network.part_len();
    network.freeze(2);
    let samples = samples(5, SHAPE, 6);
    let (part, _) = train(&network, &samples, 5);
    assert_eq!(part.len(), network.part_len());
    assert_eq!(whole - part.len(), network.nonzero(0) + 6 + network.nonzero(1) + 16);
    assert_eq!((network.gradient(&part, 0).len(), network.gradient(&part, 1).len()), (0, 0));
    assert_eq!(network.gradient(&part, 2).len(), network.nonzero(2));
    network.freeze(0);
    assert_eq!(network.part_len(), whole);
}

#[test]
fn where_no_norm_is_concerned_the_rest_has_the_gradients_of_the_unfrozen_network() {
    let mut network = masked("lenet5");
    let samples = samples(10, SHAPE, 6);
    let (part, scores) = train(&network, &samples, 10);
    let gradients: Vec<Vec<f32>> = (0..5).map(|layer| network.gradient(&part, layer).to_vec()).collect();
    // Every layer but the last is a block.
    for frozen in sets_of(4) {
        network.freeze(&frozen);
        let (part, frozen_scores) = train(&network, &samples, 10);
        assert_eq!(frozen_scores, scores);
        for (layer, gradient) in gradients.iter().enumerate() {
            let expected = if frozen.contains(layer) { &[][..] } else { gradient };
            assert_eq!(network.gradient(&part, layer), expected, "layer {layer}, {frozen} frozen");
        }
    }
}

#[test]
fn a_block_in_front_has_the_gradient_that_observing_gives_it_behind_the_same_constants() {
    let description = Description::build(SHAPE, 6, |net| {
        // No norm in front, whose statistics would depend on whether it trains.
        let x = net.convolution(5, 3).relu();
        let y = net.block().convolution(5, 3).batch_norm().relu().after(x);
        let y = net.convolution(5, 3).batch_norm().after(y);
        let x = net.add(y, net.convolution(5, 1).batch_norm().after(x));
        let y = net.block().convolution(7, 3).batch_norm().relu().after(x);
        net.classifier(net.average_pool(y))
    });
    let description = description.unwrap();
    for kernel in Kernel::all() {
        let mut network = Network::from_description(description.clone(), 11, kernel);
        sparsify(&mut network, 0.4, None, None);
        shake(&mut network);
        let samples = samples(13, SHAPE, 6);
        network.freeze(2);
        let (front, observed, scores) = train_and_observe(&network, &samples, 13);
        let in_front = network.observed_gradient(&observed, 0).to_vec();
        let behind: Vec<Vec<f32>> = (4..6).map(|layer| network.gradient(&front, layer).to_vec()).collect();
        network.freeze(FrozenBlocks::parse("0+1").unwrap());
        let (part, same) = train(&network, &samples, 13);
        assert_eq!(same, scores);
        assert!(in_front.iter().any(|gradient| *gradient != 0.0));
        assert_eq!(network.gradient(&part, 0), in_front);
        (1..4).for_each(|layer| assert!(network.gradient(&part, layer).is_empty()));
        assert_eq!(network.gradient(&part, 4), behind[0]);
        assert_eq!(network.gradient(&part, 5), behind[1]);
    }
}

#[test]
fn a_block_that_thaws_goes_on_with_the_state_it_had_when_it_froze() {
    for model in ["lenet5", "resnet20"] {
        let mut network = masked(model);
        let samples = samples(12, SHAPE, 6);
        let blocks = network.architecture().blocks.len();
        let step = |network: &mut Network| {
            let (part, _) = train(network, &samples, 12);
            network.update(&part, &vec![0.01; blocks + 1], &sgd(0.9, 1e-3));
            part
        };
        step(&mut network);
        network.freeze(2);
        let frozen = bits(&network);
        step(&mut network);
        // A mask changes behind the frozen prefix meanwhile.
        let last = network.architecture().layers.len() - 2;
        let first = network.indices(last)[0];
        network.apply_mask(last, &[first], &[], spfde_model::Growth::Zero);
        step(&mut network);
        network.freeze(1);
        let thawed = bits(&network);
        for ((name, before), (_, after)) in frozen.iter().zip(&thawed) {
            let layers = &network.architecture().layers;
            let layer = layers.iter().rfind(|layer| name.starts_with(&format!("{}.", layer.name))).unwrap();
            let changes = layer.block >= 2 && !name.ends_with("indices");
            assert!(before != after || !changes, "{name}");
            assert!(before == after || layer.block >= 2, "{name}");
        }
        // From there it trains like a network that has this state and never froze that block.
        let mut fresh = masked(model);
        fresh.restore(&network.tensors()).unwrap();
        fresh.freeze(1);
        assert_eq!(step(&mut network), step(&mut fresh));
        assert!(bits(&network) == bits(&fresh));
        let layer = network.architecture().layers.iter().position(|layer| layer.block == 1).unwrap();
        let (part, _) = train(&network, &samples, 12);
        assert!(network.gradient(&part, layer).iter().any(|gradient| *gradient != 0.0));
    }
}
