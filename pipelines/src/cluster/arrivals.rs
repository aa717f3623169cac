//! Waiting for other processes: strangers are dropped, whoever is expected joins.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::ClusterError;
use super::greeting::{self, Side, message, same};
use super::hosts::Hosts;
use super::link::{Broken, HANDSHAKE, Link, Word, heard};
use super::listening::Listeners;
use super::meeting::Introduction;
use super::secret::Secret;

/// How often whoever waits looks for new connections.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// How long whoever comes may take to prove the secret: it need only answer twice. A stranger that keeps silent takes up the
/// place of one that is expected no longer than that.
const GREETING: Duration = Duration::from_secs(2);

/// Connections that shake hands at the same time at most: more than any burst of expected ones needs, few enough that a flood
/// of others costs nothing.
const AT_ONCE: usize = 64;

/// Dropped connections that are worth a note; a port scan is worth no more.
const NOTES: usize = 8;

/// Bytes of the path of a run directory.
const PATH: usize = 4096;
/// Bytes of what process 0 says of the run.
const PLACE: usize = 1 + 4 + 32 + 2 + PATH;

/// What process 0 says of the run.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The run directory, if the run has one.
    pub(super) directory: Option<PathBuf>,
    /// The epoch at which the run begins or goes on.
    pub(super) epoch: u32,
    /// What all of them know of this start and nobody else: it lies in the run directory, or is sent where there is none.
    pub(super) key: [u8; 32],
}

impl Place {
    fn send(&self, link: &mut Link<'_>) -> Result<(), Broken> {
        let mut bytes = vec![0; PLACE];
        bytes[1..5].copy_from_slice(&self.epoch.to_le_bytes());
        match &self.directory {
            None => bytes[5..37].copy_from_slice(&self.key),
            Some(path) => {
                let path = path.to_string_lossy();
                let path = &path.as_bytes()[..path.len().min(PATH)];
                bytes[0] = 1;
                bytes[37..39].copy_from_slice(&(path.len() as u16).to_le_bytes());
                bytes[39..39 + path.len()].copy_from_slice(path);
            }
        }
        link.send(&bytes)
    }

    /// The place, without its key if there is a directory in which to look for it.
    pub(super) fn receive(link: &mut Link<'_>) -> Result<Self, Broken> {
        let bytes = link.receive::<PLACE>()?;
        let epoch = u32::from_le_bytes(bytes[1..5].try_into().expect("four bytes"));
        let key = bytes[5..37].try_into().expect("32 bytes");
        let length = usize::from(u16::from_le_bytes([bytes[37], bytes[38]])).min(PATH);
        let path = || PathBuf::from(String::from_utf8_lossy(&bytes[39..39 + length]).into_owned());
        Ok(Self { directory: (bytes[0] == 1).then(path), epoch, key })
    }
}

/// What there is to know for shaking hands with those who come.
pub(super) struct Arrivals {
    pub(super) secret: Secret,
    /// What this process would say itself.
    pub(super) own: Introduction,
    /// What to say if the two are about different things.
    pub(super) differs: &'static str,
    /// Which process this is.
    pub(super) me: usize,
    pub(super) place: Place,
    pub(super) interrupted: Arc<AtomicBool>,
    pub(super) state: Mutex<State>,
}

/// Who has come.
#[derive(Default)]
pub(super) struct State {
    joined: BTreeMap<usize, TcpStream>,
    shaking: usize,
    /// Those of them that look for the run directory: as long as a new file takes to show up.
    looking: BTreeSet<SocketAddr>,
    dropped: usize,
    last: Option<String>,
}

