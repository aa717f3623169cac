//! A block that freezes and trains again.

use spfde_data::rows::{EpochRow, FreezeEvidenceRow, FreezeRow, LayerRow, MaskRow};
use spfde_policy::count;
use spfde_policy::freeze::{Change, FreezeContext, FreezeRule, Judged};

use spfde::configuration::Configuration;
use spfde::{Experiment, Options};

use crate::replay::assert_replays;
use crate::resuming::{assert_equal, assert_goes_on, begin, until};
use crate::support::{Bench, Recorded, assert_same, transcript};

spfde_data::parameters! {
    /// Freezes the first block from epoch 1 to epoch 3.
    struct Pauses in "freeze" {}
}

impl FreezeRule for Pauses {
    const NAME: &'static str = "pauses";
    const SUMMARY: &'static str = "the first block rests from epoch 1 to epoch 3";
    type State = ();

    fn decide(&self, _: &FreezeContext, _: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
        let change = |frozen| Change { block: 0, frozen, reason: "a pause".to_owned() };
        match epoch {
            1 => vec![change(true)],
            3 => vec![change(false)],
            _ => Vec::new(),
        }
    }
}

const EPOCHS: u32 = 6;
const WORDS: [&str; 5] =
    ["model.name=resnet20", "train.epochs=6", "mask.sparsity=0.7", "mask.interval=1", "freeze.policy=none"];

fn pausing(experiment: Experiment) -> Experiment {
    experiment.with_freeze(Pauses {}).unwrap()
}

fn is_paused(epoch: u32) -> bool {
    (1..3).contains(&epoch)
}

fn assert_paused(experiment: &Experiment, run: &Recorded) {
    run.assert_sound(EPOCHS);
    let architecture = &experiment.plan().architecture;
    let first: Vec<u16> =
        (0..).zip(&architecture.layers).filter(|(_, l)| l.block == 0).map(|(n, _)| n).collect();
    assert!(first.len() > 1, "a block of several layers");
    let expected: Vec<(u32, u32, u16, i8)> = [(1, 1), (3, -1)]
        .iter()
        .flat_map(|(epoch, diff)| first.iter().map(|n| (*epoch, 0, *n, *diff)))
        .collect();
    let freezes = run.rows::<FreezeRow>();
    let found: Vec<_> = freezes.iter().map(|row| (row.epoch, row.step, row.layer, row.diff)).collect();
    assert_eq!(found, expected);
    let layers = run.rows::<LayerRow>();
    for row in &layers {
        let rests = is_paused(row.epoch) && first.contains(&row.layer);
        assert_eq!(row.frozen, rests, "{row:?}");
        assert_eq!(row.weight_change_l1 == 0.0, rests, "{row:?}");
    }
    let norm = |epoch: u32, layer: u16| {
        layers.iter().find(|row| (row.epoch, row.layer) == (epoch, layer)).unwrap().weight_l2
    };
    assert!(first.iter().all(|layer| norm(1, *layer) == norm(2, *layer)));
    // Pruned as it freezes, not touched while it is frozen nor as it thaws, and then again.
    let mut touched: Vec<u32> =
        run.rows::<MaskRow>().iter().filter(|row| first.contains(&row.layer)).map(|row| row.epoch).collect();
    touched.dedup();
    assert_eq!(touched, [0, 1, 4, 5]);
    for row in run.rows::<EpochRow>() {
        let nonzero: Vec<u32> =
            layers.iter().filter(|layer| layer.epoch == row.epoch).map(|layer| layer.nonzero).collect();
        let cost = count(architecture, &nonzero, usize::from(is_paused(row.epoch)), row.active_samples);
        assert_eq!((row.forward_flops, row.backward_flops), (cost.forward, cost.backward), "{row:?}");
        let frozen = if is_paused(row.epoch) { first.len() } else { 0 };
        assert_eq!(usize::from(row.frozen_layers), frozen, "{row:?}");
    }
}

#[test]
fn a_block_that_thaws_rests_in_between_and_trains_again() {
    let bench = Bench::new(64);
    let experiment = pausing(bench.experiment(&WORDS));
    let whole = bench.record("1", &experiment, 1);
    assert_paused(&experiment, &whole);
    for workers in [2, 4] {
        let run = bench.record(&workers.to_string(), &experiment, workers);
        assert_same(&transcript(&whole), &transcript(&run), "workers");
        assert!(whole.final_weights() == run.final_weights(), "{workers} workers");
    }
}

