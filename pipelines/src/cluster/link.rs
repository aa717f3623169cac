//! A connection during the handshake: messages of fixed size, each with a time limit.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a read sleeps at most before it looks whether somebody wants the end.
const NAP: Duration = Duration::from_millis(50);

/// How long a handshake may take, from the connection to the agreement, for whoever answers at once: some kilobytes each
/// way, and a look into the run directory.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Bytes of a reason in a verdict; longer ones are cut.
const REASON: usize = 1021;

/// Bytes of a verdict.
const VERDICT: usize = 3 + REASON;

/// What ends a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The other side, or the network; trying again may help.
    Link(String),
    /// The two do not fit together, it seems; but the other side has not proved who it is, and the right one may still come.
    Doubtful(String),
    /// The two do not fit together: trying again gives the same.
    Refused(String),
    /// Somebody asked for the end.
    Interrupted,
}

/// One end of a connection.
pub(super) struct Link<'a> {
    pub(super) stream: TcpStream,
    pub(super) deadline: Instant,
    interrupted: &'a AtomicBool,
}

impl<'a> Link<'a> {
    /// A connection on which everything has to be said by `deadline`.
    pub(super) fn new(stream: TcpStream, deadline: Instant, interrupted: &'a AtomicBool) -> Self {
        Self { stream, deadline, interrupted }
    }

    /// Receives exactly `N` bytes.
    pub(super) fn receive<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let mut bytes = [0; N];
        let mut filled = 0;
        while filled < N {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Broken::Interrupted);
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Broken::Link("it does not answer".to_owned()));
            }
            // No timeout of zero: that would be none.
            let nap = NAP.min(left).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(nap)).map_err(io)?;
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => return Err(Broken::Link("it closed the connection".to_owned())),
                Ok(count) => filled += count,
                Err(error) if waits(error.kind()) => (),
                Err(error) => return Err(io(error)),
            }
        }
        Ok(bytes)
    }

    /// Sends all of `bytes`.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let left = self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.set_write_timeout(Some(left)).map_err(io)?;
        self.stream.write_all(bytes).map_err(io)
    }

    /// Agrees, or says why not.
    pub(super) fn send_verdict(&mut self, verdict: &Result<(), String>) -> Result<(), Broken> {
        let mut bytes = [0; VERDICT];
        if let Err(reason) = verdict {
            let reason = cut(reason, REASON);
            bytes[0] = 1;
            bytes[1..3].copy_from_slice(&(reason.len() as u16).to_le_bytes());
            bytes[3..3 + reason.len()].copy_from_slice(reason.as_bytes());
        }
        self.send(&bytes)
    }

    /// Whether the other side agrees.
    pub(super) fn receive_verdict(&mut self) -> Result<(), Broken> {
        let bytes = self.receive::<VERDICT>()?;
        if bytes[0] == 0 {
            return Ok(());
        }
        let length = usize::from(u16::from_le_bytes([bytes[1], bytes[2]])).min(REASON);
        Err(Broken::Refused(printable(&bytes[3..3 + length])))
    }
}

/// What a process that has nothing to say before it is asked does on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It waits.
    Nothing,
    /// It has said that it is ready, which is still to be read.
    Ready,
    /// It has said that it gives up, which is still to be read.
    GivesUp,
    /// It has closed the connection.
    Gone,
}

/// Looks at what has arrived on `stream`, without waiting.
pub(super) fn heard(stream: &TcpStream) -> Word {
    let mut first = [0];
    let _ = stream.set_nonblocking(true);
    let peeked = stream.peek(&mut first);
    let _ = stream.set_nonblocking(false);
    match peeked {
        Ok(0) => Word::Gone,
        Ok(_) if first[0] == 0 => Word::Ready,
        Ok(_) => Word::GivesUp,
        Err(error) if waits(error.kind()) => Word::Nothing,
        Err(_) => Word::Gone,
    }
}

/// As much of `text` as fits into `limit` bytes.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Text from outside, without anything that a terminal would act upon.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn waits(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn io(error: std::io::Error) -> Broken {
    Broken::Link(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_letters_and_loses_what_terminals_act_upon() {
        assert_eq!((cut("aäb", 2), cut("aäb", 3), cut("aäb", 9), cut("ä", 0)), ("a", "aä", "aäb", ""));
        assert_eq!(printable(b"a\x1b[31m\n\xff"), "a\u{fffd}[31m\u{fffd}\u{fffd}");
    }
}
