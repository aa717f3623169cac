//! The connections of a run, and how timely gets them.

use std::io;
use std::net::TcpStream;

use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Config, Hooks};

use super::Cluster;
use super::arrivals::Pair;
use super::data_stream::DataStream;
use super::error::ClusterError;
use super::liveness::{Liveness, keep_alive};

/// The connections of one process to the others of a run.
#[derive(Debug)]
pub(crate) struct Network {
    process: usize,
    workers: usize,
    /// The connections to each process, and its address; none to this one.
    others: Vec<Option<(Pair, String)>>,
}

/// The connections of a process, as timely and its workers use them.
pub(crate) struct Opened {
    /// What the workers are made of.
    pub(crate) builders: Vec<AllocatorBuilder>,
    /// Timely's threads at the connections.
    pub(crate) threads: Box<dyn std::any::Any + Send>,
    /// Knows which process is lost.
    pub(crate) liveness: Liveness,
}

impl Network {
    /// A process without others, of `workers` workers, one at least.
    pub(crate) fn alone(workers: usize) -> Self {
        Self { process: 0, workers: workers.max(1), others: vec![None] }
    }

    /// The connections to the others of `cluster`, for a process of so many workers.
    pub(super) fn new(
        cluster: &Cluster,
        workers: usize,
        pairs: Vec<(usize, Pair)>,
    ) -> Result<Self, ClusterError> {
        let mut others: Vec<Option<(Pair, String)>> = (0..cluster.processes()).map(|_| None).collect();
        for (process, pair) in pairs {
            let tuned = tune(&pair.data).and_then(|()| tune(&pair.control));
            tuned.and_then(|()| keep_alive(&pair.control)).map_err(|error| ClusterError::Apart {
                reason: format!("the connection to process {process} cannot be set up: {error}"),
            })?;
            others[process] = Some((pair, cluster.hosts.get(process).to_string()));
        }
        Ok(Self { process: cluster.process(), workers, others })
    }

    /// Whether there are no other processes.
    pub(crate) fn is_alone(&self) -> bool {
        self.others.len() == 1
    }

    /// Workers of this process.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// The first worker of this process, numbered over all of them.
    pub(crate) fn first_worker(&self) -> usize {
        self.process * self.workers
    }

    /// Gives the connections to timely; from now on the other processes are watched.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub(crate) fn open(self) -> io::Result<Opened> {
        let (alone, Self { process: me, workers, others }) = (self.is_alone(), self);
        let mut liveness = Liveness::default();
        if alone {
            let config = if workers == 1 { Config::Thread } else { Config::Process(workers) };
            let (builders, threads) = config.try_build().map_err(io::Error::other)?;
            return Ok(Opened { builders, threads, liveness });
        }
        let mut streams = Vec::new();
        for (process, other) in others.into_iter().enumerate() {
            let watched = other.map(|(Pair { control, data }, address)| {
                let peer = liveness.watch(process, address, control)?;
                io::Result::Ok(DataStream::new(data, peer))
            });
            streams.push(watched.transpose()?);
        }
        let hooks = Hooks::default();
        let process = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), None);
        let (builders, threads) = initialize_networking_from_sockets(process, streams, me, workers, hooks)?;
        let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
        Ok(Opened { builders, threads: Box::new(threads), liveness })
    }
}

/// Undoes the time limits of the handshake.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)
}