#[test]
fn a_run_goes_on_across_a_freeze_and_a_thaw() {
    let bench = Bench::new(64);
    let experiment = pausing(bench.experiment(&WORDS));
    let whole = bench.record("whole", &experiment, 1);
    whole.assert_sound(EPOCHS);
    assert_goes_on(&bench, &experiment, &whole, pausing);
}

#[test]
fn a_thaw_is_replayed_as_it_was() {
    let bench = Bench::new(64);
    for mask in ["mest-ems", "rigl"] {
        let policy = format!("mask.policy={mask}");
        let live = pausing(bench.experiment(&[&WORDS[..], &[&policy]].concat()));
        let run = bench.record(mask, &live, 2);
        run.assert_sound(EPOCHS);
        assert_replays(&bench, &run, pausing);
    }
}

/// Whether layers of one block change in each epoch.
fn moved(run: &Recorded, layers: &[u16]) -> Vec<bool> {
    let rows = run.rows::<LayerRow>();
    let of = |epoch: u32| rows.iter().filter(move |row| row.epoch == epoch && layers.contains(&row.layer));
    let epochs = rows.iter().map(|row| row.epoch).max().unwrap();
    let moved = |epoch: u32| {
        let changes: Vec<bool> = of(epoch).map(|row| row.weight_change_l1 > 0.0).collect();
        assert!(changes.iter().all(|moves| *moves == changes[0]), "the layers of a block rest together");
        changes[0]
    };
    (0..=epochs).map(moved).collect()
}

#[test]
fn planned_thaws_train_again_and_cost_what_the_plan_says() {
    let bench = Bench::new(64);
    let schedules: [(&str, &[&str], [bool; 9]); 3] = [
        ("periodic", &[], [true, false, false, false, true, false, false, false, true]),
        (
            "delayed-periodic",
            &["freeze.delay=2"],
            [true, true, true, false, false, false, true, false, false],
        ),
        (
            "progressive-resume",
            &["freeze.resume=2", "freeze.fraction=1"],
            [true, true, true, true, true, false, false, true, true],
        ),
    ];
    for (policy, keys, first) in schedules {
        let policy = format!("freeze.policy={policy}");
        let words =
            ["model.name=lenet5", "train.epochs=9", "mask.sparsity=0.6", "freeze.flops_reduction=0.05"];
        let experiment = bench.experiment(&[&words[..], &[policy.as_str()], keys].concat());
        let plan = experiment.plan();
        let run = bench.record(&policy, &experiment, 2);
        run.assert_sound(9);
        assert!(plan.reduction() >= 0.05, "{policy}");
        for (row, cost) in run.rows::<EpochRow>().iter().zip(&plan.cost) {
            assert_eq!(
                (row.forward_flops, row.backward_flops),
                (cost.forward, cost.backward),
                "{policy} {row:?}"
            );
        }
        // In every epoch a layer moves if and only if its block trains.
        for layer in 0..plan.architecture.layers.len() as u16 {
            let trains = |epoch| !plan.spans(usize::from(layer)).is_frozen(epoch);
            assert_eq!(
                moved(&run, &[layer]),
                (0..9).map(trains).collect::<Vec<_>>(),
                "{policy}, layer {layer}"
            );
        }
        assert_eq!(moved(&run, &[0]), first, "{policy}");
    }
}

#[test]
fn a_thaw_by_data_is_the_same_on_1_2_and_4_workers_and_after_a_break() {
    let bench = Bench::new(64);
    let words = [
        "model.name=lenet5",
        "train.epochs=6",
        "mask.sparsity=0.6",
        "mask.interval=1",
        "freeze.policy=effective-perturbation",
        "freeze.threshold=1",
    ];
    let experiment = bench.experiment(&words);
    let whole = bench.record("1", &experiment, 1);
    whole.assert_sound(6);
    let diffs: std::collections::BTreeSet<i8> =
        whole.rows::<FreezeRow>().iter().map(|row| row.diff).collect();
    assert_eq!(diffs.into_iter().collect::<Vec<_>>(), [-1, 1], "it freezes and thaws");
    assert!(!whole.rows::<FreezeEvidenceRow>().is_empty());
    for workers in [2, 4] {
        let run = bench.record(&workers.to_string(), &experiment, workers);
        assert_same(&transcript(&whole), &transcript(&run), "workers");
        assert!(whole.final_weights() == run.final_weights(), "{workers} workers");
    }
    let path = bench.path("broken");
    begin(&experiment, &path, until(3, 0, 1));
    let prepare = |configuration: Configuration| bench.prepare(configuration);
    spfde::resume(&path, prepare, Options { workers: 2, ..Options::default() }, spfde::wire).unwrap();
    assert_equal(&Recorded::open(&path), &whole, "interrupted in epoch 3");
}
