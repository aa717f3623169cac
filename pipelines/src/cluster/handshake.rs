//! The handshake on a connection: both ends speak the same protocol and know the secret; what the one that
//! connects is about to do fits; it sees the run directory. That one tries again and again until it works or
//! the time is over.

use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::meeting::Introduction;
use super::{Broken, HANDSHAKE, Line, Link, Meeting, Secret, Start};
use crate::{Error, Result};

/// What a process of spfde says first, followed by the version of everything that is said after it.
const MAGIC: [u8; 16] = *b"spfde processes\n";
const PROTOCOL: u32 = 7;

/// Who says something.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Side {
    /// The process that connected.
    Guest = 1,
    /// The process that was connected to.
    Host = 2,
}

/// A number that is used once.
type Nonce = [u8; 32];

/// The numbers of both sides, the guest's first: no two connections have the same.
type Transcript = [Nonce; 2];

impl Start {
    /// Shakes hands as the process that connected, for `line`, to process `to`.
    ///
    /// A refusal that comes before the other side has proved the secret is [`Broken::Doubtful`]: a stranger
    /// may have said it.
    pub(super) fn enter(&self, link: &mut Link<'_>, to: usize, line: Line) -> Result<(), Broken> {
        let transcript = greet(link, &self.cluster.secret, Side::Guest).map_err(|broken| match broken {
            Broken::Refused(reason) => Broken::Doubtful(reason),
            broken => broken,
        })?;
        let (processes, from) = (self.cluster.processes(), self.cluster.process);
        let Meeting { terms, given, .. } = self.meeting.clone();
        link.send(&Introduction { processes, terms, given, from, to, line })?;
        let invitation = link.receive()?;
        if (to, line) == (0, Line::Control) {
            self.accept(invitation).map_err(|reason| link.refuse(reason))?;
        }
        link.send(&proof(&self.invited().1, Side::Guest, &transcript))?;
        link.receive()
    }

    /// Shakes hands as the process that was connected to, up to the last word; who came.
    pub(super) fn admit(&self, link: &mut Link<'_>) -> Result<(usize, Line), Broken> {
        let transcript = greet(link, &self.cluster.secret, Side::Host)?;
        link.deadline += HANDSHAKE;
        let guest: Introduction = link.receive()?;
        if let Some(reason) = guest.misfit(&self.meeting, &self.cluster) {
            return Err(link.refuse(reason));
        }
        let (invitation, key) = self.invited();
        link.send(&invitation)?;
        if same(link.receive()?, proof(&key, Side::Guest, &transcript)) {
            return Ok((guest.from, guest.line));
        }
        let process = guest.from;
        Err(link.refuse(match self.cluster.process {
            0 => format!(
                "what process {process} sees as the run directory is not the {} of process 0; it has to lie \
                 in a file system that both share (train --run-dir, resume RUN)",
                invitation.directory.display()
            ),
            _ => format!("process {process} belongs to another start"),
        }))
    }
}

/// Says and hears which protocol is spoken, and proves and sees proved that the secret is known: first by the
/// guest, so that the host proves nothing to strangers.
fn greet(link: &mut Link<'_>, secret: &Secret, side: Side) -> Result<Transcript, Broken> {
    let preamble = [&MAGIC[..], &PROTOCOL.to_le_bytes()].concat();
    let guest = side == Side::Guest;
    if guest {
        link.send_bytes(&preamble)?;
    }
    // A stranger is known by its first bytes, however few follow.
    let (mut magic, mut version) = ([0; MAGIC.len()], [0; 4]);
    link.receive_bytes(&mut magic)?;
    if magic != MAGIC {
        return Err(Broken::Link("it is no process of spfde".to_owned()));
    }
    link.receive_bytes(&mut version)?;
    if !guest {
        // A process of another version is answered, too, so that it can say what is wrong.
        link.send_bytes(&preamble)?;
    }
    let version = u32::from_le_bytes(version);
    if version != PROTOCOL {
        return Err(Broken::Refused(format!(
            "it speaks version {version} of the protocol between processes, this one {PROTOCOL}; run the \
             same version of the program everywhere"
        )));
    }
    let mine = random().map_err(Broken::Link)?;
    link.send(&mine)?;
    let theirs = link.receive()?;
    let transcript = if guest { [mine, theirs] } else { [theirs, mine] };
    if guest {
        link.send(&proof(secret, Side::Guest, &transcript))?;
        if !same(link.receive()?, proof(secret, Side::Host, &transcript)) {
            return Err(Broken::Refused("it does not know the secret of this process".to_owned()));
        }
    } else {
        if !same(link.receive()?, proof(secret, Side::Guest, &transcript)) {
            let reason = "they have different secrets, or one of them has none; give all processes the same \
                          (--secret FILE, or SPFDE_SECRET)";
            link.refuse(reason.to_owned());
            return Err(Broken::Refused("it does not know the secret".to_owned()));
        }
        link.send(&proof(secret, Side::Host, &transcript))?;
    }
    Ok(transcript)
}

/// A number that cannot be guessed.
pub(super) fn random() -> Result<Nonce, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    Ok(bytes)
}

/// What proves on this connection that a side knows the secret.
fn proof(secret: &Secret, side: Side, transcript: &Transcript) -> [u8; 32] {
    secret.sign(&[&[side as u8], &transcript.concat()[..]].concat())
}

/// Whether two proofs are equal, in a time that does not tell where they differ.
fn same(left: [u8; 32], right: [u8; 32]) -> bool {
    blake3::Hash::from_bytes(left) == blake3::Hash::from_bytes(right)
}

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
