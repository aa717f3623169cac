//! Connecting to another process and shaking hands with it, again and again until it works or the time is
//! over.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Cluster;
use super::error::ClusterError;
use super::greeting::{self, Side, message};
use super::link::{Broken, Link};
use super::meeting::Introduction;

/// How long one attempt to connect may take; the next follows after a pause.
const ATTEMPT: Duration = Duration::from_secs(1);
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// The pause after a refusal by a process that has not proved to be the right one: rarely enough that it is
/// no nuisance to the right one.
const DOUBT: Duration = Duration::from_secs(1);

impl Cluster {
    /// Connects to the process that `own` names and shakes hands; again and again, for as long as `wait`. A
    /// refusal by a process that has not proved the secret is noted, and is the reason given in the end.
    /// `key` says what this start's key is.
    pub(super) fn visit(
        &self,
        own: &Introduction,
        wait: Duration,
        interrupted: &AtomicBool,
        key: &mut dyn FnMut(&mut Link<'_>) -> Result<[u8; 32], Broken>,
    ) -> Result<TcpStream, ClusterError> {
        let process = own.to;
        let address = self.hosts.get(process).to_string();
        let deadline = Instant::now() + wait;
        let mut last = "it was not tried".to_owned();
        let mut doubt = None;
        loop {
            if interrupted.load(Ordering::Relaxed) {
                return Err(ClusterError::Interrupted);
            }
            if Instant::now() >= deadline {
                let seconds = wait.as_secs();
                return Err(match doubt {
                    Some(reason) => ClusterError::Refused { process, address, reason },
                    None => ClusterError::Apart {
                        reason: format!(
                            "process {process} at {address} did not let this one join within {seconds} s \
                             ({last}); start every process of the hosts file, or wait longer"
                        ),
                    },
                });
            }
            let entered = self.connect(process).map_err(Broken::from).and_then(|stream| {
                let mut link = Link::on(&stream, interrupted)?;
                link.deadline = link.deadline.min(deadline);
                self.enter(&mut link, own, key)?;
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
                        self.notes.tell(format_args!(
                            "the program at {address} does not fit together with this process: {reason}; \
                             still trying"
                        ));
                    }
                    doubt = Some(reason);
                    DOUBT
                }
                Err(Broken::Refused(reason)) => {
                    return Err(ClusterError::Refused { process, address, reason });
                }
                Err(Broken::Interrupted) => return Err(ClusterError::Interrupted),
            };
            std::thread::sleep(pause);
        }
    }

    fn connect(&self, to: usize) -> std::io::Result<TcpStream> {
        let mut failed = None;
        for address in self.hosts.get(to).addresses() {
            match TcpStream::connect_timeout(address, ATTEMPT) {
                // A connection to a port at which no process listens may meet itself.
                Ok(stream) if stream.local_addr()? == stream.peer_addr()? => (),
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| std::io::ErrorKind::ConnectionRefused.into()))
    }

    fn enter(
        &self,
        link: &mut Link<'_>,
        own: &Introduction,
        key: &mut dyn FnMut(&mut Link<'_>) -> Result<[u8; 32], Broken>,
    ) -> Result<(), Broken> {
        let transcript = greeting::greet(link, &self.secret)?;
        link.send(own)?;
        link.receive_verdict()?;
        let key = key(link)?;
        link.send(blake3::keyed_hash(&key, &message(Side::Guest, "key", &transcript)).as_bytes())?;
        link.receive_verdict()
    }
}
