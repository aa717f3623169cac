//! Masks that change after so many steps of an epoch, recomputed by a replica of its own.

use std::collections::{BTreeMap, BTreeSet};

use spfde::configuration::Configuration;
use spfde::{Experiment, Options};
use spfde_data::architecture::Architecture;
use spfde_data::parameter::ParameterError;
use spfde_data::rows::{EpochRow, LayerRow, MaskRow};
use spfde_model::Network;
use spfde_policy::mask::selection::{dense_gradients, magnitudes};
use spfde_policy::mask::{Distribution, MaskDelta, MaskRule, MaskUpdate, Needs, Schedule, Targets};

use crate::reference::{Reference, filled, gradient};
use crate::replay::costs;
use crate::resuming::{assert_equal, begin, until};
use crate::rigl::assert_highest;
use crate::support::{Bench, Recorded, assert_same, transcript};

spfde_data::parameters! {
    /// A quarter of the weights is exchanged after every second step, by the dense gradient.
    struct BySteps in "mask" {}
}

spfde_data::state! {
    /// How often a layer was updated.
    struct Updates { count: u32 = 0, }
}

const EPOCHS: u32 = 5;
/// Those in which masks change: the ones before 0.7 of the run.
const CHANGING: u32 = 4;

impl MaskRule for BySteps {
    const NAME: &'static str = "by-steps";
    const SUMMARY: &'static str = "exchanges weights after every second step";
    type State = Updates;

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        Targets::new(architecture, Distribution::Uniform, 0.8)
    }

    fn schedule(&self, epochs: u32) -> Schedule {
        Schedule { until: 0.7, ..Schedule::every_steps(2, epochs) }
    }

    fn needs(&self) -> Needs {
        Needs::DenseGradient
    }

    fn update(&self, update: &MaskUpdate<'_>, state: &mut Updates) -> MaskDelta {
        state.count += 1;
        // What it does depends on its state: a run that is resumed has to have it.
        let count = update.indices.len() / if state.count.is_multiple_of(3) { 8 } else { 4 };
        let dropped = update.moment.units.least(magnitudes(update).into_iter(), count);
        let absent = dense_gradients(update, update.indices);
        MaskDelta { dropped, grown: update.moment.units.greatest(&[], absent, count) }
    }
}

fn prepare(bench: &Bench, configuration: Configuration) -> Result<Experiment, spfde::Error> {
    bench.prepare(configuration)?.with_mask(BySteps {})
}

fn experiment(bench: &Bench) -> Experiment {
    let words = [
        "model.name=lenet5",
        "train.epochs=5",
        "train.storage=f32",
        "freeze.policy=none",
        "sieve.policy=random",
        "sieve.fraction=0.2",
        "data.batch_size=16",
    ];
    bench.experiment(&words).with_mask(BySteps {}).unwrap()
}

/// The weights of a layer by index, 0 where there is none.
fn dense(network: &Network, layer: usize) -> Vec<f32> {
    let mut all = vec![0.0; network.architecture().layers[layer].weights()];
    let existing = network.indices(layer).iter().zip(network.values(layer));
    existing.for_each(|(index, value)| all[*index as usize] = *value);
    all
}

