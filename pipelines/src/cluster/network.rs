//! The connections of a run, as timely uses them: watched, so that a process that is lost is noticed and named.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::zero_copy::stream::Stream;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Config, Hooks};

use super::Cluster;
use super::error::ClusterError;

/// When a silent connection is asked for a sign of life, how often, and how often in vain. With [`UNHEARD`] a machine that has
/// vanished is noticed within ten seconds.
const SILENT: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_secs(1);
const IN_VAIN: u32 = 4;

/// How long what was sent may remain without an answer of the other machine's system.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNHEARD: Duration = Duration::from_secs(8);

/// How long after the orderly end of a process the others may still be at work: they are about to end themselves.
const FAREWELL: Duration = Duration::from_secs(5);

/// Bytes of the header before each of timely's messages: six numbers of eight bytes, the highest byte first.
const HEADER: usize = 48;

/// Bytes of one of timely's messages: more than the gradients of any model that fits into memory today. A length above it
/// would be allocated without having been sent.
const MESSAGE: u64 = 16 << 30;

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

/// The connections of one process to the others of a run.
#[derive(Debug)]
pub(crate) struct Network {
    process: usize,
    workers: usize,
    sockets: Vec<Option<TcpStream>>,
    addresses: Vec<String>,
}

impl Network {
    /// A process without others.
    pub(crate) fn alone(workers: usize) -> Self {
        Self { process: 0, workers, sockets: vec![None], addresses: vec![String::new()] }
    }

    /// The connections to the others of `cluster`, one to each.
    pub(super) fn new(
        cluster: &Cluster,
        workers: usize,
        streams: Vec<(usize, TcpStream)>,
    ) -> Result<Self, ClusterError> {
        let processes = cluster.processes();
        let mut sockets: Vec<Option<TcpStream>> = (0..processes).map(|_| None).collect();
        for (process, stream) in streams {
            tune(&stream).map_err(|error| ClusterError::Unable {
                reason: format!("the connection to process {process} cannot be set up: {error}"),
            })?;
            sockets[process] = Some(stream);
        }
        let addresses = (0..processes).map(|process| cluster.hosts.get(process).to_string()).collect();
        Ok(Self { process: cluster.process(), workers, sockets, addresses })
    }

    /// Whether there is nobody else.
    pub(crate) fn is_alone(&self) -> bool {
        self.sockets.len() == 1
    }

    /// Workers of this process.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// The first worker of this process, numbered over all of them.
    pub(crate) fn first_worker(&self) -> usize {
        self.process * self.workers
    }

    /// Gives the connections to timely.
    pub(crate) fn open(self) -> io::Result<(Vec<AllocatorBuilder>, Box<dyn std::any::Any + Send>, Watcher)> {
        if self.is_alone() {
            let config = if self.workers == 1 { Config::Thread } else { Config::Process(self.workers) };
            let (builders, others) = config.try_build().map_err(io::Error::other)?;
            return Ok((builders, others, Watcher::default()));
        }
        let watcher = Watcher::default();
        let first = self.first_worker() as u64;
        let mine = first..first + self.workers as u64;
        let mut watched = Vec::new();
        for (process, (socket, address)) in self.sockets.into_iter().zip(self.addresses).enumerate() {
            let watch = |stream: TcpStream| {
                watcher.lock().push(stream.try_clone()?);
                let lost = Lost { process, address, reason: String::new() };
                Ok::<_, io::Error>(Watched {
                    stream,
                    frames: Frames::new(mine.clone()),
                    lost,
                    loss: Arc::clone(&watcher.loss),
                })
            };
            watched.push(socket.map(watch).transpose()?);
        }
        let hooks = Hooks::default();
        let process = ProcessBuilder::new_typed_vector(self.workers, hooks.refill.clone(), None);
        let (builders, guard) =
            initialize_networking_from_sockets(process, watched, self.process, self.workers, hooks)?;
        Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard), watcher))
    }
}

/// Makes the system notice a machine that has vanished, and undoes the time limits of the handshake.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(SILENT).with_interval(AGAIN).with_retries(IN_VAIN);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(UNHEARD))?;
    Ok(())
}

/// Knows whether a process is lost, and can end the connections to the others.
#[derive(Clone, Default)]
pub(crate) struct Watcher {
    streams: Arc<Mutex<Vec<TcpStream>>>,
    loss: Arc<Loss>,
}

impl Watcher {
    /// The first process that was lost while this one is still at work.
    pub(crate) fn lost(&self) -> Option<Lost> {
        self.loss.get()
    }

    /// Ends all connections: the others see that this process is lost.
    pub(crate) fn shut_down(&self) {
        self.lock().iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
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
struct Watched {
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

/// Follows timely's messages through the bytes of a connection: whether they end in good order, and whether each is for this
/// process and of a sane length.
#[derive(Clone, Debug)]
struct Frames {
    workers: Range<u64>,
    header: [u8; HEADER],
    filled: usize,
    body: u64,
    ended: bool,
}

impl Frames {
    fn new(workers: Range<u64>) -> Self {
        Self { workers, header: [0; HEADER], filled: 0, body: 0, ended: false }
    }

    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            if self.ended {
                return Err("it sent more after its end".to_owned());
            }
            let skipped = self.body.min(bytes.len() as u64);
            self.body -= skipped;
            bytes = &bytes[skipped as usize..];
            let taken = (HEADER - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEADER {
                self.filled = 0;
                self.begin()?;
            }
        }
        Ok(())
    }

    /// Takes the numbers of a whole header: channel, source, first target, one past the last, length, sequence number.
    fn begin(&mut self) -> Result<(), String> {
        let number = |field: usize| {
            u64::from_be_bytes(self.header[8 * field..8 * field + 8].try_into().expect("eight bytes"))
        };
        let (first, end, length) = (number(2), number(3), number(4));
        if length == 0 {
            self.ended = true;
            return Ok(());
        }
        if length > MESSAGE {
            return Err(format!("it sent a message of {length} bytes"));
        }
        if first < self.workers.start || end > self.workers.end || first >= end {
            return Err(format!("it sent a message for workers {first} to {end}"));
        }
        self.body = length;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(first: u64, end: u64, length: u64) -> Vec<u8> {
        [7, 0, first, end, length, 9].iter().flat_map(|number: &u64| number.to_be_bytes()).collect()
    }

    #[test]
    fn messages_are_followed_whatever_the_pieces_in_which_they_come() {
        let bytes = [header(2, 3, 100), vec![0; 100], header(2, 4, 8), vec![1; 8], vec![0; HEADER]].concat();
        for size in 1..bytes.len() {
            let mut frames = Frames::new(2..4);
            for piece in bytes.chunks(size) {
                assert!(!frames.ended);
                frames.follow(piece).unwrap();
            }
            assert!(frames.ended);
            assert!(frames.follow(&[0]).unwrap_err().contains("after its end"));
        }
    }

    #[test]
    fn zeros_within_a_message_are_no_end() {
        let mut frames = Frames::new(0..1);
        frames.follow(&[header(0, 1, 4096), vec![0; 4000]].concat()).unwrap();
        assert!(!frames.ended);
    }

    #[test]
    fn messages_for_others_and_of_absurd_lengths_are_refused() {
        for (first, end) in [(1, 2), (3, 5), (3, 3), (4, 3)] {
            assert!(Frames::new(2..4).follow(&header(first, end, 8)).is_err(), "{first} {end}");
        }
        assert!(Frames::new(2..4).follow(&header(2, 3, u64::MAX)).is_err());
    }
}
