//! One training over several processes, on one machine or on several.
//!
//! Every process gets the same settings, the same file of hosts and its number in it:
//!
//! ```text
//! $ cat hosts
//! 127.0.0.1:2101      # process 0: holds the run directory, commits, prints the table
//! 127.0.0.1:2102      # process 1
//! $ spfde train mask.sparsity=0.95 --hosts hosts --process 1 --workers 1 &
//! $ spfde train mask.sparsity=0.95 --hosts hosts --process 0 --workers 1
//! ```
//!
//! A line may have a name in place of an address: the process listens at the first address that it stands for
//! there. Every process has as many workers as the others; the result has the same bits as that of one
//! process with all of them. `spfde train` and `spfde resume` run so; all other commands are one process.
//!
//! # The run directory
//!
//! There is one, and all processes see it: they run on one machine, or it lies in a shared file system (over
//! which locks work). Process 0 creates or takes it up, holds its lock, writes `config.toml`,
//! `environment.json`, the weights and the manifest, and tells the others where it is; one that sees it under
//! another path is told so (`--run-dir`). Worker w, numbered over all processes, writes its own segments of
//! the trace and of checkpoints, `…-wNN.parquet`, whichever process it belongs to; process 0 commits them,
//! when all are durable. Every other process holds a lock of its own on the directory as long as it may write
//! there: so a run can be resumed when the last of its processes has ended, by any number of them.
//!
//! # How the processes meet
//!
//! Every pair of processes has two connections, one for control and one for the dataflow. Before a connection
//! is used, its two ends shake hands, in length-prefixed JSON messages of at most 64 KiB, each with a time
//! limit:
//!
//! 1. both say which protocol they speak, and a number used once;
//! 2. each proves that it knows the secret (`--secret FILE`, or the variable `SPFDE_SECRET`): by a keyed
//!    BLAKE3 over both numbers, so that the secret itself is never sent;
//! 3. the one that connects says what it is about to do: the program and its version, how many processes and
//!    workers there are and which of them it is, its settings and its data set; the other says where the run
//!    directory is and at which epoch the run goes on, or what differs;
//! 4. the one that connects proves, by a file in the run directory, that it sees the same directory.
//!
//! When all have joined process 0, every other pair meets in the same way; then process 0 lets all begin. A
//! connection that does not come so far is dropped, with a note, and the wait goes on; a process that was
//! refused says why and ends. (Before the other side has proved the secret it may be a stranger: its refusal
//! is noted, and is the reason given at the end of the wait.) Timely gets the checked sockets themselves.
//!
//! # Whom this trusts
//!
//! After the handshake the data travels in the clear, unsigned, over plain TCP. The secret keeps strangers
//! and mistakes out; it does not protect from people who can read or change what is on the wire: they could
//! learn the gradients, end the run, or worse. So processes listen on loopback only, unless `--trust-network`
//! says that the network belongs to people you trust. Over any other network put a tunnel (WireGuard, SSH)
//! between the machines and give the tunnel's addresses. Beyond loopback a secret is required; on loopback it
//! is optional, and keeps out other users of the machine.
//!
//! What more workers and processes bring, and where that ends, is in [`scaling`].
//!
//! # Losing a process, and waiting for one
//!
//! A process that has done its work says goodbye on its control connections. One whose control connection
//! ends without that is lost: each of the others names it, abandons what is not committed and ends with exit
//! code 3, and `spfde resume` goes on from the last checkpoint. The kernel's keep-alive notices a machine
//! that has vanished after about five seconds. So all others have ended within ten seconds, a worker that is
//! stuck included.
//!
//! The kernel answers for a process that is stopped (SIGSTOP, a debugger, a machine that swaps): the others
//! wait for it. Ctrl-C or SIGTERM to one process ends all after the same step, with exit code 130; with a
//! stopped process among them that waits, too, and a second Ctrl-C ends the process at once. Errors and full
//! disks in one process stop all at the same step.

mod arrivals;
mod assemble;
mod handshake;
mod hosts;
mod link;
mod listening;
mod liveness;
mod meeting;
mod network;
pub mod scaling;
mod secret;

use std::net::TcpListener;
use std::time::Duration;

use spfde_data::counted;

use crate::{Error, Result};

pub use hosts::{Host, Hosts};
pub use liveness::Lost;
pub use secret::Secret;

pub(crate) use assemble::Invitation;
use assemble::Start;
use link::{Broken, HANDSHAKE, Link, is_quiet};
pub(crate) use liveness::UNHEARD;
use meeting::Line;
pub(crate) use meeting::Meeting;
pub(crate) use network::Network;

/// How long processes wait for each other at the start unless told otherwise: long enough to start them by
/// hand.
pub const WAIT: Duration = Duration::from_secs(60);

/// One of the processes that train together, and how it finds the others.
pub struct Cluster {
    hosts: Hosts,
    process: usize,
    secret: Secret,
    wait: Duration,
    note: Box<dyn Fn(&str) + Send + Sync>,
    /// `None` if there are no others.
    listener: Option<TcpListener>,
}

impl Cluster {
    /// The process number `process` of `hosts`. It listens from now on; it waits for the others for `wait`
    /// when there is something to run. `note` is called with what is worth knowing meanwhile, such as that a
    /// connection was dropped: one line, from any thread.
    ///
    /// # Errors
    /// If there is no such process; if its address cannot be had; if an address lies beyond loopback and
    /// `trust_network` does not say that this is meant, or there is no secret then, or the process's own
    /// address is one at which the others do not find it.
    pub fn new(
        hosts: Hosts,
        process: usize,
        secret: Option<Secret>,
        trust_network: bool,
        wait: Duration,
        note: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self> {
        if process >= hosts.len() {
            let named = counted(hosts.len(), "process");
            return Err(Error::usage(format!("--process {process}: the hosts file names {named}, from 0")));
        }
        if let Some(host) = hosts.beyond_loopback() {
            if !trust_network {
                return Err(Error::usage(format!(
                    "{host} is not a loopback address; what the processes send each other travels in the \
                     clear: give --trust-network if everyone on that network may see and change it, or put \
                     a tunnel between the machines"
                )));
            }
            if secret.is_none() {
                return Err(Error::usage(format!(
                    "{host} is not a loopback address: there has to be a secret, in a file (--secret FILE) \
                     or in the variable {}",
                    secret::VARIABLE
                )));
            }
        }
        listening::refuse_unreachable(&hosts, process)?;
        let listener = if hosts.len() == 1 { None } else { Some(listening::listen(hosts.get(process))?) };
        Ok(Self { hosts, process, secret: secret.unwrap_or_default(), wait, note: Box::new(note), listener })
    }

    /// Process `process` and its address, in words.
    fn name(&self, process: usize) -> String {
        format!("process {process} at {}", self.hosts.get(process))
    }

    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.hosts.len()
    }

    /// Whether this is the process that holds the run directory and speaks for all.
    pub fn is_first(&self) -> bool {
        self.process == 0
    }
}
