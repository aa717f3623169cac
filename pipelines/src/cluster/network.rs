//! The connections of a run, and how timely gets them.

use std::any::Any;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::zero_copy::stream::Stream;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Config, Hooks};

use super::arrivals::Connections;
use super::liveness::{Liveness, Peer, keep_alive};
use super::{Cluster, Line};

/// The connections of one process to the others of a run.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) process: usize,
    /// Workers of this process.
    pub(crate) workers: usize,
    /// Of all processes, this one included.
    addresses: Vec<String>,
    connections: Connections,
}

impl Network {
    /// A process without others, of `workers` workers, one at least.
    pub(crate) fn alone(workers: usize) -> Self {
        Self { process: 0, workers: workers.max(1), addresses: Vec::new(), connections: Connections::new() }
    }

    /// The connections to all others of `cluster`, for a process of so many workers.
    pub(super) fn new(cluster: &Cluster, workers: usize, connections: Connections) -> Self {
        let address = |process| cluster.hosts.get(process).to_string();
        let addresses = (0..cluster.processes()).map(address).collect();
        Self { process: cluster.process, workers: workers.max(1), addresses, connections }
    }

    /// Whether there are no other processes.
    pub(crate) fn is_alone(&self) -> bool {
        self.connections.is_empty()
    }

    /// Gives the connections to timely: what the workers are made of, timely's threads at the connections,
    /// and what knows which process is lost, since the others are watched from now on.
    ///
    /// # Errors
    /// If a connection cannot be set up, or the system gives no threads.
    pub(crate) fn open(mut self) -> io::Result<(Vec<AllocatorBuilder>, Box<dyn Any + Send>, Liveness)> {
        let (workers, mut liveness) = (self.workers, Liveness::default());
        if self.is_alone() {
            let config = if workers == 1 { Config::Thread } else { Config::Process(workers) };
            let (builders, threads) = config.try_build().map_err(io::Error::other)?;
            return Ok((builders, threads, liveness));
        }
        let mut streams = Vec::new();
        for (process, address) in self.addresses.into_iter().enumerate() {
            let mut take = |line| self.connections.remove(&(process, line));
            let (Some(control), Some(data)) = (take(Line::Control), take(Line::Data)) else {
                // This process itself.
                streams.push(None);
                continue;
            };
            tune(&control)?;
            keep_alive(&control)?;
            tune(&data)?;
            let peer = liveness.watch(process, address, control)?;
            streams.push(Some(DataStream { stream: data, peer }));
        }
        let hooks = Hooks::default();
        let process = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), None);
        let (builders, threads) =
            initialize_networking_from_sockets(process, streams, self.process, workers, hooks)?;
        Ok((builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(threads), liveness))
    }
}

/// Undoes the time limits of the handshake.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)
}

/// A plain connection to a process. Timely's threads panic when it breaks, which poisons what the workers
/// share with them: so the thread that meets the break notes it and stays where it is, until this process
/// ends.
pub(super) struct DataStream {
    pub(super) stream: TcpStream,
    pub(super) peer: Arc<Peer>,
}

impl DataStream {
    /// Does `act` until it is done; at a break this thread goes no further.
    fn act(&mut self, mut act: impl FnMut(&mut TcpStream, &Peer) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match act(&mut self.stream, &self.peer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => self.peer.break_off(error.to_string()),
                done => return done,
            }
            loop {
                std::thread::park();
            }
        }
    }
}

impl Read for DataStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.act(|stream, peer| match stream.read(buffer) {
            Ok(0) if !peer.said_goodbye() => Err(io::Error::other("it closed the connection")),
            read => read,
        })
    }
}

impl Write for DataStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.act(|stream, _| stream.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for DataStream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, peer: Arc::clone(&self.peer) })
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
