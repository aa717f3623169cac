//! Waiting for other processes: strangers are dropped, the processes of the hosts file join.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::ClusterError;
use super::greeting::{self, Side, message, same};
use super::hosts::Hosts;
use super::link::{Broken, HANDSHAKE, Link, Word, heard};
use super::listening::Listeners;
use super::meeting::{Introduction, Line, Meeting};
use super::notes::Notes;
use super::secret::Secret;

/// How often a process that waits looks for new connections.
const POLL: Duration = Duration::from_millis(20);

/// How long a connection may take to prove the secret, which takes two answers. A stranger that keeps silent takes up the place
/// of a process no longer than that.
const GREETING: Duration = Duration::from_secs(2);

/// Connections that shake hands at the same time at most: more than any burst of expected ones needs, few enough that a flood
/// of others costs nothing.
const AT_ONCE: usize = 64;

/// Dropped connections that are worth a note; a port scan is worth no more.
const NOTES: usize = 8;

/// What process 0 says of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    /// The run directory, as the process that reads this sees it.
    pub(crate) directory: PathBuf,
    /// The epoch at which the run begins or goes on.
    pub(crate) epoch: u32,
}

/// The connections to another process.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) control: TcpStream,
    pub(super) data: TcpStream,
}

/// What a process needs for shaking hands with those that come.
pub(super) struct Arrivals {
    pub(super) secret: Secret,
    /// What this process is about to do.
    pub(super) own: Meeting,
    pub(super) hosts: Hosts,
    /// Which process this is.
    pub(super) me: usize,
    pub(super) invitation: Invitation,
    /// What the processes of this start know: it lies in the run directory, and is never sent.
    pub(super) key: [u8; 32],
    pub(super) interrupted: Arc<AtomicBool>,
    pub(super) notes: Notes,
    pub(super) state: Mutex<State>,
}

/// A process that has joined.
struct Guest {
    control: TcpStream,
    data: Option<TcpStream>,
    /// Whether it has told process 0 that it has met all others.
    ready: bool,
}

/// Which processes have come.
#[derive(Default)]
pub(super) struct State {
    joined: BTreeMap<usize, Guest>,
    shaking: usize,
    dropped: usize,
    last: Option<String>,
}

impl Arrivals {
    /// Waits at `listeners` until every process after this one has joined, and has told process 0 that it is ready. `watch` is
    /// asked again and again whether to go on.
    pub(super) fn wait(
        self: &Arc<Self>,
        listeners: &Listeners,
        wait: Duration,
        watch: &dyn Fn() -> Result<(), ClusterError>,
    ) -> Result<BTreeMap<usize, Pair>, ClusterError> {
        self.try_to_wait(listeners, wait, watch).inspect_err(|error| {
            for guest in std::mem::take(&mut self.state().joined).into_values() {
                let _ = self.link(guest.control).send_verdict(Err(&error.to_string()));
            }
        })
    }

