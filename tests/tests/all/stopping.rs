//! Runs that end early: everyone stops at the same step, nobody hangs, what is committed is whole.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use spfde::prelude::*;
use spfde_data::parameter::ParameterError;
use spfde_flow::{Cause, Fault, Observer, StepReport};
use spfde_policy::{Costs, Freeze, FreezePlan, FreezePolicy, FreezeState, Plan};
use timely::dataflow::operators::vec::Map;

use crate::support::{Bench, Recorded, pipeline_with, stopped};

/// Six steps an epoch, decisions of every kind.
const WORDS: [&str; 5] = [
    "model.name=lenet5",
    "mask.sparsity=0.7",
    "sieve.fraction=0.3",
    "freeze.flops_reduction=0.1",
    "train.epochs=5",
];
const EPOCHS: u32 = 5;
const STEPS: u32 = 6;

fn bench() -> Bench {
    // 0.7 · 250 = 175 active samples in batches of at most 32.
    Bench::new(250)
}

/// Ends a test that hangs, after far longer than it takes.
pub(crate) fn within_reason<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(Duration::from_secs(120)) {
        Ok(result) => {
            let _ = thread.join();
            result
        }
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("the run hangs"),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("a thread that ends well has sent its result"),
        },
    }
}

/// Asks for the end when a step has been applied.
struct StopAt {
    tick: Tick,
    interrupted: Arc<AtomicBool>,
}

impl Observer for StopAt {
    fn step(&self, report: &StepReport) {
        assert_eq!(report.steps, STEPS);
        if report.tick == self.tick {
            self.interrupted.store(true, Ordering::Relaxed);
        }
    }
}

/// Runs until `tick` has been applied and then asks to stop.
fn interrupt_at(bench: &Bench, name: &str, tick: Tick, workers: usize) -> (PathBuf, Result<PathBuf, Error>) {
    let experiment = bench.experiment(&WORDS);
    let path = bench.path(name);
    let interrupted = Arc::new(AtomicBool::new(false));
    let observer = Arc::new(StopAt { tick, interrupted: Arc::clone(&interrupted) });
    let options = Options { directory: Some(path.clone()), workers, observer, interrupted };
    (path, within_reason(move || spfde::run(&experiment, options, spfde::pipeline)))
}

#[test]
fn an_interrupt_ends_all_workers_at_one_step_and_keeps_the_epochs_before() {
    let bench = bench();
    for workers in [1, 2, 4, 6] {
        for step in [0, 2, STEPS - 1] {
            let asked = Tick::new(1, step);
            let (path, result) = interrupt_at(&bench, &format!("{workers}-{step}"), asked, workers);
            let (fault, code) = stopped(result);
            assert_eq!((&fault.cause, code), (&Cause::Interrupted, 130));
            assert!(fault.tick >= asked && fault.tick <= Tick::new(2, 1), "{asked:?}: {fault}");
            let run = Recorded::open(&path);
            assert!(run.manifest.stopped.as_ref().is_some_and(|why| why.contains("interrupted")));
            let committed = run.manifest.epochs_reached;
            assert!(committed == 1 || (committed == 2 && step == STEPS - 1), "{asked:?}: {committed}");
            run.assert_sound(committed);
            assert_eq!(
                run.manifest.checkpoints,
                [],
                "nothing says where the run stands in epoch {committed}"
            );
        }
    }
}

#[test]
fn an_interrupt_during_the_last_epoch_ends_it_whole_or_not_at_all() {
    let bench = bench();
    for workers in [1, 3] {
        for step in 0..STEPS {
            let asked = Tick::new(EPOCHS - 1, step);
            let (path, result) = interrupt_at(&bench, &format!("{workers}-{step}"), asked, workers);
            let run = Recorded::open(&path);
            match result {
                Ok(_) => {
                    run.assert_sound(EPOCHS);
                    assert_eq!((run.manifest.stopped.clone(), run.manifest.checkpoints.len()), (None, 1));
                }
                Err(error) => {
                    assert_eq!(error.exit_code(), 130, "{error}");
                    run.assert_sound(EPOCHS - 1);
                    assert!(run.manifest.stopped.is_some() && run.manifest.checkpoints.is_empty());
                }
            }
        }
    }
}

