//! The first words on a connection: which protocol, and that both processes know the secret.

use super::link::{Broken, Link};
use super::secret::Secret;

/// What a process of spfde says first, followed by the version of everything that is said after it.
const MAGIC: [u8; 16] = *b"spfde processes\n";
const PROTOCOL: u32 = 5;

/// A number that is used once.
type Nonce = [u8; 32];

/// The numbers of both sides, the one that connected first: no two connections have the same.
pub(super) type Transcript = [u8; 64];

/// Who says something.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Side {
    /// The process that connected.
    Guest = 1,
    /// The process that was connected to.
    Host = 2,
}

/// What a side signs on this connection to prove that it knows something.
pub(super) fn message(side: Side, purpose: &str, transcript: &Transcript) -> Vec<u8> {
    [&[side as u8], purpose.as_bytes(), &transcript[..]].concat()
}

/// Greets as the process that connected.
///
/// A refusal that comes before the other side has proved the secret is [`Broken::Doubtful`]: a stranger may
/// have said it.
pub(super) fn greet(link: &mut Link<'_>, secret: &Secret) -> Result<Transcript, Broken> {
    link.send_bytes(&preamble())?;
    check_version(receive_version(link)?)?;
    let mine = random()?;
    link.send(&mine)?;
    let transcript = join(mine, link.receive()?);
    link.send(&secret.sign(&message(Side::Guest, "secret", &transcript)))?;
    link.receive_verdict().map_err(|broken| match broken {
        Broken::Refused(reason) => Broken::Doubtful(reason),
        broken => broken,
    })?;
    match proves(link, secret, Side::Host, &transcript)? {
        true => Ok(transcript),
        false => Err(Broken::Doubtful("it does not know the secret of this process".to_owned())),
    }
}

/// Greets a process that has connected.
pub(super) fn welcome(link: &mut Link<'_>, secret: &Secret) -> Result<Transcript, Broken> {
    let version = receive_version(link)?;
    // A process of another version is answered, too, so that it can say what is wrong.
    link.send_bytes(&preamble())?;
    check_version(version)?;
    let theirs = link.receive()?;
    let mine = random()?;
    link.send(&mine)?;
    let transcript = join(theirs, mine);
    if !proves(link, secret, Side::Guest, &transcript)? {
        let reason = "they have different secrets, or one of them has none; give all processes the same \
                      (--secret FILE, or SPFDE_SECRET)";
        link.send_verdict(Err(reason))?;
        return Err(Broken::Refused("it does not know the secret".to_owned()));
    }
    link.send_verdict(Ok(()))?;
    link.send(&secret.sign(&message(Side::Host, "secret", &transcript)))?;
    Ok(transcript)
}

fn preamble() -> Vec<u8> {
    [&MAGIC[..], &PROTOCOL.to_le_bytes()].concat()
}

/// A number that cannot be guessed.
pub(super) fn random() -> Result<Nonce, Broken> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Broken::Link(format!("the system gives no random numbers: {error}")))?;
    Ok(bytes)
}

fn receive_version(link: &mut Link<'_>) -> Result<u32, Broken> {
    // A stranger is known by its first bytes, however few follow.
    let mut magic = [0; MAGIC.len()];
    link.receive_bytes(&mut magic)?;
    if magic != MAGIC {
        return Err(Broken::Link("it is no process of spfde".to_owned()));
    }
    let mut version = [0; 4];
    link.receive_bytes(&mut version)?;
    Ok(u32::from_le_bytes(version))
}

fn check_version(version: u32) -> Result<(), Broken> {
    if version == PROTOCOL {
        return Ok(());
    }
    Err(Broken::Doubtful(format!(
        "it speaks version {version} of the protocol between processes, this one {PROTOCOL}; run the same \
         version of the program everywhere"
    )))
}

fn join(guest: Nonce, host: Nonce) -> Transcript {
    let mut transcript = [0; 64];
    transcript[..32].copy_from_slice(&guest);
    transcript[32..].copy_from_slice(&host);
    transcript
}

/// Whether the other side proves that it knows the secret.
fn proves(link: &mut Link<'_>, secret: &Secret, side: Side, transcript: &Transcript) -> Result<bool, Broken> {
    let proof = link.receive()?;
    Ok(same(proof, secret.sign(&message(side, "secret", transcript))))
}

/// Whether two proofs are equal, in a time that does not tell where they differ.
pub(super) fn same(left: [u8; 32], right: [u8; 32]) -> bool {
    blake3::Hash::from_bytes(left) == blake3::Hash::from_bytes(right)
}
