//! Connections that are watched, so that a process that is lost is noticed and named.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use timely::communication::allocator::zero_copy::stream::Stream;

use super::frames::Frames;

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
    /// Watches `stream`, the connection to the process that would be `lost`; messages on it are for the workers `mine`.
    pub(super) fn watch(&self, stream: TcpStream, mine: Range<u64>, lost: Lost) -> io::Result<Watched> {
        self.lock().push(stream.try_clone()?);
        let loss = Arc::clone(&self.loss);
        Ok(Watched { stream, frames: Frames::new(mine), lost, loss })
    }

    /// The first process that was lost while this one is still at work.
    pub(crate) fn lost(&self) -> Option<Lost> {
        self.loss.get()
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
    fn note(&self, lost: Lost) {
        self.met(|met| met.lost = met.lost.take().or(Some(lost)));
    }

    fn note_end(&self, lost: Lost) {
        self.met(|met| met.ended = met.ended.take().or_else(|| Some((Instant::now(), lost))));
    }

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

/// A connection as timely's threads use it. They panic when it breaks, which poisons what the workers share with them; so one
/// that breaks is noted instead, and whoever used it waits for the end of the process.
pub(super) struct Watched {
    stream: TcpStream,
    frames: Frames,
    lost: Lost,
    loss: Arc<Loss>,
}

impl Watched {
    fn lose(&self, reason: String) -> ! {
        self.loss.note(Lost { reason, ..self.lost.clone() });
        loop {
            std::thread::park();
        }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) if self.frames.ended => {
                    let reason = "it ended before the others".to_owned();
                    self.loss.note_end(Lost { reason, ..self.lost.clone() });
                    return Ok(0);
                }
                Ok(0) => self.lose("it closed the connection".to_owned()),
                Ok(count) => match self.frames.follow(&buffer[..count]) {
                    Ok(()) => return Ok(count),
                    Err(reason) => self.lose(reason),
                },
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => self.lose(error.to_string()),
            }
        }
    }
}

impl Write for Watched {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            match self.stream.write(buffer) {
                Ok(0) if !buffer.is_empty() => self.lose("it takes no more data".to_owned()),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => self.lose(error.to_string()),
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Watched {
    fn try_clone(&self) -> io::Result<Self> {
        let (lost, loss) = (self.lost.clone(), Arc::clone(&self.loss));
        Ok(Self { stream: self.stream.try_clone()?, frames: self.frames.clone(), lost, loss })
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.stream.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // The other side may have closed it already.
        let _ = self.stream.shutdown(how);
        Ok(())
    }
}