impl Arrivals {
    /// Waits at `listeners` until every process after this one has joined.
    ///
    /// Who looks for the run directory when the time is over is waited for: if it is not there, that is the reason to tell.
    /// `watch` is asked again and again whether it is still worth it.
    pub(super) fn wait(
        self: &Arc<Self>,
        listeners: &Listeners,
        hosts: &Hosts,
        (wait, deadline): (Duration, Instant),
        watch: &dyn Fn() -> Result<(), ClusterError>,
    ) -> Result<BTreeMap<usize, TcpStream>, ClusterError> {
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(self.give_up(ClusterError::Interrupted));
            }
            watch()?;
            if let Err(error) = self.look(hosts) {
                return Err(self.give_up(error));
            }
            let (joined, shaking, looking) = {
                let state = self.state();
                (state.joined.len(), state.shaking, !state.looking.is_empty())
            };
            if joined + self.me + 1 == hosts.len() {
                return Ok(std::mem::take(&mut self.state().joined));
            }
            let over = Instant::now() >= deadline;
            if over && !looking {
                return Err(self.give_up(self.missing(hosts, wait)));
            }
            // Who comes while too many shake hands waits in the system's queue.
            let come = listeners.accept(if over { 0 } else { AT_ONCE.saturating_sub(shaking) });
            if come.is_empty() {
                std::thread::sleep(POLL);
            }
            come.into_iter().for_each(|(stream, from)| self.begin(stream, from));
        }
    }

    /// Shakes hands in a thread of its own, so that nobody who keeps silent keeps others waiting.
    fn begin(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        self.state().shaking += 1;
        let arrivals = Arc::clone(self);
        let shake = move || {
            let shaken = arrivals.shake(stream, from);
            let mut state = arrivals.state();
            state.shaking -= 1;
            state.looking.remove(&from);
            if let Err(Broken::Link(reason) | Broken::Doubtful(reason) | Broken::Refused(reason)) = shaken {
                state.dropped += 1;
                let note = format!("a connection from {from} was dropped: {reason}");
                if state.dropped <= NOTES {
                    crate::command::remark_soon(format_args!("{note}; still waiting"));
                }
                state.last = Some(note);
            }
        };
        if std::thread::Builder::new().name("spfde:handshake".to_owned()).spawn(shake).is_err() {
            self.state().shaking -= 1;
        }
    }

    fn shake(&self, stream: TcpStream, from: SocketAddr) -> Result<(), Broken> {
        let io = |error: std::io::Error| Broken::Link(error.to_string());
        stream.set_nonblocking(false).map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        let begin = Instant::now();
        let link = &mut Link::new(stream, begin + GREETING, &self.interrupted);
        let transcript = greeting::welcome(link, &self.secret)?;
        link.deadline = begin + HANDSHAKE;
        let guest = Introduction::receive(link)?;
        if let Some(reason) = guest.misfit(&self.own, self.me, self.differs) {
            link.send_verdict(&Err(reason.clone()))?;
            return Err(Broken::Refused(reason));
        }
        link.send_verdict(&Ok(()))?;
        if self.me == 0 {
            self.place.send(link)?;
            self.state().looking.insert(from);
            link.receive_verdict()?;
        }
        let proof = link.receive::<32>()?;
        let wanted = blake3::keyed_hash(&self.place.key, &message(Side::Guest, "key", &transcript));
        let process = guest.from as usize;
        if !same(&proof, wanted.as_bytes()) {
            let reason = match &self.place.directory {
                Some(path) if self.me == 0 => format!(
                    "what process {process} sees as the run directory is not the {} of process 0; it has to lie in a file \
                     system that both share, where each is told that the run directory is (of a replay its --out)",
                    path.display()
                ),
                _ => format!("process {process} belongs to another start"),
            };
            link.send_verdict(&Err(reason.clone()))?;
            return Err(Broken::Refused(reason));
        }
        let mut state = self.state();
        let there = state.joined.get(&process);
        if there.is_some_and(|stream| heard(stream) != Word::Gone) {
            drop(state);
            let reason = format!("there is a process {process} already; each has its own number (--process)");
            link.send_verdict(&Err(reason.clone()))?;
            return Err(Broken::Refused(reason));
        }
        let stream = link.stream.try_clone().map_err(io)?;
        link.send_verdict(&Ok(()))?;
        state.joined.insert(process, stream);
        Ok(())
    }

    /// Whether those who have joined are still there: who has left may come again; who gives up ends it for all.
    fn look(&self, hosts: &Hosts) -> Result<(), ClusterError> {
        let mut state = self.state();
        let mut gave_up = None;
        let mut left = Vec::new();
        for (process, stream) in &state.joined {
            match heard(stream) {
                Word::Nothing | Word::Ready => (),
                Word::Gone => left.push(*process),
                Word::GivesUp => gave_up = Some(*process),
            }
        }
        for process in left {
            state.joined.remove(&process);
            let note = format!("process {process} has left");
            crate::command::remark_soon(format_args!("{note}; still waiting"));
            state.last = Some(note);
        }
        let Some(process) = gave_up else { return Ok(()) };
        let stream = state.joined.remove(&process).expect("it has just been there");
        drop(state);
        let mut link = Link::new(stream, Instant::now() + HANDSHAKE, &self.interrupted);
        let reason = match link.receive_verdict() {
            Err(Broken::Refused(reason) | Broken::Link(reason)) => reason,
            _ => "it does not say why".to_owned(),
        };
        Err(ClusterError::Ended { process, address: hosts.get(process).to_string(), reason })
    }

    /// Tells those who have joined that there will be no start.
    fn give_up(&self, error: ClusterError) -> ClusterError {
        for (_, stream) in std::mem::take(&mut self.state().joined) {
            let mut link = Link::new(stream, Instant::now() + HANDSHAKE, &self.interrupted);
            let _ = link.send_verdict(&Err(error.to_string()));
        }
        error
    }

    fn missing(&self, hosts: &Hosts, wait: Duration) -> ClusterError {
        let state = self.state();
        let missing = (self.me + 1..hosts.len()).filter(|process| !state.joined.contains_key(process));
        let missing: Vec<String> =
            missing.map(|process| format!("process {process} at {}", hosts.get(process))).collect();
        let last = state.last.as_ref().map_or_else(String::new, |last| format!(" ({last})"));
        ClusterError::Missing { missing: missing.join(", "), seconds: wait.as_secs(), last }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::hosts::Host;
    use super::super::meeting::{Meeting, Purpose, Subject};
    use super::*;

    #[test]
    fn who_still_looks_for_the_run_directory_when_the_time_is_over_says_why_it_does_not_come() {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = Listeners::new(&Host::new("127.0.0.1:0", vec![free])).unwrap();
        let lookup = |text: &str| Ok(vec![text.parse().unwrap()]);
        let hosts = Hosts::parse("hosts", b"127.0.0.1:1\n127.0.0.1:2\n", lookup).unwrap();
        let meeting = Meeting::new(Purpose::Grid, 1, "", Subject::new("", ""));
        let arrivals = Arc::new(Arrivals {
            secret: Secret::default(),
            own: Introduction::new(&meeting, 1, 2, 0, 0),
            differs: "",
            me: 0,
            place: Place { directory: None, epoch: 0, key: [0; 32] },
            interrupted: Arc::default(),
            state: Mutex::default(),
        });
        let looks = SocketAddr::from(([127, 0, 0, 1], 3));
        arrivals.state().looking.insert(looks);
        let asked = Cell::new(0);
        let watch = || {
            asked.set(asked.get() + 1);
            if asked.get() == 3 {
                let mut state = arrivals.state();
                state.looking.remove(&looks);
                state.last = Some("process 1 does not see it".to_owned());
            }
            Ok(())
        };
        let over = (Duration::from_secs(4), Instant::now());
        let error = arrivals.wait(&listeners, &hosts, over, &watch).unwrap_err().to_string();
        assert_eq!(
            error,
            "process 1 at 127.0.0.1:2 did not join within 4 s; start every process of the hosts file (process 1 does not see it)"
        );
        assert_eq!(asked.get(), 3);
    }
}
