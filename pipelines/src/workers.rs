//! Worker threads of one process: guarded, so that nobody waits for one that has fallen.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use timely::worker::Worker;
use timely::{CommunicationConfig, Config, WorkerConfig};

/// How long an idle worker sleeps at most before it looks whether another has died.
const NAP: Duration = Duration::from_millis(50);

/// How one worker ended.
pub(crate) enum Ending<R> {
    /// Its graph ran dry.
    Done(R),
    /// It panicked.
    Panicked(String),
    /// It gave up because another panicked, or nobody wants the rest.
    Abandoned,
}

/// Runs what `build` builds on `workers` threads until the graphs run dry or `over` says that nobody wants the rest;
/// then asks each worker for its result.
///
/// A panic on one worker would leave the others waiting for it: so each body is guarded, and everyone leaves when
/// one has fallen.
pub(crate) fn work<R, F>(
    workers: usize,
    build: impl Fn(&mut Worker) -> F + Send + Sync + 'static,
    over: impl Fn() -> bool + Send + Sync + 'static,
) -> Vec<Ending<R>>
where
    R: Send + 'static,
    F: FnOnce() -> R,
{
    let communication = match workers {
        0 | 1 => CommunicationConfig::Thread,
        workers => CommunicationConfig::Process(workers),
    };
    let config = Config { communication, worker: WorkerConfig::default() };
    let fallen = AtomicBool::new(false);
    let body = move |worker: &mut Worker| {
        let ending = catch_unwind(AssertUnwindSafe(|| {
            let result = build(worker);
            while worker.has_dataflows() {
                if fallen.load(Ordering::Relaxed) || over() {
                    return Ending::Abandoned;
                }
                worker.step_or_park(Some(NAP));
            }
            Ending::Done(result())
        }));
        let ending =
            ending.unwrap_or_else(|panic| Ending::Panicked(spfde_flow::fault::panic_message(&*panic)));
        if !matches!(ending, Ending::Done(..)) {
            fallen.store(true, Ordering::Relaxed);
            // What is left of the graph may be in any state.
            for dataflow in worker.installed_dataflows() {
                let _ = catch_unwind(AssertUnwindSafe(|| worker.drop_dataflow(dataflow)));
            }
        }
        ending
    };
    let guards = timely::execute(config, body).expect("threads of one process need no network");
    guards.join().into_iter().map(|ending| ending.unwrap_or_else(Ending::Panicked)).collect()
}
