//! Waiting for other processes: strangers are dropped, the processes of the hosts file join.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::{Broken, Cluster, HANDSHAKE, Line, Start, is_quiet};
use crate::{Error, Result};

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

/// The connections to other processes, by process.
pub(super) type Connections = BTreeMap<(usize, Line), TcpStream>;

/// A connection that fits, and waits for the last word.
type Arrival = (usize, Line, TcpStream);

impl Start {
    /// Waits until every process after this one has `joined`. One that leaves meanwhile may come again.
    /// Process 0, to which `first` leads from any other, says nothing meanwhile unless it gives up.
    pub(super) fn receive(
        self: &Arc<Self>,
        joined: &mut Connections,
        wait: Duration,
        first: Option<&TcpStream>,
    ) -> Result<()> {
        let Cluster { listener, process, note: tell, .. } = &*self.cluster;
        let Some(listener) = listener else { return Ok(()) };
        let deadline = Instant::now() + wait;
        let (sender, shaken) = channel();
        let (mut shaking, mut dropped, mut last) = (0, 0, String::new());
        // Each has two connections.
        while joined.len() < 2 * (self.cluster.processes() - process - 1) {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            if let Some(first) = first.filter(|first| !is_quiet(first)) {
                self.hear(0, first, HANDSHAKE)?;
            }
            if Instant::now() >= deadline {
                return Err(self.missing(joined, wait, &last));
            }
            // A connection that comes while too many shake hands waits in the system's queue.
            while shaking < AT_ONCE
                && let Ok((stream, from)) = listener.accept()
            {
                let (start, sender) = (Arc::clone(self), sender.clone());
                // In a thread of its own, so that a connection that keeps silent keeps no other waiting; it
                // is dropped if the wait is over.
                let shake = move || drop(sender.send((from, start.shake(stream))));
                let thread = std::thread::Builder::new().name("spfde:handshake".to_owned()).spawn(shake);
                shaking += usize::from(thread.is_ok());
            }
            joined.retain(|(process, line), stream| {
                let there = is_quiet(stream);
                if !there && *line == Line::Control {
                    let said = self.link(stream, HANDSHAKE).receive::<()>();
                    let why = said.err().map_or_else(String::new, |broken| broken.to_string());
                    last = format!(" (process {process} has left: {why})");
                    tell(&format!("process {process} has left: {why}; still waiting"));
                }
                there
            });
            let Ok((from, arrival)) = shaken.recv_timeout(POLL) else { continue };
            shaking -= 1;
            if let Err(broken) = arrival.and_then(|arrival| self.seat(joined, arrival)) {
                let note = format!("a connection from {from} was dropped: {broken}");
                last = format!(" ({note})");
                dropped += 1;
                if dropped <= NOTES {
                    tell(&format!("{note}; still waiting"));
                }
            }
        }
        Ok(())
    }

    fn shake(&self, stream: TcpStream) -> Result<Arrival, Broken> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let (process, line) = self.admit(&mut self.link(&stream, GREETING))?;
        Ok((process, line, stream))
    }

    /// Lets a process join by one of its connections, unless that is there already.
    fn seat(&self, joined: &mut Connections, (process, line, stream): Arrival) -> Result<(), Broken> {
        let mut link = self.link(&stream, HANDSHAKE);
        if joined.get(&(process, line)).is_some_and(is_quiet) {
            let reason = format!("there is a process {process} already; each has its own number (--process)");
            return Err(link.refuse(reason));
        }
        link.send(&())?;
        joined.insert((process, line), stream);
        Ok(())
    }

    fn missing(&self, joined: &Connections, wait: Duration, last: &str) -> Error {
        let is_missing = |process: &usize| !joined.contains_key(&(*process, Line::Control));
        let missing = (self.cluster.process + 1..self.cluster.processes()).filter(is_missing);
        let missing: Vec<String> = missing.map(|process| self.cluster.name(process)).collect();
        let (missing, seconds) = (missing.join(", "), wait.as_secs());
        Error::failed(format!(
            "{missing} did not join within {seconds} s; start every process of the hosts file{last}"
        ))
    }
}
