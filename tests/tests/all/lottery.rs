//! `lottery` in a run: what comes of a network that goes back, recomputed by a replica of its own.

use std::collections::BTreeSet;
use std::f64::consts::PI;

use spfde_data::rows::{EpochRow, MaskRow};
use spfde_model::LayerStart;

use crate::reference::Reference;
use crate::support::Bench;

const WORDS: [&str; 6] = [
    "model.name=lenet5",
    "mask.policy=lottery",
    "mask.rounds=2",
    "train.epochs=7",
    "train.storage=f32",
    "freeze.policy=none",
];
/// Phases of two, two and three epochs; the network goes back to the start of epoch 1.
const BEGINS: [u32; 3] = [0, 2, 4];

/// The epoch of its own training, and where that ends.
fn phase(epoch: u32) -> (u32, u32) {
    match epoch {
        0..2 => (epoch, 2),
        2..4 => (epoch - 1, 3),
        _ => (epoch - 3, 4),
    }
}

#[test]
fn every_phase_begins_as_the_network_was_at_an_early_epoch() {
    let bench = Bench::new(96);
    let (experiment, run) = bench.train("run", &WORDS);
    run.assert_sound(7);
    let rows = run.rows::<MaskRow>();
    let epochs: BTreeSet<u32> = rows.iter().map(|row| row.epoch).collect();
    assert!(epochs.into_iter().eq(BEGINS));
    let mut reference = Reference::new(&experiment, &run);
    reference.phases = (0..7).map(|epoch| (epoch, phase(epoch))).collect();
    for epoch in 0..7 {
        if epoch == 1 {
            let layers = experiment.plan().architecture.layers.iter().enumerate();
            let early = layers.map(|(layer, shape)| {
                let mut state = reference.network.state(layer);
                state.momenta = vec![0.0; shape.weights()];
                state.lists.insert("bias_momenta".to_owned(), vec![0.0; shape.outputs]);
                state
            });
            let early: Vec<LayerStart> = early.collect();
            reference.begins = BEGINS[1..].iter().map(|epoch| (*epoch, early.clone())).collect();
        }
        reference.train(epoch, |_, _| ());
    }
    let difference = reference.difference(&run);
    assert!(difference < 1e-3, "the weights differ by {difference}");
    let base = experiment.settings().learning_rate;
    for row in run.rows::<EpochRow>() {
        let (at, ends) = phase(row.epoch);
        let rate = 0.5 * base * (1.0 + (PI * f64::from(at) / f64::from(ends)).cos());
        assert!((row.learning_rate - rate).abs() < 1e-12, "{row:?}");
    }
}
