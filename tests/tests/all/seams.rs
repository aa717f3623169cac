//! What is plugged into a step does its work, for any number of workers.

use std::sync::Arc;

use spfde::Experiment;
use spfde_data::tensor::TensorData;
use spfde_flow::{GradientTransform, Seams, Tick};
use spfde_model::Network;

use crate::support::{Bench, assert_same, transcript};

const WORDS: [&str; 7] = [
    "model.name=lenet5",
    "train.epochs=2",
    "train.weight_decay=0",
    "mask.policy=static",
    "freeze.policy=none",
    "sieve.policy=none",
    "data.augment=none",
];

/// Multiplies the gradients of one layer, of each shard or of their sum.
struct Times {
    layer: usize,
    factor: f32,
    each_shard: bool,
}

impl Times {
    fn change(&self, network: &Network, part: &mut [f32]) {
        network.gradient_mut(part, self.layer).iter_mut().for_each(|gradient| *gradient *= self.factor);
    }
}

impl GradientTransform for Times {
    fn shard(&self, _: Tick, network: &Network, part: &mut [f32]) {
        if self.each_shard {
            self.change(network, part);
        }
    }

    fn reduced(&self, _: Tick, network: &Network, part: &mut [f32]) {
        if !self.each_shard {
            self.change(network, part);
        }
    }
}

fn with(experiment: &Experiment, factor: f32, each_shard: bool) -> Experiment {
    let gradient: Arc<dyn GradientTransform> = Arc::new(Times { layer: 1, factor, each_shard });
    let seams = experiment.settings().seams.clone();
    experiment.clone().with_seams(Seams { gradient: Some(gradient), ..seams })
}

#[test]
fn a_power_of_two_may_be_multiplied_before_or_after_the_reduce() {
    let bench = Bench::new(160);
    let experiment = bench.experiment(&WORDS);
    let plain = bench.record("plain", &experiment, 1).final_weights();
    let before = bench.record("before", &with(&experiment, 2.0, true), 1);
    let after = bench.record("after", &with(&experiment, 2.0, false), 1);
    assert!(before.final_weights() == after.final_weights() && before.final_weights() != plain);
    for (name, each_shard, one) in [("before", true, &before), ("after", false, &after)] {
        let two = bench.record(&format!("{name}-2"), &with(&experiment, 2.0, each_shard), 2);
        assert_same(&transcript(&two), &transcript(one), name);
        assert!(two.final_weights() == one.final_weights());
    }
}

#[test]
fn a_layer_without_gradients_keeps_its_first_weights() {
    let bench = Bench::new(160);
    let experiment = bench.experiment(&WORDS);
    let run = bench.record("still", &with(&experiment, 0.0, false), 1);
    let first = experiment.settings().initial_network();
    let arrays = run.arrays();
    let last = |layer: usize| {
        let name = format!("{}.values", first.architecture().layers[layer].name);
        let array = arrays.iter().find(|array| array.name == name).unwrap();
        let TensorData::F32(values) = &array.data else { panic!("weights are floats") };
        values.clone()
    };
    assert_eq!(last(1), first.values(1));
    assert_ne!(last(0), first.values(0));
}
