//! Worker threads of one process: guarded, so that nobody waits for one that has fallen, or for a process that is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use timely::WorkerConfig;
use timely::communication::WorkerGuards;
use timely::worker::Worker;

use crate::cluster::{Lost, Network, Opened, PATIENCE, UNHEARD};
use crate::command::{UNREAD, hurry};
use crate::turns::{Pace, Turns};

/// How long an idle worker sleeps at most before it looks whether another has died.
const NAP: Duration = Duration::from_millis(50);

/// How long a process that has lost another waits before it leaves, too: so that all hear of the first loss first.
const LINGER: Duration = Duration::from_millis(500);

/// How long a process waits for its workers when one has fallen, or another process is lost: far longer than a step takes. Who
/// is evaluating takes longer.
const STRAGGLERS: Duration = Duration::from_secs(3);

// A machine that vanishes ends all others within ten seconds, and so does a request to end that nobody answers.
const END: Duration = STRAGGLERS.saturating_add(LINGER).saturating_add(UNREAD);
const _: () = assert!(UNHEARD.saturating_add(END).as_millis() < 10_000);
const _: () = assert!(PATIENCE.saturating_add(END).as_millis() < 10_000);

/// How long a process that has done its work waits for the others to say that they have done theirs.
const FAREWELL: Duration = Duration::from_secs(5);

/// How one worker ended.
pub(crate) enum Ending<R> {
    /// Its graph ran dry.
    Done(R),
    /// It panicked.
    Panicked(String),
    /// It gave up because another process is lost.
    Lost(Lost),
    /// It gave up because another panicked.
    Abandoned,
}

/// The workers of this process, and their connections to those of others.
pub(crate) struct Crew(Network);

impl Crew {
    /// The first worker of this process, numbered over all processes.
    pub(crate) fn first_worker(&self) -> usize {
        self.0.first_worker()
    }
}

impl From<usize> for Crew {
    fn from(workers: usize) -> Self {
        Self(Network::alone(workers.max(1)))
    }
}

impl From<Network> for Crew {
    fn from(network: Network) -> Self {
        Self(network)
    }
}

/// Runs what `build` builds on the workers of `crew` until the graphs run dry; then asks each worker of this process for its result. The endings are in the order of the workers, from the first of this
/// process on.
///
/// A panic on one worker would leave the others waiting for it: so each body is guarded, and everyone leaves when one has
/// fallen. Of several processes the others see that this one is lost; its threads are left behind where they are, since
/// timely's connections can only be closed in good order, which would look as if this process had come to its end. So a
/// process that has lost another, or in which a worker has panicked, should end soon.
pub(crate) fn work<R, F>(
    crew: impl Into<Crew>,
    build: impl Fn(&mut Worker) -> F + Send + Sync + 'static,
) -> Vec<Ending<R>>
where
    R: Send + 'static,
    F: FnOnce() -> R,
{
    let Crew(network) = crew.into();
    let (count, first, alone) = (network.workers(), network.first_worker(), network.is_alone());
    let Opened { builders, others, watcher, mut lookout } = match network.open() {
        Ok(opened) => opened,
        Err(error) => {
            let message = format!("the connections to the other processes cannot be used: {error}");
            return vec![Ending::Panicked(message)];
        }
    };
    let endings: Arc<Mutex<Vec<Option<Ending<R>>>>> =
        Arc::new(Mutex::new((0..count).map(|_| None).collect()));
    let fallen = AtomicBool::new(false);
    let (turns, mut pace) = (Arc::new(Turns::new(count)), Pace::new(count, Instant::now()));
    let (told, seen, taken) = (Arc::clone(&endings), watcher.clone(), Arc::clone(&turns));
    let body = move |worker: &mut Worker| {
        let ending = catch_unwind(AssertUnwindSafe(|| {
            let result = build(worker);
            while worker.has_dataflows() {
                if fallen.load(Ordering::Relaxed) {
                    return Ending::Abandoned;
                }
                if let Some(lost) = seen.lost() {
                    return Ending::Lost(lost);
                }
                taken.take(worker.index() - first);
                worker.step_or_park(Some(NAP));
            }
            Ending::Done(result())
        }));
        let ending =
            ending.unwrap_or_else(|panic| Ending::Panicked(spfde_flow::fault::panic_message(&*panic)));
        let done = matches!(ending, Ending::Done(..));
        if !done {
            fallen.store(true, Ordering::Relaxed);
            // Nobody may keep this process from its end who does not read what it says.
            hurry();
            // What is left of the graph may be in any state.
            for dataflow in worker.installed_dataflows() {
                let _ = catch_unwind(AssertUnwindSafe(|| worker.drop_dataflow(dataflow)));
            }
        }
        taken.end(worker.index() - first);
        told.lock().unwrap_or_else(PoisonError::into_inner)[worker.index() - first] = Some(ending);
        if !done && !alone {
            stay();
        }
    };
    let guards = timely::execute::execute_from(builders, others, WorkerConfig::default(), body)
        .expect("the system gives threads to workers");
    let take = || {
        let taken: Vec<_> = {
            let mut endings = endings.lock().unwrap_or_else(PoisonError::into_inner);
            endings.iter_mut().map(Option::take).collect()
        };
        let straggler = || watcher.lost().map_or(Ending::Abandoned, Ending::Lost);
        taken.into_iter().map(|ending| ending.unwrap_or_else(straggler)).collect::<Vec<_>>()
    };
    if alone {
        drop(guards.join());
        return take();
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
        let over = good < ended || watcher.lost().is_some();
        if over && Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + STRAGGLERS) {
            break false;
        }
        lookout.look(pace.piece(&turns, Instant::now()));
        std::thread::sleep(NAP / 5);
    };
    let endings = take();
    if whole {
        part(guards);
    } else {
        hurry();
        if endings.iter().any(|ending| matches!(ending, Ending::Lost(..))) {
            std::thread::sleep(LINGER);
        }
        watcher.shut_down();
        std::mem::forget(guards);
    }
    endings
}

/// Never comes back: what this thread holds stays as it is.
fn stay() {
    loop {
        std::thread::park();
    }
}

/// Ends the connections to the others in good order. All is done and committed: if somebody does not answer any more, or has
/// fallen since, it does not matter.
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
