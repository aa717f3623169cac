//! Connecting to another process and shaking hands with it, again and again until it works or the time is
//! over.

use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Broken, HANDSHAKE, Line, Start};
use crate::{Error, Result};

/// How long one attempt to connect may take; the next follows after a pause.
const ATTEMPT: Duration = Duration::from_secs(1);
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// The pause after a refusal by a process that has not proved to be the right one: rarely enough that it is
/// no nuisance to the right one.
const DOUBT: Duration = Duration::from_secs(1);

impl Start {
    /// Connects to process `to`, for `line`, and shakes hands; again and again, for as long as `wait`. A
    /// refusal by a process that has not proved the secret is noted, and is the reason given in the end.
    pub(super) fn visit(&self, to: usize, line: Line, wait: Duration) -> Result<TcpStream> {
        let (host, name) = (self.cluster.hosts.get(to), self.cluster.name(to));
        let misfit = |reason| Error::usage(format!("{name} and this one do not fit together: {reason}"));
        let deadline = Instant::now() + wait;
        let (mut last, mut doubt) = ("it was not tried".to_owned(), None);
        while let left = deadline.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            let entered = connect(host.addresses()).map_err(Broken::from).and_then(|stream| {
                self.enter(&mut self.link(&stream, HANDSHAKE.min(left)), to, line)?;
                Ok(stream)
            });
            let pause = match entered {
                Ok(stream) => return Ok(stream),
                Err(Broken::Link(reason)) => {
                    last = reason;
                    PAUSE
                }
                Err(Broken::Doubtful(reason)) => {
                    if doubt.as_ref() != Some(&reason) {
                        (self.cluster.note)(&format!(
                            "the program at {host} does not fit together with this process: {reason}; \
                             still trying"
                        ));
                    }
                    doubt = Some(reason);
                    DOUBT
                }
                Err(Broken::Refused(reason)) => return Err(misfit(reason)),
                Err(Broken::Interrupted) => return Err(Error::interrupted()),
            };
            std::thread::sleep(pause);
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
        }
        Err(doubt.map(misfit).unwrap_or_else(|| {
            Error::failed(format!(
                "{name} did not let this one join within {} s ({last}); start every process of the hosts \
                 file, or wait longer",
                wait.as_secs()
            ))
        }))
    }
}

fn connect(addresses: &[std::net::SocketAddr]) -> std::io::Result<TcpStream> {
    let mut failed = std::io::ErrorKind::ConnectionRefused.into();
    for address in addresses {
        match TcpStream::connect_timeout(address, ATTEMPT) {
            // A connection to a port at which no process listens may meet itself.
            Ok(stream) if stream.local_addr()? == stream.peer_addr()? => (),
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
