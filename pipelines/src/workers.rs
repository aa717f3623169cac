//! Worker threads of one process, guarded: none waits for one that has failed, or for a process that is lost.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use spfde_flow::{Fault, Run, Services, Settings, Tick};
use timely::WorkerConfig;
use timely::communication::WorkerGuards;
use timely::worker::Worker;

use crate::Build;
use crate::cluster::{Lost, Network, UNHEARD};

/// How long an idle worker sleeps at most before it looks whether another has failed.
const NAP: Duration = Duration::from_millis(50);

/// How long a process that has lost another stays before it leaves, too: so that all hear of the first loss
/// first.
const LINGER: Duration = Duration::from_millis(500);

/// How long a process waits for its workers when one has failed, or another process is lost: far longer than
/// a step takes. A worker that is evaluating, or that a disk keeps, takes longer, and is left behind.
const STRAGGLERS: Duration = Duration::from_secs(3);

// A machine that vanishes ends all others within ten seconds.
const _: () = assert!(UNHEARD.saturating_add(STRAGGLERS).saturating_add(LINGER).as_millis() < 10_000);

/// How long a process that has done its work waits for the others to close their connections.
const FAREWELL: Duration = Duration::from_secs(5);

/// A worker that panicked, and the panic's message.
pub(crate) type Panicked = (usize, String);

/// How the workers of a process ended.
pub(crate) struct Ended<R> {
    /// What those found whose graphs ran dry, in no particular order. The others panicked, or gave up because
    /// another did or a process was lost.
    pub(crate) done: Vec<R>,
    /// The first that panicked.
    pub(crate) panicked: Option<Panicked>,
    /// Another process that is gone.
    pub(crate) lost: Option<Lost>,
}

/// Builds a graph with `build` on every worker of this process and runs it until it runs dry; each answers
/// with its first fault.
pub(crate) fn execute(
    settings: &Arc<Settings>,
    services: Services,
    network: Network,
    build: impl Build,
) -> Ended<Option<Fault>> {
    let settings = Arc::clone(settings);
    work(network, move |worker| {
        let finished = worker.dataflow::<Tick, _, _>(|scope| {
            let run = Run::new(scope, Arc::clone(&settings), services.clone());
            build(&run);
            run.finish()
        });
        move || finished.fault()
    })
}

/// Runs what `build` builds on every worker of this process until the graphs run dry; then asks each for its
/// result. A panic on one worker ends all, and so does the loss of another process.
///
/// Timely closes its connections only in good order, which would look as if this process had done its work.
/// So a process that has lost another, or in which a worker has panicked, leaves its threads behind where
/// they are, and should end soon.
pub(crate) fn work<R, F>(
    network: Network,
    build: impl Fn(&mut Worker) -> F + Send + Sync + 'static,
) -> Ended<R>
where
    R: Send + 'static,
    F: FnOnce() -> R,
{
    let (workers, first, alone) = (network.workers, network.process * network.workers, network.is_alone());
    let mut ended = Ended { done: Vec::new(), panicked: None, lost: None };
    let (builders, threads, liveness) = match network.open() {
        Ok(opened) => opened,
        Err(error) => {
            let message = format!("the connections to the other processes cannot be used: {error}");
            return Ended { panicked: Some((first, message)), ..ended };
        }
    };
    let (sender, endings) = channel();
    let (failed, seen) = (AtomicBool::new(false), liveness.clone());
    let body = move |worker: &mut Worker| {
        let result = catch_unwind(AssertUnwindSafe(|| {
            let result = build(worker);
            while worker.has_dataflows() {
                if failed.load(Ordering::Relaxed) || seen.lost().is_some() {
                    return None;
                }
                worker.step_or_park(Some(NAP));
            }
            Some(result())
        }));
        let done = matches!(result, Ok(Some(_)));
        if !done {
            failed.store(true, Ordering::Relaxed);
            // What is left of the graph may be in any state.
            for dataflow in worker.installed_dataflows() {
                let _ = catch_unwind(AssertUnwindSafe(|| worker.drop_dataflow(dataflow)));
            }
        }
        let message = |panic: Box<dyn Any + Send>| spfde_flow::fault::panic_message(&*panic);
        // If the process does not wait any more, it is about to end.
        let _ = sender.send(result.map_err(|panic| (worker.index(), message(panic))));
        if !done && !alone {
            // What this thread holds stays as it is.
            loop {
                std::thread::park();
            }
        }
    };
    let guards = timely::execute::execute_from(builders, threads, WorkerConfig::default(), body)
        .expect("the system gives threads to workers");
    let (mut left, mut deadline) = (workers, None);
    while left > 0 {
        match endings.recv_timeout(NAP) {
            Ok(ending) => {
                left -= 1;
                match ending {
                    Ok(result) => ended.done.extend(result),
                    Err(panicked) => ended.panicked = ended.panicked.or(Some(panicked)),
                }
            }
            Err(RecvTimeoutError::Timeout) => (),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let over = ended.done.len() + left < workers || liveness.lost().is_some();
        if !alone && over && Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + STRAGGLERS) {
            break;
        }
    }
    if alone {
        drop(guards.join());
    } else if ended.done.len() == workers {
        liveness.say_goodbye();
        part(guards);
    } else {
        ended.lost = liveness.lost().cloned();
        if ended.lost.is_some() {
            std::thread::sleep(LINGER);
        }
        liveness.hang_up();
        std::mem::forget(guards);
    }
    ended
}

/// Ends the connections to the others in good order. All is done and committed: a process that does not
/// answer any more, or has failed since, does not matter.
fn part<T: Send + 'static>(guards: WorkerGuards<T>) {
    let (sender, receiver) = channel();
    let join = move || {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(guards.join())));
        let _ = sender.send(());
    };
    if std::thread::Builder::new().name("spfde:farewell".to_owned()).spawn(join).is_ok() {
        let _ = receiver.recv_timeout(FAREWELL);
    }
}
