//! A connection as timely's threads use it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use timely::communication::allocator::zero_copy::stream::Stream;

use super::frames::Frames;
use super::heartbeat::{Peer, State, beat};
use super::watch::{Lost, Watcher};

/// A connection as timely's threads use it. They panic when it breaks, which poisons what the workers share with them; so one
/// that breaks is noted instead, and whoever used it waits for the end of the process. Heartbeats are sent and taken out here:
/// timely never sees one.
pub(super) struct Watched {
    stream: TcpStream,
    received: Frames,
    sent: Arc<Mutex<Frames>>,
    peer: Arc<Peer>,
    watcher: Watcher,
}

impl Watched {
    /// Watches `stream`, the connection to `peer`, whose workers are `theirs`; messages from there are for the workers `mine`.
    /// From now on it is sent heartbeats, which say what `own` says of this process.
    pub(super) fn new(
        stream: TcpStream,
        peer: Arc<Peer>,
        (mine, theirs): (Range<u64>, Range<u64>),
        watcher: &Watcher,
        own: &Arc<State>,
    ) -> io::Result<Self> {
        watcher.add(stream.try_clone()?);
        let sent = Arc::new(Mutex::new(Frames::new(theirs)));
        beat(stream.try_clone()?, Arc::clone(&sent), Arc::clone(&peer), Arc::clone(own))?;
        Ok(Self { stream, received: Frames::new(mine), sent, peer, watcher: watcher.clone() })
    }

    fn lost(&self, reason: String) -> Lost {
        self.peer.over.store(true, Ordering::Relaxed);
        Lost { process: self.peer.process, address: self.peer.address.clone(), reason }
    }

    fn lose(&self, reason: String) -> ! {
        self.watcher.lose(self.lost(reason));
        loop {
            std::thread::park();
        }
    }

    fn send(&mut self, buffer: &[u8]) -> Result<usize, String> {
        // No heartbeat comes between the bytes and the note that they are sent.
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match self.stream.write(buffer) {
                Ok(0) if !buffer.is_empty() => return Err("it takes no more data".to_owned()),
                Ok(count) => {
                    let followed = sent.follow(&buffer[..count]);
                    return followed
                        .map(|()| count)
                        .map_err(|reason| format!("what it is sent is damaged: {reason}"));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) if self.received.ended => {
                    self.watcher.note_end(self.lost("it ended before the others".to_owned()));
                    return Ok(0);
                }
                Ok(0) => self.lose("it closed the connection".to_owned()),
                Ok(count) => match self.received.sift(&mut buffer[..count]) {
                    Ok((left, heartbeat)) => {
                        self.peer.hear(left > 0, heartbeat);
                        // Nothing would be the end of the connection.
                        if left > 0 {
                            return Ok(left);
                        }
                    }
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
        self.send(buffer).or_else(|reason| self.lose(reason))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Watched {
    fn try_clone(&self) -> io::Result<Self> {
        let (received, sent) = (self.received.clone(), Arc::clone(&self.sent));
        let (peer, watcher) = (Arc::clone(&self.peer), self.watcher.clone());
        Ok(Self { stream: self.stream.try_clone()?, received, sent, peer, watcher })
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
