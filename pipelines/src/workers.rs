//! Worker threads of one process, guarded: none waits for one that has failed, or for a process that is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use timely::WorkerConfig;
use timely::communication::WorkerGuards;
use timely::worker::Worker;

use crate::cluster::{Lost, Network, Opened, UNHEARD};

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

/// How one worker ended.
pub(crate) enum Ending<R> {
    /// Its graph ran dry.
    Done(R),
    /// It panicked.
    Panicked(String),
    /// It gave up because another panicked, or another process is lost.
    Abandoned,
}

/// Runs what `build` builds on so many workers until the graphs run dry; then asks each for its result. The
/// endings are in the order of the workers. A panic on one worker ends all.
pub(crate) fn work<R, F>(
    workers: usize,
    build: impl Fn(&mut Worker) -> F + Send + Sync + 'static,
) -> Vec<Ending<R>>
where
    R: Send + 'static,
    F: FnOnce() -> R,
{
    work_together(Network::alone(workers), build).0
}

/// As [`work`], on the workers of `network`; with the process that was lost on the way, if one was.
///
/// Timely closes its connections only in good order, which would look as if this process had done its work.
/// So a process that has lost another, or in which a worker has panicked, leaves its threads behind where
/// they are, and should end soon.
pub(crate) fn work_together<R, F>(
    network: Network,
    build: impl Fn(&mut Worker) -> F + Send + Sync + 'static,
) -> (Vec<Ending<R>>, Option<Lost>)
where
    R: Send + 'static,
    F: FnOnce() -> R,
{
    let (count, first, alone) = (network.workers(), network.first_worker(), network.is_alone());
    let Opened { builders, threads, liveness } = match network.open() {
        Ok(opened) => opened,
        Err(error) => {
            let message = format!("the connections to the other processes cannot be used: {error}");
            return (vec![Ending::Panicked(message)], None);
        }
    };
    let endings: Arc<Mutex<Vec<Option<Ending<R>>>>> =
        Arc::new(Mutex::new((0..count).map(|_| None).collect()));
    let failed = AtomicBool::new(false);
    let (told, seen) = (Arc::clone(&endings), liveness.clone());
    let body = move |worker: &mut Worker| {
        let ending = catch_unwind(AssertUnwindSafe(|| {
            let result = build(worker);
            while worker.has_dataflows() {
                if failed.load(Ordering::Relaxed) || seen.lost().is_some() {
                    return Ending::Abandoned;
                }
                worker.step_or_park(Some(NAP));
            }
            Ending::Done(result())
        }));
        let ending =
            ending.unwrap_or_else(|panic| Ending::Panicked(spfde_flow::fault::panic_message(&*panic)));
        let done = matches!(ending, Ending::Done(..));
        if !done {
            failed.store(true, Ordering::Relaxed);
            // What is left of the graph may be in any state.
            for dataflow in worker.installed_dataflows() {
                let _ = catch_unwind(AssertUnwindSafe(|| worker.drop_dataflow(dataflow)));
            }
        }
        told.lock().unwrap_or_else(PoisonError::into_inner)[worker.index() - first] = Some(ending);
        if !done && !alone {
            stay();
        }
    };
    let guards = timely::execute::execute_from(builders, threads, WorkerConfig::default(), body)
        .expect("the system gives threads to workers");
    let take = || {
        let mut endings = endings.lock().unwrap_or_else(PoisonError::into_inner);
        endings.iter_mut().map(|ending| ending.take().unwrap_or(Ending::Abandoned)).collect::<Vec<_>>()
    };
    if alone {
        drop(guards.join());
        return (take(), None);
    }
    let mut deadline = None;
    let whole = loop {
        let (ended, good) = {
            let endings = endings.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = endings.iter().flatten();
            (ended.clone().count(), ended.filter(|ending| matches!(ending, Ending::Done(..))).count())
        };
        if ended == count {
            break good == count;
        }
        let over = good < ended || liveness.lost().is_some();
        if over && Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + STRAGGLERS) {
            break false;
        }
        std::thread::sleep(NAP / 5);
    };
    let endings = take();
    if whole {
        liveness.say_goodbye();
        part(guards);
        return (endings, None);
    }
    let lost = liveness.lost().cloned();
    if lost.is_some() {
        std::thread::sleep(LINGER);
    }
    liveness.hang_up();
    std::mem::forget(guards);
    (endings, lost)
}

/// Never comes back: what this thread holds stays as it is.
fn stay() {
    loop {
        std::thread::park();
    }
}

/// Ends the connections to the others in good order. All is done and committed: a process that does not
/// answer any more, or has failed since, does not matter.
fn part<T: Send + 'static>(guards: WorkerGuards<T>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let join = move || {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(guards.join())));
        let _ = sender.send(());
    };
    if std::thread::Builder::new().name("spfde:farewell".to_owned()).spawn(join).is_ok() {
        let _ = receiver.recv_timeout(FAREWELL);
    }
}
