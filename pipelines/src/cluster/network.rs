//! The connections of a run, and how timely gets them.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Config, Hooks};

use super::error::ClusterError;
use super::heartbeat::Peer;
use super::lookout::Lookout;
use super::watch::Watcher;
use super::watched::Watched;
use super::{Cluster, Meeting, Purpose};

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
    /// Set if this process is asked to end.
    interrupted: Arc<AtomicBool>,
    /// How the work goes on after an end, if it can.
    goes_on: Option<String>,
}

/// The connections of a process, as timely and its workers use them.
pub(crate) struct Opened {
    /// What the workers are made of.
    pub(crate) builders: Vec<AllocatorBuilder>,
    /// Timely's threads at the connections.
    pub(crate) others: Box<dyn std::any::Any + Send>,
    /// Knows who is lost.
    pub(crate) watcher: Watcher,
    /// Looks how the other processes are.
    pub(crate) lookout: Lookout,
}

impl Network {
    /// A process without others.
    pub(crate) fn alone(workers: usize) -> Self {
        let (sockets, addresses) = (vec![None], vec![String::new()]);
        Self { process: 0, workers, sockets, addresses, interrupted: Arc::default(), goes_on: None }
    }

    /// The connections to the others of `cluster`, one to each, for what they have met for; `interrupted` is set if this process
    /// is asked to end.
    pub(super) fn new(
        cluster: &Cluster,
        meeting: &Meeting,
        streams: Vec<(usize, TcpStream)>,
        interrupted: &Arc<AtomicBool>,
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
        let (process, workers) = (cluster.process(), meeting.workers);
        let interrupted = Arc::clone(interrupted);
        let goes_on = matches!(meeting.purpose, Purpose::Train | Purpose::Resume)
            .then(|| format!("`{} resume` goes on with the run", crate::error::program()));
        Ok(Self { process, workers, sockets, addresses, interrupted, goes_on })
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

    /// Gives the connections to timely; from now on the others are sent heartbeats.
    pub(crate) fn open(self) -> io::Result<Opened> {
        let watcher = Watcher::default();
        // Nobody sends heartbeats on account of a start that failed.
        self.open_watched(&watcher).inspect_err(|_| watcher.shut_down())
    }

    fn open_watched(self, watcher: &Watcher) -> io::Result<Opened> {
        let Self { process: me, workers, sockets, addresses, interrupted, goes_on } = self;
        let own = Arc::default();
        let mut peers = Vec::new();
        let (builders, others): (_, Box<dyn std::any::Any + Send>) = if sockets.len() == 1 {
            let config = if workers == 1 { Config::Thread } else { Config::Process(workers) };
            config.try_build().map_err(io::Error::other)?
        } else {
            let workers_of = |process: usize| (process * workers) as u64..((process + 1) * workers) as u64;
            let mut watched = Vec::new();
            for (process, (socket, address)) in sockets.into_iter().zip(addresses).enumerate() {
                let watch = |stream: TcpStream| {
                    let peer = Arc::new(Peer::new(process, address));
                    peers.push(Arc::clone(&peer));
                    let whose = (workers_of(me), workers_of(process));
                    Watched::new(stream, peer, whose, watcher, &own)
                };
                watched.push(socket.map(watch).transpose()?);
            }
            let hooks = Hooks::default();
            let process = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), None);
            let (builders, guard) = initialize_networking_from_sockets(process, watched, me, workers, hooks)?;
            (builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard))
        };
        let lookout = Lookout::new(peers, interrupted, own, goes_on, watcher.clone());
        Ok(Opened { builders, others, watcher: watcher.clone(), lookout })
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