#[test]
fn masks_change_after_steps_by_the_weights_and_the_gradient_of_that_step() {
    let bench = Bench::new(120);
    let experiment = experiment(&bench);
    let run = bench.record("run", &experiment, 2);
    run.assert_sound(EPOCHS);
    let rows = run.rows::<MaskRow>();
    let mut changes: BTreeMap<(u32, u32, usize), [BTreeSet<u32>; 2]> = BTreeMap::new();
    for row in rows.iter().filter(|row| (row.epoch, row.step) != (0, 0)) {
        let of_layer = changes.entry((row.epoch, row.step, usize::from(row.layer))).or_default();
        of_layer[usize::from(row.diff > 0)].insert(row.index);
    }
    let masked: Vec<usize> =
        (0..experiment.plan().masked.len()).filter(|layer| experiment.plan().masked[*layer]).collect();
    let mut reference = Reference::new(&experiment, &run);
    let (layers, epochs) = (run.rows::<LayerRow>(), run.rows::<EpochRow>());
    let mut updates = 0;
    for epoch in 0..EPOCHS {
        let mut gradients: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
        let (mut starts, mut billed) = (BTreeMap::new(), 0);
        reference.train_steps(epoch, |step, steps, network, samples| {
            if step == 0 {
                starts = masked.iter().map(|layer| (*layer, dense(network, *layer))).collect();
            }
            let is_update = step > 0 && step % 2 == 0 && epoch < CHANGING;
            updates += u32::from(is_update);
            for layer in &masked {
                let Some([dropped, grown]) = changes.remove(&(epoch, step as u32, *layer)) else {
                    assert!(!is_update, "epoch {epoch}, step {step}: layer {layer} does not change");
                    continue;
                };
                let what = format!("epoch {epoch}, step {step}, layer {layer}");
                assert!(is_update, "{what}");
                let (indices, values) = (network.indices(*layer), network.values(*layer));
                let count = indices.len() / if updates % 3 == 0 { 8 } else { 4 };
                let small: Vec<(u32, f32)> =
                    indices.iter().zip(values).map(|(index, value)| (*index, -value.abs())).collect();
                assert_highest(&dropped, &small, count, &format!("{what}: dropped"));
                let absent = gradients[layer].iter().zip(0..).filter(|(_, index)| !indices.contains(index));
                let absent: Vec<(u32, f32)> = absent.map(|(value, index)| (index, value.abs())).collect();
                assert_highest(&grown, &absent, count, &format!("{what}: grown"));
            }
            if epoch < CHANGING && step % 2 == 1 && step + 1 < steps {
                let filled = filled(&experiment, network);
                let part = gradient(&experiment, &filled, samples, &vec![1.0; samples.len()]);
                gradients =
                    masked.iter().map(|layer| (*layer, filled.gradient(&part, *layer).to_vec())).collect();
                let shapes = masked.iter().map(|layer| &network.architecture().layers[*layer]);
                let flops = shapes.map(|shape| 2 * shape.weights() as u64 * shape.positions);
                billed += flops.sum::<u64>() * samples.len() as u64;
            }
        });
        assert_eq!(epochs[epoch as usize].extra_flops, billed, "epoch {epoch}");
        for layer in &masked {
            let ended = dense(&reference.network, *layer);
            let change: f64 =
                starts[layer].iter().zip(&ended).map(|(start, end)| f64::from(end - start).abs()).sum();
            let row =
                layers.iter().find(|row| (row.epoch, usize::from(row.layer)) == (epoch, *layer)).unwrap();
            let difference = (row.weight_change_l1 - change).abs();
            assert!(difference <= 1e-3 * change, "{row:?}, not {change}");
        }
    }
    assert!(changes.is_empty() && updates == 2 * CHANGING, "{updates}, {changes:?}");
    let difference = reference.difference(&run);
    assert!(difference < 1e-3, "the weights differ by {difference}");
}

#[test]
fn masks_that_change_within_an_epoch_are_the_same_on_any_number_of_workers_and_after_a_resume() {
    let bench = Bench::new(120);
    let experiment = experiment(&bench);
    let whole = bench.record("whole", &experiment, 1);
    for workers in [2, 4] {
        let run = bench.record(&workers.to_string(), &experiment, workers);
        assert_same(&transcript(&whole), &transcript(&run), &format!("{workers} workers"));
        assert!(whole.final_weights() == run.final_weights(), "{workers} workers");
    }
    for (epoch, step, workers) in [(1, 0, 1), (2, 3, 2)] {
        let path = bench.path(&format!("resumed-{epoch}"));
        begin(&experiment, &path, until(epoch, step, workers));
        let options = Options { workers: 3 - workers, ..Options::default() };
        spfde::resume(&path, |configuration| prepare(&bench, configuration), options, spfde::wire).unwrap();
        assert_equal(&Recorded::open(&path), &whole, "resumed");
    }
    let record = spfde::Record::open(&whole.path).unwrap();
    let own = record.experiment(&[]).unwrap();
    let options = Options { directory: Some(bench.path("replayed")), workers: 2, ..Options::default() };
    spfde::replay(&record, &own.with_mask(BySteps {}).unwrap(), options, spfde::wire).unwrap();
    let replay = Recorded::open(&bench.path("replayed"));
    replay.assert_sound(EPOCHS);
    assert_eq!(costs(&whole), costs(&replay));
}
