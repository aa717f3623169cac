//! Momentum SGD and running statistics, against the formulas in f64.

use spfde_model::{InputShape, Kernel};

use crate::support::{network, number, sgd, shake, sparsify, state};

#[test]
fn updates_follow_the_formulas_with_a_rate_for_each_block() {
    let shape = InputShape { channels: 1, height: 8, width: 8 };
    let mut network = network("resnet20", shape, 4, Kernel::PORTABLE);
    sparsify(&mut network, 0.3, None, None);
    shake(&mut network);
    network.freeze(2);
    let blocks = network.architecture().blocks.len();
    let rates: Vec<f32> = (0..=blocks).map(|block| 0.01 + 0.03 * block as f32).collect();
    let (momentum, decay) = (0.9_f32, 0.02_f32);
    let mut expected = state(&network);
    for step in 0..3 {
        let part: Vec<f32> =
            (0..network.part_len()).map(|place| number(50 + step, place) as f32 + 1.0).collect();
        network.update(&part, &rates, &sgd(momentum, decay));
        let mut rest = part.iter().map(|value| f64::from(*value));
        for layer in network.architecture().layers.iter().filter(|layer| layer.block >= 2) {
            let rate = f64::from(rates[layer.block]);
            let name = |what: &str| format!("{}.{what}", layer.name);
            let mut descend = |values: &str, momenta: &str, decay: f64| {
                let mut velocities = expected[&name(momenta)].clone();
                for (velocity, value) in velocities.iter_mut().zip(expected.get_mut(&name(values)).unwrap()) {
                    *velocity = f64::from(momentum) * *velocity + rest.next().unwrap() + decay * *value;
                    *value -= rate * *velocity;
                }
                expected.insert(name(momenta), velocities);
            };
            descend("values", "momenta", f64::from(decay));
            if layer.name == "classifier" {
                descend("bias", "bias_momenta", 0.0);
                continue;
            }
            descend("gain", "gain_momenta", 0.0);
            descend("offset", "offset_momenta", 0.0);
            for what in ["running_mean", "running_variance"] {
                for running in expected.get_mut(&name(what)).unwrap() {
                    *running = 0.9 * *running + 0.1 * rest.next().unwrap();
                }
            }
        }
        assert_eq!(rest.next(), None);
    }
    let found = state(&network);
    assert_eq!(found.len(), expected.len());
    for (name, expected) in &expected {
        for (found, expected) in found[name].iter().zip(expected) {
            assert!(
                (found - expected).abs() < 2e-6 * (1.0 + expected.abs()),
                "{name}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn kernels_see_updated_weights() {
    let shape = InputShape { channels: 1, height: 8, width: 8 };
    let mut trained = network("resnet20", shape, 4, Kernel::resolve("auto").unwrap());
    sparsify(&mut trained, 0.3, None, None);
    let samples = crate::support::samples(8, shape, 4);
    let (part, _) = crate::support::train(&trained, &samples, 8);
    trained.update(&part, &[0.1; 10], &sgd(0.9, 0.0));
    // A network that gets the same weights anew has the same views of them.
    let mut fresh = network("resnet20", shape, 4, trained.kernel());
    fresh.restore(&trained.tensors()).unwrap();
    let (after, _) = crate::support::train(&trained, &samples, 8);
    assert_ne!(part, after);
    assert_eq!(after, crate::support::train(&fresh, &samples, 8).0);
}
