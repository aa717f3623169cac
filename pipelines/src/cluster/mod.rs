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
//! A line may have a name in place of an address: the process listens at every address that it stands for. Each of them is as
//! many workers as the others; the result has the same bits as that of one process with all of them.
//!
//! # The run directory
//!
//! There is one, and all processes see it: they run on one machine, or it lies in a shared file system (over which locks
//! work). Process 0 creates or takes it up, holds its lock, writes `config.toml`, `environment.json`, the weights and the
//! manifest, and tells the others where it is; one that sees it under another path is told so (`--run-dir`). Worker w,
//! numbered over all processes, writes its own segments of the trace and of checkpoints, `…-wNN.parquet`, whichever process
//! it belongs to; process 0 commits them, when all are durable. Every other process holds a lock of its own on the
//! directory as long as it may write there: so a run can be resumed when the last of its processes has ended, by any number
//! of them.
//!
//! # How the processes meet
//!
//! Before the dataflow sees a connection, the two ends of it shake hands, in messages of fixed size, each with a time limit:
//!
//! 1. both say which protocol they speak, and a number used once;
//! 2. each proves that it knows the secret (`--secret FILE`, or the variable `SPFDE_SECRET`): by a keyed BLAKE3 over both
//!    numbers, so that the secret itself is never sent;
//! 3. the one that connects says what it is about to do: the program and its version, how many processes and workers there
//!    are and which of them it is, the BLAKE3 of the configuration and of the data set; the other agrees, or says why not;
//! 4. process 0 says where the run directory is and at which epoch the run goes on; the other proves, by a file in it, that it
//!    sees the same directory.
//!
//! Then every pair of processes does the same, and when all are connected process 0 lets everyone begin. A connection that
//! does not come so far is dropped, with a note, and the wait goes on; who was refused says why and ends. (Before the other
//! side has proved the secret it may be a stranger: its refusal is noted, and is the reason given at the end of the wait.) Only
//! connections that have been checked so are given to timely, the same sockets: nobody can come between.
//!
//! # Whom this trusts
//!
//! After the handshake the data travels in the clear, unsigned, over plain TCP. The secret keeps strangers and mistakes out; it
//! does not protect from somebody who can read or change what is on the wire, who could learn the gradients, or end the run, or
//! worse. So processes listen on loopback only, unless `--trust-network` says that the network belongs to people you trust.
//! Over any other network put a tunnel (WireGuard, SSH) between the machines and give the tunnel's addresses. Beyond loopback a
//! secret is required; on loopback it is optional, and keeps out other users of the machine.
//!
//! What more workers and processes bring, and where that ends, is in [`scaling`].
//!
//! # Losing a process
//!
//! A process whose connection breaks is lost; nobody waits for it. Each of the others says which it was, abandons what is
//! not committed and ends with exit code 3: `spfde resume` goes on from the last checkpoint. A machine that has vanished
//! without a word is noticed after about five seconds, so that all end within ten: in the test that cuts two machines off
//! from each other (network namespaces, a link that is taken down, so that no end of a connection is ever told), process 0
//! ended after 6.3 and 6.9 s, process 1 after 5.6 and 5.8 s, on two busy cores; after `kill -9` of one the others had ended within 0.7 s,
//! after SIGINT or SIGTERM to one all within 0.2 s (the tests print it with `--nocapture`). Errors, interrupts and full disks in one of
//! the processes stop all of them at the same step, as they stop all workers of one.
//!
//! # Waiting for a process
//!
//! A process that is stopped (SIGSTOP, a debugger, a machine that swaps) keeps its connections open, and is not lost: its work may go
//! on at any moment. So every process sends every other a heartbeat of one byte twice a second, between timely's messages
//! (`heartbeat`). Who hears nothing from another for ten seconds says so, and waits; that one is the culprit, since one that waits
//! for a third sends its heartbeats all the same. A heartbeat also says whether a worker has been at one piece of work for a
//! second or more, and by a number at which: if nothing but heartbeats has come for a minute, the one at work is named. Only time in which a process looks
//! counts, so that those who are stopped together (Ctrl-Z, a laptop that sleeps) blame nobody when they go on.
//!
//! A process that is asked to end (Ctrl-C, SIGTERM) agrees with the others on the step after which all stop. If nothing has come
//! from one of them for five seconds since, it does not wait any longer: it abandons what is not committed, as if it had lost that
//! one, and ends within ten seconds, with exit code 130. One that sends heartbeats is waited for as long as it gets on, and for
//! a minute if it stays at one piece of work (an evaluation, or a disk that hangs). The others lose the one that has ended; the
//! stopped one sees it when it wakes up, commits at most what had been written in whole by all, and ends as well. Until then it
//! holds its lock: nobody else can take the run up meanwhile.

