//! Runs that end early and go on: trace and weights are those of a run that was never interrupted.

mod identity;
mod refused;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use spfde::configuration::Configuration;
use spfde::registry::Registry;
use spfde::{Error, Experiment, Options, Resumed, Unfinished};
use spfde_flow::{Observer, StepReport, Tick};

use crate::support::{Bench, Recorded, assert_same, transcript};

/// Asks for the end at a tick.
struct StopAt {
    tick: Tick,
    interrupted: Arc<AtomicBool>,
}

impl Observer for StopAt {
    fn step(&self, report: &StepReport) {
        if report.tick >= self.tick {
            self.interrupted.store(true, Ordering::Relaxed);
        }
    }
}

/// Options that end a run soon after a step of `epoch`.
pub(crate) fn until(epoch: u32, step: u32, workers: usize) -> Options {
    let interrupted = Arc::new(AtomicBool::new(false));
    let observer = StopAt { tick: Tick::new(epoch, step), interrupted: Arc::clone(&interrupted) };
    Options { workers, observer: Arc::new(observer), interrupted, ..Options::default() }
}

/// Runs `experiment` in `path` until a step of `epoch`, and asserts that it was interrupted.
pub(crate) fn begin(experiment: &Experiment, path: &Path, options: Options) {
    let options = Options { directory: Some(path.to_owned()), ..options };
    let error = spfde::run(experiment, options, spfde::wire).unwrap_err();
    assert_eq!(error.exit_code(), 130, "{error}");
    let expected = format!("; resume with: spfde resume {}", path.display());
    assert!(error.to_string().ends_with(&expected), "{error}");
}

/// Takes up the run in `path`, on the data of `bench`.
pub(crate) fn open(bench: &Bench, path: &Path) -> Result<Resumed, Error> {
    Resumed::open(&Registry::standard(), path, |configuration| bench.prepare(configuration))
}

/// As [`open`], for a run that has not come to its end.
pub(crate) fn unfinished(bench: &Bench, path: &Path) -> Unfinished {
    match open(bench, path) {
        Ok(Resumed::Unfinished(unfinished)) => *unfinished,
        Ok(Resumed::Finished(epochs)) => panic!("{} is finished after {epochs} epochs", path.display()),
        Err(error) => panic!("{error}"),
    }
}

/// Goes on with the run in `path` on so many workers, to its end.
pub(crate) fn finish(bench: &Bench, path: &Path, workers: usize) -> Recorded {
    let options = Options { workers, ..Options::default() };
    unfinished(bench, path).run(options, spfde::wire).unwrap_or_else(|error| panic!("{error}"));
    Recorded::open(path)
}

/// Interrupts a run in every epoch but the first, and asserts that it goes on to be the same as `whole`.
/// `own` adds what no configuration says.
pub(crate) fn assert_goes_on(
    bench: &Bench,
    experiment: &Experiment,
    whole: &Recorded,
    own: fn(Experiment) -> Experiment,
) {
    for epoch in 1..whole.manifest.epochs {
        let path = bench.path(&epoch.to_string());
        begin(experiment, &path, until(epoch, 0, 1));
        let prepare = |configuration: Configuration| Ok(own(bench.prepare(configuration)?));
        spfde::resume(&path, prepare, Options { workers: 2, ..Options::default() }, spfde::wire).unwrap();
        assert_equal(&Recorded::open(&path), whole, &format!("interrupted in epoch {epoch}"));
    }
}

/// Asserts that a run is sound and the same as `whole`, which was never interrupted.
pub(crate) fn assert_equal(run: &Recorded, whole: &Recorded, what: &str) {
    run.assert_sound(whole.manifest.epochs);
    assert_same(&transcript(whole), &transcript(run), what);
    assert!(whole.final_weights() == run.final_weights(), "{what}: the final weights differ");
}
