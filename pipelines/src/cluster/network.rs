//! The connections of a run, and how timely gets them.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Config, Hooks};

use super::Cluster;
use super::error::ClusterError;
use super::watch::{Lost, Watcher};

/// How long a machine may be silent that ought to answer, before it counts as vanished: what was sent may remain so long
/// without an answer of its system, where this system lets one choose.
pub(crate) const UNHEARD: Duration = Duration::from_secs(5);

/// When a connection on which nothing is sent is asked for a sign of life, how often, and how often in vain: together
/// [`UNHEARD`].
const SILENT: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(1);
const IN_VAIN: u32 = 3;

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
            let lost = Lost { process, address, reason: String::new() };
            let watch = |stream: TcpStream| watcher.watch(stream, mine.clone(), lost);
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
