//! The secret that the processes know and strangers do not.

use std::path::Path;

use spfde_data::counted;

use crate::{Error, Result, small_file};

/// The environment variable that may hold the secret.
pub(super) const VARIABLE: &str = "SPFDE_SECRET";

/// Bytes of a secret: fewer can be guessed.
const SHORTEST: usize = 16;
/// Bytes of a secret: no key is longer.
const LONGEST: usize = 4096;
/// Bytes of the file of a secret: white space around it does not count, and is never so much.
const FILE_LIMIT: u64 = 2 * LONGEST as u64;

/// What the key is for: no other use of the same secret gives the same key.
const CONTEXT: &str = "spfde 2026-11-24 processes that train together prove that they know the secret";

/// A secret, as the key that it stands for. It is never sent.
#[derive(Clone)]
pub struct Secret(pub(super) [u8; 32]);

impl Default for Secret {
    /// No secret: the key is public.
    fn default() -> Self {
        Self(blake3::derive_key(CONTEXT, b""))
    }
}

impl Secret {
    /// A secret of 16 to 4096 bytes; white space around it does not count.
    ///
    /// # Errors
    /// If it is shorter or longer; `from` says in the message where it came from.
    pub fn new(from: &str, bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < SHORTEST {
            return Err(Error::usage(format!(
                "{from}: the secret has {}; take {SHORTEST} or more, such as of `openssl rand -hex 32`",
                counted(bytes.len(), "byte")
            )));
        }
        if bytes.len() > LONGEST {
            let reason = format!("the secret is longer than {LONGEST} bytes; is it the right file?");
            return Err(Error::usage(format!("{from}: {reason}")));
        }
        Ok(Self(blake3::derive_key(CONTEXT, bytes)))
    }

    /// The secret in `file`, or else in the environment variable `SPFDE_SECRET`, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read, or the secret is too short.
    pub fn find(file: Option<&Path>) -> Result<Option<Self>> {
        if let Some(path) = file {
            let bytes = small_file::read(path, "secret", FILE_LIMIT)?;
            return Self::new(&path.display().to_string(), &bytes).map(Some);
        }
        let secret = std::env::var_os(VARIABLE);
        secret.map(|secret| Self::new(VARIABLE, secret.as_encoded_bytes())).transpose()
    }

    /// What only those who know the secret can say about `text`.
    pub(super) fn sign(&self, text: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, text).as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_secrets_are_refused_and_white_space_does_not_count() {
        let error = Secret::new("file", b" 0123456789abcde\n").err().unwrap().to_string();
        assert!(error.starts_with("file: the secret has 15 bytes; take 16 or more"), "{error}");
        assert!(Secret::new("file", &[b'x'; 5000]).is_err());
        let sign = |bytes: &[u8]| Secret::new("file", bytes).unwrap().sign(b"text");
        assert_eq!(sign(b"0123456789abcdef\n"), sign(b"0123456789abcdef"));
        assert_ne!(sign(b"0123456789abcdef"), sign(b"0123456789abcdeg"));
        assert_ne!(sign(b"0123456789abcdef"), Secret::default().sign(b"text"));
    }
}