#[test]
fn an_interrupt_before_the_first_step_leaves_a_valid_run_of_no_epochs() {
    let bench = bench();
    let experiment = bench.experiment(&WORDS);
    let path = bench.path("run");
    let interrupted = Arc::new(AtomicBool::new(true));
    let options = Options { directory: Some(path.clone()), workers: 2, interrupted, observer: Arc::new(()) };
    let (fault, _) = stopped(within_reason(move || spfde::run(&experiment, options, spfde::pipeline)));
    assert_eq!((fault.tick, fault.cause), (Tick::new(0, 0), Cause::Interrupted));
    Recorded::open(&path).assert_sound(0);
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_at_the_same_step_on_any_number_of_workers() {
    let bench = bench();
    let words = [&WORDS[..], &["train.learning_rate=1000"]].concat();
    let experiment = bench.experiment(&words);
    let mut ticks = Vec::new();
    for workers in [1, 2, 4, 5] {
        let path = bench.path(&workers.to_string());
        let options = Options { directory: Some(path.clone()), workers, ..Options::default() };
        let experiment = experiment.clone();
        let (fault, code) = stopped(within_reason(move || spfde::run(&experiment, options, spfde::pipeline)));
        assert!(
            matches!(&fault.cause, Cause::NotFinite(what) if what.contains("NaN") || what.contains("inf"))
        );
        assert_eq!(code, 3);
        let run = Recorded::open(&path);
        run.assert_sound(fault.tick.epoch);
        assert_eq!(run.manifest.stopped, Some(fault.to_string()));
        ticks.push((fault.tick, fault.stage, fault.cause));
    }
    assert!(ticks.iter().all(|tick| *tick == ticks[0]), "{ticks:?}");
}

/// Runs a pipeline that dies of a panic; the message.
fn panic_of(
    experiment: Experiment,
    options: Options,
    build: impl Fn(&Run<'_>) + Send + Sync + 'static,
) -> String {
    let path = options.directory.clone().unwrap();
    let error = within_reason(move || spfde::run(&experiment, options, build)).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let Error::Worker { message, committed, .. } = error else { panic!("{error}") };
    let run = Recorded::open(&path);
    run.assert_sound(committed);
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

/// A rule that dies when it has to decide.
struct Dies;

impl FreezePolicy for Dies {
    fn name(&self) -> &'static str {
        "dies"
    }

    fn plan(&self, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        Ok(FreezePlan::empty(costs.architecture.blocks.len()))
    }

    fn start(&self, _: &Plan) -> Box<dyn FreezeState> {
        Box::new(Dies)
    }
}

impl FreezeState for Dies {
    fn observe(&mut self, _: &GradientRow) {}

    fn mask(&mut self, _: &MaskRow) {}

    fn decide(&mut self, epoch: u32) -> Vec<Freeze> {
        assert!(epoch < 2, "no idea");
        Vec::new()
    }
}

#[test]
fn a_policy_that_panics_ends_the_run() {
    let bench = bench();
    for workers in [1, 3] {
        let experiment = bench.experiment(&WORDS).with_freeze(Arc::new(Dies)).unwrap();
        let directory = Some(bench.path(&workers.to_string()));
        let options = Options { directory, workers, ..Options::default() };
        assert_eq!(panic_of(experiment, options, spfde::pipeline), "no idea");
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
        let frozen_now = freeze(run, &trained.gradients, loops.masked.stream());
        let masks = mask(run, &trained.weights, &frozen_now);
        loops.masked.close(masks);
        loops.frozen.close(frozen_now);
        run.trace(&trained);
    });
    assert!(message.contains("the loop of `sieves` was not closed"), "{message}");
}

#[test]
fn a_pipeline_that_records_nothing_leaves_a_valid_run_of_no_epochs() {
    let bench = bench();
    let experiment = bench.experiment(&WORDS);
    let path = bench.path("run");
    let options = Options { directory: Some(path.clone()), workers: 2, ..Options::default() };
    let result = within_reason(move || {
        spfde::run(&experiment, options, |run| {
            let loops = run.loops();
            let batches = load(run, loops.active.stream());
            let trained = train(run, batches, loops.frozen.stream(), loops.masked.stream());
            let frozen_now = freeze(run, &trained.gradients, loops.masked.stream());
            loops.masked.close(mask(run, &trained.weights, &frozen_now));
            loops.frozen.close(frozen_now);
            let sieved = sieve(run, &trained.scores, loops.active.stream());
            loops.active.close(sieved);
        })
    });
    assert_eq!(result.unwrap(), path);
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
        assert_eq!(fault.to_string(), "stage patience on worker 0, epoch 2, step 3: the loss is good enough");
        assert_eq!(code, 3);
        let run = Recorded::open(&path);
        run.assert_sound(2);
        assert_eq!(last.get_or_init(|| run.manifest.stopped.clone()), &run.manifest.stopped);
    }
    assert!(last.take().is_some());
}
