//! Waiting for other processes: strangers are dropped, the processes of the hosts file join.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Cluster;
use super::error::ClusterError;
use super::greeting::{self, Side, message, same};
use super::link::{Broken, HANDSHAKE, Link, hear, is_quiet, tell};
use super::meeting::{Introduction, Line, Meeting};

/// How often a process that waits looks for new connections.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// How long a connection may take to prove the secret, which takes two answers. A stranger that keeps silent
/// takes up the place of a process no longer than that.
const GREETING: Duration = Duration::from_secs(2);

/// Connections that shake hands at the same time at most: more than any burst of expected ones needs, few
/// enough that a flood of others costs nothing.
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

/// What the processes of one start have in common.
pub(super) struct Start {
    pub(super) meeting: Meeting,
    pub(super) invitation: Invitation,
    /// It lies in the run directory, and is never sent.
    pub(super) key: [u8; 32],
    pub(super) interrupted: Arc<AtomicBool>,
}

/// The connections to another process.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) control: TcpStream,
    pub(super) data: TcpStream,
}

/// The connections of processes that have joined; that for data comes after that for control.
type Joined = BTreeMap<usize, (TcpStream, Option<TcpStream>)>;

/// A connection that fits, and waits for the last word.
struct Arrival {
    process: usize,
    line: Line,
    stream: TcpStream,
}

impl Cluster {
    /// Waits until every process after this one has joined. One that leaves meanwhile may come again. Process
    /// 0, to which `first` leads from any other, says nothing meanwhile unless it gives up.
    pub(super) fn receive(
        self: &Arc<Self>,
        start: &Arc<Start>,
        wait: Duration,
        first: Option<&TcpStream>,
    ) -> Result<BTreeMap<usize, Pair>, ClusterError> {
        let mut joined = Joined::new();
        self.fill(&mut joined, start, wait, first).inspect_err(|error| {
            for (control, _) in joined.values() {
                tell(control, &start.interrupted, Err(&error.to_string()));
            }
        })?;
        let pair = |(control, data): (TcpStream, Option<TcpStream>)| Some(Pair { control, data: data? });
        Ok(joined.into_iter().filter_map(|(process, streams)| Some((process, pair(streams)?))).collect())
    }

    fn fill(
        self: &Arc<Self>,
        joined: &mut Joined,
        start: &Arc<Start>,
        wait: Duration,
        first: Option<&TcpStream>,
    ) -> Result<(), ClusterError> {
        let deadline = Instant::now() + wait;
        let (sender, shaken) = channel();
        let (mut shaking, mut dropped, mut last) = (0, 0, String::new());
        while joined.values().filter(|(_, data)| data.is_some()).count() + self.process + 1 < self.processes()
        {
            if start.interrupted.load(Ordering::Relaxed) {
                return Err(ClusterError::Interrupted);
            }
            if let Some(first) = first.filter(|first| !is_quiet(first)) {
                hear(first, &start.interrupted).map_err(|broken| self.ended(0, broken))?;
            }
            if Instant::now() >= deadline {
                return Err(self.missing(joined, wait, &last));
            }
            // A connection that comes while too many shake hands waits in the system's queue.
            while shaking < AT_ONCE
                && let Some(Ok((stream, from))) = self.listener.as_ref().map(TcpListener::accept)
            {
                shaking += usize::from(self.begin(start, stream, from, sender.clone()));
            }
            joined.retain(|process, (control, _)| {
                let there = is_quiet(control);
                if !there {
                    let why =
                        hear(control, &start.interrupted).err().map_or_else(String::new, Broken::into_reason);
                    last = format!(" (process {process} has left: {why})");
                    self.notes.tell(format_args!("process {process} has left: {why}; still waiting"));
                }
                there
            });
            let Ok((from, arrival)) = shaken.recv_timeout(POLL) else { continue };
            shaking -= 1;
            let seated = arrival.and_then(|arrival| seat(joined, arrival, &start.interrupted));
            if let Err(broken) = seated {
                let note = format!("a connection from {from} was dropped: {}", broken.into_reason());
                last = format!(" ({note})");
                dropped += 1;
                if dropped <= NOTES {
                    self.notes.tell(format_args!("{note}; still waiting"));
                }
            }
        }
        Ok(())
    }

    /// Shakes hands in a thread of its own, so that a connection that keeps silent keeps no other waiting.
    /// Whether there is one.
    fn begin(
        self: &Arc<Self>,
        start: &Arc<Start>,
        stream: TcpStream,
        from: SocketAddr,
        shaken: Sender<(SocketAddr, Result<Arrival, Broken>)>,
    ) -> bool {
        let (cluster, start) = (Arc::clone(self), Arc::clone(start));
        // If the wait is over the connection is dropped.
        let shake = move || drop(shaken.send((from, cluster.shake(&start, stream))));
        std::thread::Builder::new().name("spfde:handshake".to_owned()).spawn(shake).is_ok()
    }

    fn shake(&self, start: &Start, stream: TcpStream) -> Result<Arrival, Broken> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let begin = Instant::now();
        let link = &mut Link::new(stream, begin + GREETING, &start.interrupted);
        let transcript = greeting::welcome(link, &self.secret)?;
        link.deadline = begin + HANDSHAKE;
        let guest: Introduction = link.receive()?;
        let (process, line) = (guest.from, guest.line);
        if let Some(reason) = guest.misfit(&start.meeting, self.processes(), self.process) {
            return Err(link.refuse(reason));
        }
        link.send_verdict(Ok(()))?;
        if self.is_first() && line == Line::Control {
            link.send(&start.invitation)?;
            link.receive_verdict()?;
        }
        let wanted = blake3::keyed_hash(&start.key, &message(Side::Guest, "key", &transcript));
        if !same(link.receive()?, *wanted.as_bytes()) {
            return Err(link.refuse(match self.process {
                0 => format!(
                    "what process {process} sees as the run directory is not the {} of process 0; it has to \
                     lie in a file system that both share (--run-dir)",
                    start.invitation.directory.display()
                ),
                _ => format!("process {process} belongs to another start"),
            }));
        }
        Ok(Arrival { process, line, stream: link.stream.try_clone()? })
    }

    fn missing(&self, joined: &Joined, wait: Duration, last: &str) -> ClusterError {
        let missing = (self.process + 1..self.processes()).filter(|process| !joined.contains_key(process));
        let missing: Vec<String> = missing.map(|process| self.name(process)).collect();
        let (missing, seconds) = (missing.join(", "), wait.as_secs());
        let reason =
            format!("{missing} did not join within {seconds} s; start every process of the hosts file{last}");
        ClusterError::Apart { reason }
    }
}

/// Lets a process join by one of its connections, unless that is there already.
fn seat(joined: &mut Joined, arrival: Arrival, interrupted: &AtomicBool) -> Result<(), Broken> {
    let Arrival { process, line, stream } = arrival;
    let mut link = Link::on(&stream, interrupted)?;
    match (line, joined.get_mut(&process)) {
        (Line::Control, there) if there.as_ref().is_none_or(|(control, _)| !is_quiet(control)) => {
            joined.insert(process, (stream, None));
        }
        (Line::Data, Some((_, data @ None))) => *data = Some(stream),
        _ => {
            let reason = format!("there is a process {process} already; each has its own number (--process)");
            return Err(link.refuse(reason));
        }
    }
    link.send_verdict(Ok(()))
}
