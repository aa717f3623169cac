//! Heartbeats: signs of life between timely's messages, which flow only as long as the work goes on.
//!
//! A heartbeat is one byte of 0xbf or more, sent every [`EVERY`], where a message of timely's would begin. There it cannot be
//! mistaken: a message begins with the number of its channel, the highest of eight bytes first, and no dataflow has 2⁵⁶ channels. A thread
//! sends it that does nothing else, so that it comes however long a worker computes, and stays away when the process is stopped.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::frames::Frames;

/// How long after one heartbeat the next is sent.
pub(super) const EVERY: Duration = Duration::from_millis(500);

/// What a process says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heartbeat {
    /// Its workers look again and again what there is to do.
    Responsive,
    /// One of its workers has been at one piece of work for a while: at that of this number, up to [`PIECES`]. Pieces that
    /// follow one another have numbers that differ.
    Working(u8),
}

/// Numbers of pieces of work. It takes as many pieces, each of a second or more, until a number comes back: between two
/// heartbeats, that is never.
pub(super) const PIECES: u8 = 64;

/// The first of the bytes that are heartbeats.
const FIRST: u8 = 0xff - PIECES;

impl Heartbeat {
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Responsive => 0xff,
            Self::Working(piece) => FIRST + piece % PIECES,
        }
    }

    /// The piece of work that it is at.
    pub(super) fn piece(self) -> Option<u8> {
        match self {
            Self::Responsive => None,
            Self::Working(piece) => Some(piece),
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0xff => Some(Self::Responsive),
            FIRST..0xff => Some(Self::Working(byte - FIRST)),
            _ => None,
        }
    }
}

/// What a process says of itself, as whoever sends it last heard.
#[derive(Debug)]
pub(super) struct State(AtomicU8);

impl State {
    pub(super) fn get(&self) -> Heartbeat {
        Heartbeat::from_byte(self.0.load(Ordering::Relaxed)).expect("only heartbeats are kept")
    }

    pub(super) fn set(&self, heartbeat: Heartbeat) {
        self.0.store(heartbeat.byte(), Ordering::Relaxed);
    }
}

impl Default for State {
    fn default() -> Self {
        Self(AtomicU8::new(Heartbeat::Responsive.byte()))
    }
}

/// Another process, as far as its connection tells how it is.
#[derive(Debug)]
pub(super) struct Peer {
    /// Which.
    pub(super) process: usize,
    /// Its address.
    pub(super) address: String,
    /// How often something has come from it.
    pub(super) heard: AtomicU64,
    /// How often that was more than a heartbeat.
    pub(super) messages: AtomicU64,
    /// Its last heartbeat.
    pub(super) state: State,
    /// Whether it has come to its end, or is lost: nothing more comes from it.
    pub(super) over: AtomicBool,
    /// Whether it has been silent for so long that heartbeats are kept from it: they would fill its system's memory.
    pub(super) deaf: AtomicBool,
}

impl Peer {
    pub(super) fn new(process: usize, address: String) -> Self {
        Self {
            process,
            address,
            heard: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            state: State::default(),
            over: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
        }
    }

    /// Notes what has come.
    pub(super) fn hear(&self, messages: bool, heartbeat: Option<Heartbeat>) {
        if let Some(heartbeat) = heartbeat {
            self.state.set(heartbeat);
        }
        if messages {
            self.messages.fetch_add(1, Ordering::Relaxed);
        }
        self.heard.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends `peer` heartbeats on `stream` until the connection ends; `own` is what this process says of itself. `sent` follows timely's messages on the
/// same stream, and is held by whoever writes there.
pub(super) fn beat(
    mut stream: TcpStream,
    sent: Arc<Mutex<Frames>>,
    peer: Arc<Peer>,
    own: Arc<State>,
) -> std::io::Result<()> {
    let beat = move || {
        loop {
            // Whoever is just sending something gives a sign of life itself, and may do so for long if nobody takes it.
            let ended = sent.try_lock().is_ok_and(|sent| {
                // Whether the connection has broken is for those to tell that wait for something from there.
                let may_send = sent.between() && !peer.deaf.load(Ordering::Relaxed);
                sent.ended || (may_send && stream.write_all(&[own.get().byte()]).is_err())
            });
            if ended || peer.over.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(EVERY);
        }
    };
    std::thread::Builder::new().name("spfde:heartbeat".to_owned()).spawn(beat).map(drop)
}
