//! Heartbeats: signs of life between timely's messages, which flow only as long as the work goes on.
//!
//! A heartbeat is one byte, sent every [`EVERY`], where a message of timely's would begin. There it cannot be mistaken: a
//! message begins with the number of its channel, the highest of eight bytes first, and no dataflow has 2⁵⁶ channels. A thread
//! sends it that does nothing else, so that it comes however long a worker computes, and stays away when the process is stopped.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::frames::Frames;

/// How long after one heartbeat the next is sent.
pub(super) const EVERY: Duration = Duration::from_millis(500);

/// What a process says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Heartbeat {
    /// One of its workers has been at one piece of work for a while.
    Working = 0xfe,
    /// Its workers look again and again what there is to do.
    Responsive = 0xff,
}

impl Heartbeat {
    pub(super) fn byte(self) -> u8 {
        self as u8
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Working, Self::Responsive].into_iter().find(|heartbeat| heartbeat.byte() == byte)
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
    /// Whether its last heartbeat was [`Heartbeat::Working`].
    pub(super) working: AtomicBool,
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
            working: AtomicBool::new(false),
            over: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
        }
    }

    /// Notes what has come.
    pub(super) fn hear(&self, messages: bool, heartbeat: Option<Heartbeat>) {
        if let Some(heartbeat) = heartbeat {
            self.working.store(heartbeat == Heartbeat::Working, Ordering::Relaxed);
        }
        if messages {
            self.messages.fetch_add(1, Ordering::Relaxed);
        }
        self.heard.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends `peer` heartbeats on `stream` until the connection ends; `working` says which. `sent` follows timely's messages on the
/// same stream, and is held by whoever writes there.
pub(super) fn beat(
    mut stream: TcpStream,
    sent: Arc<Mutex<Frames>>,
    peer: Arc<Peer>,
    working: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let beat = move || {
        loop {
            if !peer.deaf.load(Ordering::Relaxed) {
                let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                if sent.ended || peer.over.load(Ordering::Relaxed) {
                    return;
                }
                let heartbeat = match working.load(Ordering::Relaxed) {
                    true => Heartbeat::Working,
                    false => Heartbeat::Responsive,
                };
                // Whether the connection has broken is for those to tell that wait for something from there.
                if sent.between() && stream.write_all(&[heartbeat.byte()]).is_err() {
                    return;
                }
            }
            std::thread::sleep(EVERY);
        }
    };
    std::thread::Builder::new().name("spfde:heartbeat".to_owned()).spawn(beat).map(drop)
}