    fn try_to_wait(
        self: &Arc<Self>,
        listeners: &Listeners,
        wait: Duration,
        watch: &dyn Fn() -> Result<(), ClusterError>,
    ) -> Result<BTreeMap<usize, Pair>, ClusterError> {
        let mut deadline = Instant::now() + wait;
        let mut complete = false;
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(ClusterError::Interrupted);
            }
            watch()?;
            let (there, unready) = self.look(complete)?;
            if there && unready.is_none() {
                let joined = std::mem::take(&mut self.state().joined);
                let pair = |guest: Guest| Some(Pair { control: guest.control, data: guest.data? });
                return Ok(joined.into_iter().filter_map(|(of, guest)| Some((of, pair(guest)?))).collect());
            }
            if there && !complete {
                // All have joined process 0, and have as long as a handshake takes to meet each other.
                complete = true;
                deadline = deadline.max(Instant::now() + HANDSHAKE);
            }
            if Instant::now() >= deadline {
                return Err(match unready.filter(|_| complete) {
                    Some(process) => ended(&self.hosts, process, "it is not ready, and does not say why"),
                    None => self.missing(wait),
                });
            }
            // A connection that comes while too many shake hands waits in the system's queue.
            let come = listeners.accept(AT_ONCE.saturating_sub(self.state().shaking));
            if come.is_empty() {
                std::thread::sleep(POLL);
            }
            come.into_iter().for_each(|(stream, from)| self.begin(stream, from));
        }
    }

    /// Shakes hands in a thread of its own, so that a connection that keeps silent keeps no other waiting.
    fn begin(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        self.state().shaking += 1;
        let arrivals = Arc::clone(self);
        let shake = move || {
            let shaken = arrivals.shake(stream);
            let mut state = arrivals.state();
            state.shaking -= 1;
            if let Err(Broken::Link(reason) | Broken::Doubtful(reason) | Broken::Refused(reason)) = shaken {
                state.dropped += 1;
                let note = format!("a connection from {from} was dropped: {reason}");
                if state.dropped <= NOTES {
                    arrivals.notes.tell(format_args!("{note}; still waiting"));
                }
                state.last = Some(note);
            }
        };
        if std::thread::Builder::new().name("spfde:handshake".to_owned()).spawn(shake).is_err() {
            self.state().shaking -= 1;
        }
    }

    fn shake(&self, stream: TcpStream) -> Result<(), Broken> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let begin = Instant::now();
        let link = &mut Link::new(stream, begin + GREETING, &self.interrupted);
        let transcript = greeting::welcome(link, &self.secret)?;
        link.deadline = begin + HANDSHAKE;
        let guest: Introduction = link.receive()?;
        if let Some(reason) = guest.misfit(&self.own, self.hosts.len(), self.me) {
            return link.refuse(reason);
        }
        link.send_verdict(Ok(()))?;
        if self.me == 0 && guest.line == Line::Control {
            link.send(&self.invitation)?;
            link.receive_verdict()?;
        }
        let wanted = blake3::keyed_hash(&self.key, &message(Side::Guest, "key", &transcript));
        if !same(link.receive()?, *wanted.as_bytes()) {
            return link.refuse(match self.me {
                0 => format!(
                    "what process {} sees as the run directory is not the {} of process 0; it has to lie in a file system \
                     that both share (--run-dir)",
                    guest.from,
                    self.invitation.directory.display()
                ),
                _ => format!("process {} belongs to another start", guest.from),
            });
        }
        let stream = link.stream.try_clone()?;
        if !self.enter(guest.from, guest.line, stream) {
            let process = guest.from;
            return link.refuse(format!(
                "there is a process {process} already; each has its own number (--process)"
            ));
        }
        link.send_verdict(Ok(()))
    }

    /// Takes a connection of process `process`, unless there is one that is alive.
    fn enter(&self, process: usize, line: Line, stream: TcpStream) -> bool {
        let mut state = self.state();
        let alive = state.joined.get_mut(&process).filter(|guest| heard(&guest.control) != Word::Gone);
        match (line, alive) {
            (Line::Control, None) => {
                state.joined.insert(process, Guest { control: stream, data: None, ready: false });
                true
            }
            (Line::Data, Some(guest)) if guest.data.is_none() => {
                guest.data = Some(stream);
                true
            }
            _ => false,
        }
    }

    /// Whether all have joined, and the first of them that has not told process 0 that it is ready. A process that has left may
    /// come again, until the start is `complete`; one that gives up ends the start for all.
    fn look(&self, complete: bool) -> Result<(bool, Option<usize>), ClusterError> {
        let mut state = self.state();
        let mut left = Vec::new();
        for (process, guest) in &mut state.joined {
            match heard(&guest.control) {
                Word::Nothing => (),
                Word::Gone if complete => {
                    return Err(ended(&self.hosts, *process, "it closed the connection"));
                }
                Word::Gone => left.push(*process),
                Word::Some => {
                    let said = guest.control.try_clone().map_err(Broken::from);
                    let said = said.and_then(|stream| self.link(stream).receive_verdict());
                    said.map_err(|broken| broken_by(&self.hosts, *process, broken))?;
                    guest.ready = true;
                }
            }
        }
        for process in left {
            state.joined.remove(&process);
            let note = format!("process {process} has left");
            self.notes.tell(format_args!("{note}; still waiting"));
            state.last = Some(note);
        }
        let whole = state.joined.values().filter(|guest| guest.data.is_some()).count();
        let unready = state.joined.iter().find(|(_, guest)| self.me == 0 && !guest.ready);
        Ok((whole + self.me + 1 == self.hosts.len(), unready.map(|(process, _)| *process)))
    }

    fn missing(&self, wait: Duration) -> ClusterError {
        let state = self.state();
        let missing = (self.me + 1..self.hosts.len()).filter(|process| !state.joined.contains_key(process));
        let missing: Vec<String> =
            missing.map(|process| format!("process {process} at {}", self.hosts.get(process))).collect();
        let (missing, seconds) = (missing.join(", "), wait.as_secs());
        let last = state.last.as_ref().map_or_else(String::new, |last| format!(" ({last})"));
        let reason =
            format!("{missing} did not join within {seconds} s; start every process of the hosts file{last}");
        ClusterError::Apart { reason }
    }

    fn link(&self, stream: TcpStream) -> Link<'_> {
        Link::new(stream, Instant::now() + HANDSHAKE, &self.interrupted)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That process `process` gave up.
fn ended(hosts: &Hosts, process: usize, why: &str) -> ClusterError {
    let address = hosts.get(process);
    ClusterError::Apart { reason: format!("process {process} at {address} gave up before the start: {why}") }
}

/// That the connection to process `process` broke before the start.
pub(super) fn broken_by(hosts: &Hosts, process: usize, broken: Broken) -> ClusterError {
    match broken {
        Broken::Interrupted => ClusterError::Interrupted,
        Broken::Link(why) | Broken::Doubtful(why) | Broken::Refused(why) => ended(hosts, process, &why),
    }
}
