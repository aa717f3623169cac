//! Interrupts, and a loss that is not finite.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use spfde::prelude::*;
use spfde_flow::{Cause, Observer, StepReport};

use super::{EPOCHS, STEPS, WORDS, bench, within_reason};
use crate::support::{Bench, Recorded, stopped};

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
    let options =
        Options { directory: Some(path.clone()), workers, observer, interrupted, ..Options::default() };
    (path, within_reason(move || spfde::run(&experiment, options, spfde::wire)))
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
            assert_eq!(run.manifest.last_checkpoint(), Some(committed), "it goes on from there");
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
                    assert!(run.manifest.stopped.is_some());
                    assert_eq!(run.manifest.last_checkpoint(), Some(EPOCHS - 1));
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
    let options = Options { directory: Some(path.clone()), workers: 2, interrupted, ..Options::default() };
    let (fault, _) = stopped(within_reason(move || spfde::run(&experiment, options, spfde::wire)));
    assert_eq!((fault.tick, fault.cause), (Tick::new(0, 0), Cause::Interrupted));
    Recorded::open(&path).assert_sound(0);
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_at_the_same_step_on_any_number_of_workers() {
    let bench = bench();
    // Decay multiplies every weight by −999 at every step.
    let words = [&WORDS[..], &["train.learning_rate=1000", "train.weight_decay=1"]].concat();
    let experiment = bench.experiment(&words);
    let mut ticks = Vec::new();
    for workers in [1, 2, 4, 5] {
        let path = bench.path(&workers.to_string());
        let options = Options { directory: Some(path.clone()), workers, ..Options::default() };
        let experiment = experiment.clone();
        let (fault, code) = stopped(within_reason(move || spfde::run(&experiment, options, spfde::wire)));
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

#[test]
fn statistics_that_are_not_finite_name_the_sample_with_which_they_begin() {
    // One image is so bright that the variance of its outputs is too large for a number, and no output is.
    let bench = Bench::with(64, |images, normalization| {
        let pixels = images.height * images.width;
        let spfde_data::Pixels::U8(bytes) = &mut images.pixels else { panic!("images are bytes") };
        bytes.fill(0);
        bytes[17 * pixels..18 * pixels].fill(255);
        normalization.scale.fill(1e22);
        normalization.shift.fill(0.0);
    });
    let words = ["model.name=resnet20", "train.epochs=1", "sieve.policy=none", "freeze.policy=none"];
    let experiment = bench.experiment(&words);
    let mut said = Vec::new();
    for workers in [1, 4] {
        let directory = Some(bench.path(&workers.to_string()));
        let options = Options { directory, workers, ..Options::default() };
        let experiment = experiment.clone();
        let (fault, _) = stopped(within_reason(move || spfde::run(&experiment, options, spfde::wire)));
        let Cause::NotFinite(what) = fault.cause else { panic!("{fault}") };
        let expected = "is not, from the first samples of the shard up to sample 17 on; ";
        assert!(what.starts_with("all outputs are finite, the ") && what.contains(expected), "{what}");
        said.push((fault.tick, what));
    }
    assert_eq!(said[0], said[1]);
}
