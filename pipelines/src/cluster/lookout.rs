//! Looks from time to time how the other processes are, and tells what there is to tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::heartbeat::{Heartbeat, Peer, State};
use super::silence::{Event, Sight, Silence};
use super::watch::{Lost, Watcher};
use crate::command::remark_soon;

/// Looks how the other processes are.
pub(crate) struct Lookout {
    peers: Vec<Arc<Peer>>,
    silence: Silence,
    last: Instant,
    /// Set if this process is asked to end.
    interrupted: Arc<AtomicBool>,
    /// What heartbeats say of this process.
    own: Arc<State>,
    /// How the work goes on after an end, if it can.
    goes_on: Option<String>,
    watcher: Watcher,
}

impl Lookout {
    pub(super) fn new(
        peers: Vec<Arc<Peer>>,
        interrupted: Arc<AtomicBool>,
        own: Arc<State>,
        goes_on: Option<String>,
        watcher: Watcher,
    ) -> Self {
        let silence = Silence::new(peers.len());
        Self { peers, silence, last: Instant::now(), interrupted, own, goes_on, watcher }
    }

    /// Looks how the others are, and says it, if there is something to say, without waiting for somebody to read it; `piece` is
    /// the number of the piece of work at which one of the workers of this process has been for a while, if one has. If this process is asked to end and cannot do it in good order, since
    /// another one is silent, that one is lost.
    pub(crate) fn look(&mut self, piece: Option<u8>) {
        self.own.set(piece.map_or(Heartbeat::Responsive, Heartbeat::Working));
        let sight = |peer: &Arc<Peer>| Sight {
            heard: peer.heard.load(Ordering::Relaxed),
            messages: peer.messages.load(Ordering::Relaxed),
            piece: peer.state.get().piece(),
            over: peer.over.load(Ordering::Relaxed),
        };
        let sights: Vec<Sight> = self.peers.iter().map(sight).collect();
        let asked = self.interrupted.load(Ordering::Relaxed);
        let passed = self.last.elapsed();
        self.last += passed;
        for event in self.silence.look(passed, &sights, piece.is_some(), asked) {
            match event {
                Event::Deserted(other) => {
                    self.lose(other, "no word has come from it since: it may be stopped".to_owned());
                }
                Event::Stuck(other, lasted) => {
                    self.lose(
                        other,
                        format!("it has been at one piece of work for {} s since", lasted.as_secs()),
                    );
                }
                Event::Silent(other, lasted) => {
                    let quiet = format!("no word from {} for {} s", self.name(other), lasted.as_secs());
                    remark_soon(format_args!("{quiet}: it may be stopped; {}", self.way_out()));
                }
                Event::Heard(other, lasted) => {
                    remark_soon(format_args!(
                        "{} is there again, after {} s",
                        self.name(other),
                        lasted.as_secs()
                    ));
                }
                Event::Working(other, lasted) => {
                    let (name, seconds) = (self.name(other), lasted.as_secs());
                    let working =
                        format!("all wait for {name}, which has been at one piece of work for {seconds} s");
                    remark_soon(format_args!("{working}; {}", self.way_out()));
                }
                Event::Unready(other) => {
                    let name = self.name(other);
                    remark_soon(format_args!(
                        "{name} is still at work; once more to stop at once, without it"
                    ));
                }
            }
        }
        for (other, peer) in self.peers.iter().enumerate() {
            peer.deaf.store(self.silence.is_deaf(other), Ordering::Relaxed);
        }
    }

    fn name(&self, other: usize) -> String {
        let Peer { process, address, .. } = &*self.peers[other];
        format!("process {process} at {address}")
    }

    /// What one can do who waits.
    fn way_out(&self) -> String {
        let goes_on = self.goes_on.as_ref().map_or_else(String::new, |how| format!("; {how}"));
        format!("still waiting (Ctrl-C ends this process{goes_on})")
    }

    fn lose(&self, other: usize, reason: String) {
        let Peer { process, address, .. } = &*self.peers[other];
        self.watcher.lose(Lost { process: *process, address: address.clone(), reason });
    }
}
