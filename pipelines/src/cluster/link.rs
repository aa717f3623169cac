//! A connection during the handshake: length-prefixed JSON messages of bounded size, each with a time limit.
//! Every message is a `Result`: what is to be said, or why this process does not go on.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use spfde_data::visible;

/// How long a read sleeps at most before it looks whether the process was asked to end.
const NAP: Duration = Duration::from_millis(50);

/// How long a handshake may take, from the connection to the agreement: some kilobytes each way, and a look
/// into the run directory.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Bytes of one message, checked before memory is taken for it: more than all settings of a run.
const MESSAGE: usize = 64 << 10;

/// Letters of a reason that are told; longer ones are cut.
const REASON: usize = 1024;

/// What ends a handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// The other side, or the network; another attempt may succeed.
    #[error("{0}")]
    Link(String),
    /// The two do not fit together, says a process that has not proved the secret; the right one may still
    /// come.
    #[error("{0}")]
    Doubtful(String),
    /// The two do not fit together: another attempt gives the same.
    #[error("{0}")]
    Refused(String),
    /// The process was asked to end.
    #[error("this process was asked to end")]
    Interrupted,
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Link(error.to_string())
    }
}

/// One end of a connection.
pub(super) struct Link<'a> {
    stream: &'a TcpStream,
    /// Until then everything has to be said.
    pub(super) deadline: Instant,
    interrupted: &'a AtomicBool,
}

impl<'a> Link<'a> {
    /// The connection `stream`, on which everything has to be said within `time`.
    pub(super) fn new(stream: &'a TcpStream, time: Duration, interrupted: &'a AtomicBool) -> Self {
        Self { stream, deadline: Instant::now() + time, interrupted }
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

    /// Receives what the other side says, or why it does not go on.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Broken> {
        let mut length = [0; 4];
        self.receive_bytes(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MESSAGE {
            return Err(Broken::Link(format!("it sent a message of {length} bytes")));
        }
        let mut bytes = vec![0; length];
        self.receive_bytes(&mut bytes)?;
        let said: Result<T, String> = serde_json::from_slice(&bytes)
            .map_err(|error| Broken::Link(format!("it sent a message that cannot be read: {error}")))?;
        // It may come from a stranger.
        said.map_err(|reason| Broken::Refused(visible(&reason).chars().take(REASON).collect()))
    }

    /// Says something, or why this process does not go on.
    pub(super) fn say<T: Serialize>(&mut self, said: &Result<T, String>) -> Result<(), Broken> {
        let bytes = serde_json::to_vec(said).map_err(|error| Broken::Link(error.to_string()))?;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.send_bytes(&[&length.to_le_bytes()[..], &bytes].concat())
    }

    /// Says something.
    pub(super) fn send(&mut self, said: &impl Serialize) -> Result<(), Broken> {
        self.say(&Ok(said))
    }

    /// Refuses the other side for `reason`, which is told to it, too.
    pub(super) fn refuse(&mut self, reason: String) -> Broken {
        let told = self.say(&Err::<(), _>(reason.clone()));
        told.err().unwrap_or(Broken::Refused(reason))
    }
}

/// Whether the process at the other end has neither said anything nor closed the connection; does not wait.
pub(super) fn is_quiet(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let peeked = stream.peek(&mut [0]);
    let _ = stream.set_nonblocking(false);
    peeked.is_err_and(|error| waits(error.kind()))
}

fn waits(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn messages_arrive_whole_and_those_that_are_too_long_or_no_message_are_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let never = AtomicBool::new(false);
        let mut sender = Link::new(&connected, HANDSHAKE, &never);
        let mut receiver = Link::new(&accepted, HANDSHAKE, &never);
        sender.send(&("text", [7_u8; 32])).unwrap();
        assert_eq!(receiver.receive::<(String, [u8; 32])>(), Ok(("text".to_owned(), [7; 32])));
        // What a terminal would act upon is escaped, and what is too long is cut between letters.
        for (reason, heard) in [("no\x07", "no\\u0007"), (&"ä".repeat(REASON + 1), &"ä".repeat(REASON))] {
            assert_eq!(sender.refuse(reason.to_owned()), Broken::Refused(reason.to_owned()));
            assert_eq!(receiver.receive::<()>(), Err(Broken::Refused(heard.to_owned())));
        }
        sender.send(&()).unwrap();
        assert_eq!(receiver.receive::<()>(), Ok(()));
        sender.send_bytes(b"\x03\0\0\0not").unwrap();
        let error = receiver.receive::<u32>().unwrap_err();
        assert!(matches!(&error, Broken::Link(reason) if reason.contains("cannot be read")), "{error:?}");
        sender.send_bytes(&u32::MAX.to_le_bytes()).unwrap();
        let refused = Broken::Link("it sent a message of 4294967295 bytes".to_owned());
        assert_eq!(receiver.receive::<u32>(), Err(refused));
    }
}
