//! Whether another process is lost.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long after the orderly end of a process the others may still be at work: they are about to end themselves.
const FAREWELL: Duration = Duration::from_secs(5);

/// A process that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Which.
    pub(crate) process: usize,
    /// Its address.
    pub(crate) address: String,
    /// How it was noticed.
    pub(crate) reason: String,
}

/// Knows whether a process is lost, and can end the connections to the others.
#[derive(Clone, Default)]
pub(crate) struct Watcher {
    streams: Arc<Mutex<Vec<TcpStream>>>,
    loss: Arc<Loss>,
}

impl Watcher {
    /// Watches `stream`, too.
    pub(super) fn add(&self, stream: TcpStream) {
        self.lock().push(stream);
    }

    /// The first process that was lost while this one is still at work.
    pub(crate) fn lost(&self) -> Option<Lost> {
        self.loss.get()
    }

    /// Notes that a process is lost.
    pub(super) fn lose(&self, lost: Lost) {
        self.loss.met(|met| met.lost = met.lost.take().or(Some(lost)));
    }

    /// Notes that a process has come to its end; if this one does not soon, the other is lost to it.
    pub(super) fn note_end(&self, lost: Lost) {
        self.loss.met(|met| met.ended = met.ended.take().or_else(|| Some((Instant::now(), lost))));
    }

    /// Ends all connections: the others see that this process is lost.
    pub(crate) fn shut_down(&self) {
        self.lock().iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the connections have met.
#[derive(Debug, Default)]
struct Loss {
    /// Whether there is anything to look at.
    any: AtomicBool,
    state: Mutex<Met>,
}

#[derive(Debug, Default)]
struct Met {
    lost: Option<Lost>,
    /// The first orderly end.
    ended: Option<(Instant, Lost)>,
}

impl Loss {
    fn met(&self, note: impl FnOnce(&mut Met)) {
        note(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.any.store(true, Ordering::Release);
    }

    fn get(&self) -> Option<Lost> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let met = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = met.ended.as_ref().filter(|(since, _)| since.elapsed() > FAREWELL);
        met.lost.clone().or_else(|| ended.map(|(_, lost)| lost.clone()))
    }
}
