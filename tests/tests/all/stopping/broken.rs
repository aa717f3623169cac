//! Stages, policies and graphs of the user's that fail, or that refuse to go on.

use std::sync::OnceLock;

use spfde::Why;
use spfde::prelude::*;
use spfde_flow::{Cause, Fault, StepReport};
use timely::dataflow::operators::vec::Map;

use super::{WORDS, bench, within_reason};
use crate::support::{Recorded, pipeline_with, stopped};

/// Runs a pipeline that dies of a panic; the message.
fn panic_of(
    experiment: Experiment,
    options: Options,
    build: impl Fn(&Run<'_>) + Send + Sync + 'static,
) -> String {
    let path = options.directory.clone().unwrap();
    let error = within_reason(move || spfde::run(&experiment, options, build)).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let Error::Stopped { why, reached, .. } = error else { panic!("{error}") };
    let Why::Panic { message, .. } = *why else { panic!("{why}") };
    let run = Recorded::open(&path);
    run.assert_sound(reached.expect("this process holds the run").epochs);
    assert!(run.manifest.stopped.is_some_and(|why| why.contains(&message)));
    message
}

#[test]
fn a_stage_that_panics_on_one_worker_ends_all() {
    let bench = bench();
    for (workers, bad) in [(1, 0), (2, 1), (4, 2), (6, 5)] {
        let experiment = bench.experiment(&WORDS);
        let directory = Some(bench.path(&format!("{workers}-{bad}")));
        let options = Options { directory, workers, ..Options::default() };
        let message = panic_of(experiment, options, move |run| {
            pipeline_with(run, |run, trained| {
                let here = run.worker() == bad;
                let fails = move |epoch: u32, rows: Vec<ScoreRow>| {
                    assert!(!(here && epoch == 1), "the stage fails");
                    rows
                };
                per_epoch(run, "fails", &trained.scores, |row| u64::from(row.sample), fails);
            });
        });
        assert_eq!(message, "the stage fails");
    }
}

spfde_data::parameters! {
    /// A rule that dies when it has to decide.
    struct Dies in "freeze" {}
}

impl FreezeRule for Dies {
    const NAME: &'static str = "dies";
    const SUMMARY: &'static str = "dies when it has to decide";
    type State = ();

    fn decide(&self, _: &FreezeContext, _: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
        assert!(epoch < 2, "no idea");
        Vec::new()
    }
}

#[test]
fn a_policy_that_panics_ends_the_run() {
    let bench = bench();
    for workers in [1, 3] {
        let experiment = bench.experiment(&WORDS).with_freeze(Dies {}).unwrap();
        let directory = Some(bench.path(&workers.to_string()));
        let options = Options { directory, workers, ..Options::default() };
        assert_eq!(panic_of(experiment, options, spfde::wire), "no idea");
    }
}

#[test]
fn a_graph_with_an_open_loop_is_refused_by_name() {
    let bench = bench();
    let options = Options { directory: Some(bench.path("run")), workers: 2, ..Options::default() };
    let message = panic_of(bench.experiment(&WORDS), options, |run| {
        let loops = run.loops();
        let batches = load(run, loops.active.stream());
        let trained = train(run, batches, loops.frozen.stream(), loops.masked.stream());
        let policies = run.policies();
        let frozen_now =
            freeze(run, &trained.gradients, &trained.layers, &trained.similarity, &policies.freeze);
        let masks = mask(run, &trained.weights, &frozen_now, &policies.mask);
        loops.masked.close(masks);
        loops.frozen.close(frozen_now);
        run.trace(&trained);
    });
    assert!(message.contains("the loop of `sieves` was not closed"), "{message}");
}

#[test]
fn a_pipeline_that_records_nothing_is_an_error_and_leaves_a_valid_run_of_no_epochs() {
    let bench = bench();
    let experiment = bench.experiment(&WORDS);
    let path = bench.path("run");
    let options = Options { directory: Some(path.clone()), workers: 2, ..Options::default() };
    let result = within_reason(move || {
        spfde::run(&experiment, options, |run| {
            let loops = run.loops();
            let batches = load(run, loops.active.stream());
            let trained = train(run, batches, loops.frozen.stream(), loops.masked.stream());
            let policies = run.policies();
            let frozen_now =
                freeze(run, &trained.gradients, &trained.layers, &trained.similarity, &policies.freeze);
            loops.masked.close(mask(run, &trained.weights, &frozen_now, &policies.mask));
            loops.frozen.close(frozen_now);
            let sieved = sieve(run, &trained.scores, loops.active.stream(), &policies.sieve);
            loops.active.close(sieved);
        })
    });
    let error = result.unwrap_err();
    assert!(matches!(error, spfde::Error::Untraced { committed: 0, .. }), "{error}");
    let run = Recorded::open(&path);
    run.assert_sound(0);
    assert_eq!(run.manifest.checkpoints, []);
}

#[test]
fn a_stage_that_refuses_to_go_on_stops_everyone_a_few_steps_later() {
    let bench = bench();
    let mut last = OnceLock::new();
    for workers in [1, 2, 4] {
        let experiment = bench.experiment(&WORDS);
        let path = bench.path(&workers.to_string());
        let options = Options { directory: Some(path.clone()), workers, ..Options::default() };
        let result = within_reason(move || {
            spfde::run(&experiment, options, |run| {
                pipeline_with(run, |run, trained| {
                    let refuse = |report: StepReport| {
                        let cause = Cause::Refused("the loss is good enough".into());
                        let (tick, stage) = (report.tick, "patience".into());
                        (tick == Tick::new(2, 3)).then_some(Fault { tick, worker: 0, stage, cause })
                    };
                    run.halt_on(trained.steps.clone().flat_map(refuse));
                });
            })
        });
        let (fault, code) = stopped(result);
        assert_eq!(fault.to_string(), "stage patience on worker 0, epoch 3, step 4: the loss is good enough");
        assert_eq!(code, 3);
        let run = Recorded::open(&path);
        run.assert_sound(2);
        assert_eq!(last.get_or_init(|| run.manifest.stopped.clone()), &run.manifest.stopped);
    }
    assert!(last.take().is_some());
}
