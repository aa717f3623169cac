//! Connecting to another process and shaking hands with it, again and again until it works or the time is over.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Cluster;
use super::assemble::later;
use super::error::ClusterError;
use super::greeting::{self, Side, message};
use super::link::{Broken, Link};
use super::meeting::Introduction;

/// How long one attempt to connect may take; the next follows after a pause.
const ATTEMPT: Duration = Duration::from_secs(1);
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// The pause after somebody has refused this process who has not proved to be the right one: rarely enough that it is no
/// nuisance to the right one.
const DOUBT: Duration = Duration::from_secs(1);

/// Something that is asked while waiting: whether to go on.
pub(super) type Watch<'a> = &'a dyn Fn() -> Result<(), ClusterError>;

impl Cluster {
    /// Connects to process `to` and shakes hands; again and again, until the time is over. It obeys no refusal of somebody
    /// who has not proved the secret, but mentions it, and gives it as the reason in the end.
    pub(super) fn visit(
        &self,
        to: usize,
        own: &Introduction,
        key: &dyn Fn(&mut Link<'_>) -> Result<[u8; 32], Broken>,
        interrupted: &AtomicBool,
        watch: Watch<'_>,
    ) -> Result<TcpStream, ClusterError> {
        let address = || self.hosts.get(to).to_string();
        let deadline = Instant::now() + self.wait;
        let mut last = "it was not tried".to_owned();
        let mut doubt = None;
        loop {
            watch()?;
            if interrupted.load(Ordering::Relaxed) {
                return Err(ClusterError::Interrupted);
            }
            if Instant::now() >= deadline {
                let (address, seconds) = (address(), self.wait.as_secs());
                return Err(match doubt {
                    Some(reason) => ClusterError::Refused { process: to, address, reason },
                    None => ClusterError::Unreachable { process: to, address, seconds, reason: last },
                });
            }
            let entered =
                self.connect(to).map_err(|error| Broken::Link(error.to_string())).and_then(|stream| {
                    let mut link = Link::new(stream, later().min(deadline), interrupted);
                    self.enter(&mut link, own, key)?;
                    Ok(link.stream)
                });
            let pause = match entered {
                Ok(stream) => return Ok(stream),
                Err(Broken::Link(reason)) => {
                    last = reason;
                    PAUSE
                }
                Err(Broken::Doubtful(reason)) => {
                    if doubt.as_ref() != Some(&reason) {
                        crate::command::remark(format_args!(
                            "whoever is at {} does not fit together with this process: {reason}; still trying",
                            address()
                        ));
                    }
                    doubt = Some(reason);
                    DOUBT
                }
                Err(Broken::Refused(reason)) => {
                    return Err(ClusterError::Refused { process: to, address: address(), reason });
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
                // Where nobody listens a connection may meet itself.
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
        key: &dyn Fn(&mut Link<'_>) -> Result<[u8; 32], Broken>,
    ) -> Result<(), Broken> {
        let transcript = greeting::greet(link, &self.secret)?;
        own.send(link)?;
        link.receive_verdict()?;
        let key = key(link)?;
        link.send(blake3::keyed_hash(&key, &message(Side::Guest, "key", &transcript)).as_bytes())?;
        link.receive_verdict()
    }
}
