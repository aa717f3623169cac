//! A connection during the handshake: length-prefixed JSON messages of bounded size, each with a time limit.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long a read sleeps at most before it looks whether the process was asked to end.
const NAP: Duration = Duration::from_millis(50);

/// How long a handshake may take, from the connection to the agreement: some kilobytes each way, and a look
/// into the run directory.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Bytes of one message, checked before memory is taken for it: more than all settings of a run.
const MESSAGE: usize = 64 << 10;

/// Bytes of a reason in a verdict; longer ones are cut.
const REASON: usize = 1024;

/// What ends a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The other side, or the network; another attempt may succeed.
    Link(String),
    /// The two do not fit together, says a process that has not proved the secret; the right one may still
    /// come.
    Doubtful(String),
    /// The two do not fit together: another attempt gives the same.
    Refused(String),
    /// The process was asked to end.
    Interrupted,
}

impl Broken {
    /// Why, in words.
    pub(super) fn into_reason(self) -> String {
        match self {
            Self::Link(reason) | Self::Doubtful(reason) | Self::Refused(reason) => reason,
            Self::Interrupted => "this process was asked to end".to_owned(),
        }
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Link(error.to_string())
    }
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

    /// The connection `stream`, on which everything has to be said within [`HANDSHAKE`] from now on.
    pub(super) fn on(stream: &TcpStream, interrupted: &'a AtomicBool) -> Result<Self, Broken> {
        Ok(Self::new(stream.try_clone()?, Instant::now() + HANDSHAKE, interrupted))
    }

    /// Fills `bytes` with what arrives.
    pub(super) fn receive_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Broken> {
        let mut filled = 0;
        while filled < bytes.len() {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Broken::Interrupted);
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Broken::Link("it does not answer".to_owned()));
            }
            // A time limit of zero would be none.
            self.stream.set_read_timeout(Some(NAP.min(left).max(Duration::from_millis(1))))?;
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => return Err(Broken::Link("it closed the connection".to_owned())),
                Ok(count) => filled += count,
                Err(error) if waits(error.kind()) => (),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends all of `bytes`.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let left = self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.set_write_timeout(Some(left))?;
        Ok(self.stream.write_all(bytes)?)
    }

    /// Receives a message.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Broken> {
        let mut length = [0; 4];
        self.receive_bytes(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MESSAGE {
            return Err(Broken::Link(format!("it sent a message of {length} bytes")));
        }
        let mut bytes = vec![0; length];
        self.receive_bytes(&mut bytes)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Broken::Link(format!("it sent a message that cannot be read: {error}")))
    }

    /// Sends a message.
    pub(super) fn send(&mut self, message: &impl Serialize) -> Result<(), Broken> {
        let bytes = serde_json::to_vec(message).map_err(|error| Broken::Link(error.to_string()))?;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.send_bytes(&[&length.to_le_bytes()[..], &bytes].concat())
    }

    /// Agrees, or says why not.
    pub(super) fn send_verdict(&mut self, verdict: Result<(), &str>) -> Result<(), Broken> {
        self.send(&verdict.map_err(|reason| cut(reason, REASON)))
    }

    /// Refuses the other side for `reason`, which is told to it, too.
    pub(super) fn refuse(&mut self, reason: String) -> Broken {
        self.send_verdict(Err(&reason)).err().unwrap_or(Broken::Refused(reason))
    }

    /// Whether the other side agrees.
    pub(super) fn receive_verdict(&mut self) -> Result<(), Broken> {
        let verdict: Result<(), String> = self.receive()?;
        verdict.map_err(|reason| Broken::Refused(printable(reason.as_bytes())))
    }
}

/// Tells the process at the other end of `stream` whether this one agrees, if it is still there.
pub(super) fn tell(stream: &TcpStream, interrupted: &AtomicBool, verdict: Result<(), &str>) {
    let _ = Link::on(stream, interrupted).and_then(|mut link| link.send_verdict(verdict));
}

/// Whether the process at the other end of `stream` agrees.
pub(super) fn hear(stream: &TcpStream, interrupted: &AtomicBool) -> Result<(), Broken> {
    Link::on(stream, interrupted)?.receive_verdict()
}

/// Whether the process at the other end has neither said anything nor closed the connection; does not wait.
pub(super) fn is_quiet(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let peeked = stream.peek(&mut [0]);
    let _ = stream.set_nonblocking(false);
    peeked.is_err_and(|error| waits(error.kind()))
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn text_is_cut_between_letters_and_loses_what_terminals_act_upon() {
        assert_eq!((cut("aäb", 2), cut("aäb", 3), cut("aäb", 9), cut("ä", 0)), ("a", "aä", "aäb", ""));
        assert_eq!(printable(b"a\x1b[31m\n\xff"), "a\u{fffd}[31m\u{fffd}\u{fffd}");
    }

    #[test]
    fn messages_arrive_whole_and_those_that_are_too_long_or_no_message_are_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let (never, later) = (AtomicBool::new(false), Instant::now() + HANDSHAKE);
        let mut sender = Link::new(connected, later, &never);
        let mut receiver = Link::new(accepted, later, &never);
        sender.send(&("text", [7_u8; 32])).unwrap();
        assert_eq!(receiver.receive::<(String, [u8; 32])>(), Ok(("text".to_owned(), [7; 32])));
        sender.send_verdict(Err("no\x07")).unwrap();
        assert_eq!(receiver.receive_verdict(), Err(Broken::Refused("no\u{fffd}".to_owned())));
        sender.send_verdict(Ok(())).unwrap();
        assert_eq!(receiver.receive_verdict(), Ok(()));
        sender.send_bytes(b"\x03\0\0\0not").unwrap();
        let error = receiver.receive::<u32>().unwrap_err();
        assert!(matches!(&error, Broken::Link(reason) if reason.contains("cannot be read")), "{error:?}");
        sender.send_bytes(&u32::MAX.to_le_bytes()).unwrap();
        let refused = Broken::Link("it sent a message of 4294967295 bytes".to_owned());
        assert_eq!(receiver.receive::<u32>(), Err(refused));
    }
}
