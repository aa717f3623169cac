//! What a dry run promises is what the trace counts.

use spfde_data::parameter::ParameterError;
use spfde_data::rows::{EpochRow, FreezeRow, GradientRow, LayerRow};
use spfde_policy::freeze::{Change, FreezeContext, FreezePlan, FreezeRule, Judged};
use spfde_policy::{Costs, Spans};

use crate::support::{Bench, Recorded};

/// FLOPs of all epochs, as recorded.
fn flops(run: &Recorded) -> u64 {
    run.rows::<EpochRow>().iter().map(|row| row.forward_flops + row.backward_flops).sum()
}

/// Compares plan and trace of one configuration, epoch by epoch; the reduction, counted from two traces.
fn counted_reduction(bench: &Bench, name: &str, words: &[&str]) -> f64 {
    let (experiment, run) = bench.train(name, words);
    let plan = experiment.plan();
    run.assert_sound(plan.epochs);
    for row in run.rows::<EpochRow>() {
        let (epoch, cost) = (row.epoch as usize, plan.cost[row.epoch as usize]);
        assert_eq!(
            (row.forward_flops, row.backward_flops),
            (cost.forward, cost.backward),
            "{words:?} {epoch}"
        );
        assert_eq!(row.active_samples, plan.active_samples[epoch], "{words:?} {epoch}");
        let frozen = plan.frozen_blocks(row.epoch);
        let layers = plan.architecture.layers.iter().filter(|layer| layer.block < frozen).count();
        assert_eq!(usize::from(row.frozen_layers), layers, "{words:?} {epoch}");
    }
    for row in run.rows::<FreezeRow>() {
        assert_eq!(plan.spans(usize::from(row.layer)).ends_at(), Some(row.epoch), "{words:?} {row:?}");
    }
    let (_, without) = bench.train(&format!("{name}-without"), &[words, &["freeze.policy=none"]].concat());
    1.0 - flops(&run) as f64 / flops(&without) as f64
}

#[test]
fn the_counted_reduction_is_what_was_asked_for_or_more_and_the_plan_is_kept() {
    let bench = Bench::new(64);
    // Mask policy, epochs, interval, what is asked for.
    let grid = [
        ("mest-ems", 5, 1, 0.1),
        ("mest-ems", 8, 1, 0.25),
        ("mest-ems", 8, 2, 0.15),
        ("mest-em", 7, 2, 0.2),
        ("static", 9, 3, 0.05),
        ("dense", 6, 1, 0.3),
    ];
    for (case, (mask, epochs, interval, target)) in grid.into_iter().enumerate() {
        let words = [
            format!("mask.policy={mask}"),
            format!("train.epochs={epochs}"),
            format!("freeze.interval={interval}"),
            format!("freeze.flops_reduction={target}"),
        ];
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.extend(["model.name=lenet5", "mask.sparsity=0.6"]);
        let reduction = counted_reduction(&bench, &case.to_string(), &words);
        assert!(reduction >= target, "{words:?}: {reduction}");
    }
}

#[test]
fn a_residual_network_keeps_its_plan() {
    let bench = Bench::new(64);
    let words = ["model.name=resnet20", "train.epochs=8", "freeze.flops_reduction=0.2"];
    let reduction = counted_reduction(&bench, "run", &words);
    assert!((0.2..0.25).contains(&reduction), "{reduction}");
}

#[test]
fn a_reduction_that_cannot_be_reached_names_the_greatest_and_that_one_can() {
    let bench = Bench::new(64);
    let asked = |reduction: &str| {
        let target = format!("freeze.flops_reduction={reduction}");
        bench.configure(&["model.name=lenet5", "mask.sparsity=0.6", "train.epochs=4", &target])
    };
    let error = asked("0.6").err().unwrap();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    assert!(message.starts_with("`freeze.flops_reduction`: 0.6 cannot be reached"), "{message}");
    let (_, rest) = message.split_once("the greatest that can is ").unwrap();
    let greatest: f64 = rest.split(':').next().unwrap().parse().unwrap();
    let plan = |reduction: f64| asked(&reduction.to_string()).map(|experiment| experiment.plan().reduction());
    assert!(plan(greatest).unwrap() >= greatest);
    assert!(plan(greatest + 1e-4).is_err());
}

#[test]
fn the_default_reduction_freezes_nothing_in_a_run_too_short_for_it_and_says_so() {
    let bench = Bench::new(64);
    let experiment = bench.experiment(&["model.name=lenet5", "mask.sparsity=0.6", "train.epochs=1"]);
    assert_eq!(experiment.plan().frozen_blocks(0), 0);
    let notes = experiment.configuration().notes();
    assert!(notes.iter().any(|note| note.contains("freeze.flops_reduction")), "{notes:?}");
    let run = bench.record("run", &experiment, 2);
    let config = std::fs::read_to_string(run.path.join("config.toml")).unwrap();
    assert!(config.contains("flops_reduction = 0.0"), "{config}");
    run.assert_sound(1);
}

spfde_data::parameters! {
    /// Freezes two blocks from the start, and nothing later.
    struct FromTheStart in "freeze" {}
}

impl FreezeRule for FromTheStart {
    const NAME: &'static str = "from-the-start";
    const SUMMARY: &'static str = "two blocks are frozen from the start";
    type State = ();

    fn plan(&self, _: &FreezeContext, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let blocks = costs.architecture.blocks.len();
        let frozen = |block| Spans::from_start((block < 2).then_some(0));
        Ok(FreezePlan { frozen: (0..blocks).map(frozen).collect(), note: None })
    }

    fn decide(&self, _: &FreezeContext, _: Judged<'_, ()>, _: u32) -> Vec<Change> {
        Vec::new()
    }
}

#[test]
fn a_plan_may_freeze_blocks_from_the_start() {
    let bench = Bench::new(64);
    let words = ["model.name=lenet5", "mask.sparsity=0.6", "train.epochs=5", "freeze.policy=none"];
    let experiment = bench.experiment(&words).with_freeze(FromTheStart {}).unwrap();
    for workers in [1, 3] {
        let run = bench.record(&workers.to_string(), &experiment, workers);
        run.assert_sound(5);
        let frozen = |layer: u16| experiment.plan().spans(usize::from(layer)).ends_at().is_some();
        let freezes: Vec<_> = run.rows::<FreezeRow>();
        let expected: Vec<(u32, u32, u16, i8)> = (0..2).map(|layer| (0, 0, layer, 1)).collect();
        let found: Vec<_> = freezes.iter().map(|row| (row.epoch, row.step, row.layer, row.diff)).collect();
        assert_eq!(found, expected);
        assert!(run.rows::<GradientRow>().iter().all(|row| !frozen(row.layer)));
        for row in run.rows::<LayerRow>() {
            assert_eq!(row.frozen, frozen(row.layer));
            assert_eq!(row.weight_change_l1 == 0.0, row.frozen, "{row:?}");
        }
        for (row, cost) in run.rows::<EpochRow>().iter().zip(&experiment.plan().cost) {
            assert_eq!((row.forward_flops, row.backward_flops), (cost.forward, cost.backward));
        }
    }
}