mod arrivals;
mod assemble;
mod error;
mod file;
mod frames;
mod greeting;
mod heartbeat;
mod hosts;
mod link;
mod listening;
mod lookout;
mod meeting;
mod network;
pub mod scaling;
mod secret;
mod settings;
mod silence;
mod visit;
mod watch;
mod watched;

use std::sync::Mutex;
use std::time::Duration;

use spfde_data::words::counted;

pub use error::ClusterError;
pub use hosts::{Host, Hosts};
pub use secret::Secret;

pub(crate) use assemble::Invitation;
pub(crate) use meeting::{Meeting, Purpose, Subject};
pub(crate) use network::{Network, Opened, UNHEARD};
pub(crate) use silence::PATIENCE;
pub(crate) use watch::Lost;

use listening::Listeners;

/// How long processes wait for each other at the start unless told otherwise: long enough to start them by hand.
pub const WAIT: Duration = Duration::from_secs(60);

/// One of the processes that train together, and how it finds the others.
#[derive(Debug)]
pub struct Cluster {
    hosts: Hosts,
    process: usize,
    secret: Secret,
    wait: Duration,
    /// `None` if there are no others.
    listeners: Option<Listeners>,
    /// How often it has met the others.
    rounds: Mutex<u32>,
}

impl Cluster {
    /// The process number `process` of `hosts`. It listens from now on; it waits for the others for `wait` when there is
    /// something to run.
    ///
    /// # Errors
    /// If there is no such process; if its address cannot be had; if an address lies beyond loopback and
    /// `trust_network` does not say that this is meant, or there is no secret then, or the process's own address is one at
    /// which the others do not find it.
    pub fn new(
        hosts: Hosts,
        process: usize,
        secret: Option<Secret>,
        trust_network: bool,
        wait: Duration,
    ) -> Result<Self, ClusterError> {
        let count = hosts.len();
        if process >= count {
            let reason =
                format!("--process {process}: the hosts file names {}, from 0", counted(count, "process"));
            return Err(ClusterError::Usage { reason });
        }
        if let Some(host) = hosts.beyond_loopback() {
            if !trust_network {
                let reason = format!(
                    "{host} is not a loopback address; what the processes send each other travels in the clear: give \
                     --trust-network if everybody on that network may see and change it, or put a tunnel between the \
                     machines"
                );
                return Err(ClusterError::Usage { reason });
            }
            if secret.is_none() {
                let reason = format!(
                    "{host} is not a loopback address: there has to be a secret, in a file (--secret FILE) or in the \
                     variable {}",
                    secret::VARIABLE
                );
                return Err(ClusterError::Usage { reason });
            }
        }
        listening::refuse_unreachable(&hosts, process)?;
        let listeners = match count {
            1 => None,
            _ => Some(Listeners::new(hosts.get(process))?),
        };
        let secret = secret.unwrap_or_default();
        Ok(Self { hosts, process, secret, wait, listeners, rounds: Mutex::new(0) })
    }

    /// Which process this is, from 0.
    pub fn process(&self) -> usize {
        self.process
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
