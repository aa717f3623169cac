//! The first words on a connection: which protocol, and that both know the secret.

use super::link::{Broken, Link};
use super::secret::Secret;

/// What a process of spfde says first.
const MAGIC: [u8; 16] = *b"spfde processes\n";

/// The version of everything that is said after it.
const PROTOCOL: u32 = 4;

/// Bytes of a number that is used once.
const NONCE: usize = 32;

const HELLO: usize = MAGIC.len() + 4 + NONCE;

/// Everything that was said first, by the one that connected and then by the other: no two connections have the same.
pub(super) type Transcript = [u8; 2 * HELLO];

/// Who says something.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Side {
    /// The process that connected.
    Guest = 1,
    /// The process that was connected to.
    Host = 2,
}

/// What this side was, and what was said: with whom anything can be proved from now on.
pub(super) fn message(side: Side, purpose: &str, transcript: &Transcript) -> Vec<u8> {
    [&[side as u8], purpose.as_bytes(), &transcript[..]].concat()
}

/// Greets as the process that connected.
///
/// Until the other side has proved that it knows the secret, nobody knows who it is: that it does not want this process is
/// [`Broken::Doubtful`].
pub(super) fn greet(link: &mut Link<'_>, secret: &Secret) -> Result<Transcript, Broken> {
    greet_anybody(link, secret).map_err(|broken| match broken {
        Broken::Refused(reason) => Broken::Doubtful(reason),
        broken => broken,
    })
}

fn greet_anybody(link: &mut Link<'_>, secret: &Secret) -> Result<Transcript, Broken> {
    let mine = hello()?;
    link.send(&mine)?;
    let theirs = receive_hello(link)?;
    check_version(&theirs)?;
    let transcript = join(&mine, &theirs);
    link.send(&secret.sign(&message(Side::Guest, "secret", &transcript)))?;
    link.receive_verdict()?;
    match proves(link, secret, Side::Host, &transcript)? {
        true => Ok(transcript),
        false => Err(Broken::Refused("it does not know the secret of this one".to_owned())),
    }
}

/// Greets a process that has connected.
pub(super) fn welcome(link: &mut Link<'_>, secret: &Secret) -> Result<Transcript, Broken> {
    let theirs = receive_hello(link)?;
    let mine = hello()?;
    // Of another version, too: then the other side can say what is wrong.
    link.send(&mine)?;
    check_version(&theirs)?;
    let transcript = join(&theirs, &mine);
    if !proves(link, secret, Side::Guest, &transcript)? {
        let reason = "they have different secrets, or one of them has none; give all processes the same (--secret FILE, or SPFDE_SECRET)";
        link.send_verdict(&Err(reason.to_owned()))?;
        return Err(Broken::Refused("it does not know the secret".to_owned()));
    }
    link.send_verdict(&Ok(()))?;
    link.send(&secret.sign(&message(Side::Host, "secret", &transcript)))?;
    Ok(transcript)
}

fn hello() -> Result<[u8; HELLO], Broken> {
    let mut hello = [0; HELLO];
    hello[..MAGIC.len()].copy_from_slice(&MAGIC);
    hello[MAGIC.len()..][..4].copy_from_slice(&PROTOCOL.to_le_bytes());
    random(&mut hello[MAGIC.len() + 4..])?;
    Ok(hello)
}

/// Numbers that nobody can guess.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), Broken> {
    getrandom::fill(bytes)
        .map_err(|error| Broken::Link(format!("the system gives no random numbers: {error}")))
}

fn receive_hello(link: &mut Link<'_>) -> Result<[u8; HELLO], Broken> {
    // A stranger is known by its first bytes, however few follow.
    let magic = link.receive::<{ MAGIC.len() }>()?;
    if magic != MAGIC {
        return Err(Broken::Link("it is no process of spfde".to_owned()));
    }
    let rest = link.receive::<{ 4 + NONCE }>()?;
    let mut hello = [0; HELLO];
    hello[..MAGIC.len()].copy_from_slice(&magic);
    hello[MAGIC.len()..].copy_from_slice(&rest);
    Ok(hello)
}

fn check_version(hello: &[u8; HELLO]) -> Result<(), Broken> {
    let version = hello[MAGIC.len()..][..4].try_into().expect("four bytes");
    match u32::from_le_bytes(version) {
        PROTOCOL => Ok(()),
        version => Err(Broken::Refused(format!(
            "it speaks version {version} of the protocol between processes, this one {PROTOCOL}; run the same version of \
             the program everywhere"
        ))),
    }
}

fn join(guest: &[u8; HELLO], host: &[u8; HELLO]) -> Transcript {
    let mut transcript = [0; 2 * HELLO];
    transcript[..HELLO].copy_from_slice(guest);
    transcript[HELLO..].copy_from_slice(host);
    transcript
}

/// Whether the other side proves that it knows the secret.
fn proves(link: &mut Link<'_>, secret: &Secret, side: Side, transcript: &Transcript) -> Result<bool, Broken> {
    let proof = link.receive::<32>()?;
    Ok(same(&proof, &secret.sign(&message(side, "secret", transcript))))
}

/// Whether two proofs are equal, in a time that does not tell where they differ.
pub(super) fn same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    blake3::Hash::from_bytes(*left) == blake3::Hash::from_bytes(*right)
}
