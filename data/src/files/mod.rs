//! Everything that touches bytes: data sets, the trace, the run directory, weights.
//!
//! Files are untrusted: a size that a file declares is checked before anything is allocated from it, and whatever
//! is wrong is a [`DataError`] that names file, field, value and what to do. Files appear whole or not at all
//! ([`atomic`]).

pub mod atomic;
pub mod checkpoint;
pub mod data_set;
mod error;
mod hashing;
mod held;
mod identity;
pub mod idx;
mod layout;
pub mod manifest;
pub mod operation;
mod parquet_file;
pub mod parquet_store;
pub mod plausible;
mod read_limited;
pub mod recording;
pub mod run_directory;
pub mod score_files;
mod seal;
pub mod table_file;
pub mod verify;
pub mod weights;

use std::path::Path;

pub use error::{DataError, Result};

/// Length and BLAKE3 (in hexadecimal) of a file of at most `limit` bytes, read piece by piece.
fn hash_file(path: &Path, limit: u64) -> Result<(u64, String)> {
    let (file, length) = read_limited::open(path)?;
    DataError::limit(path, "file length", length, limit)?;
    let mut hashing = hashing::Hashing::new(std::io::sink());
    let mut file = std::io::BufReader::with_capacity(1 << 16, file);
    std::io::copy(&mut file, &mut hashing).map_err(DataError::io(path, "read"))?;
    let (_, bytes, blake3) = hashing.into_parts();
    Ok((bytes, blake3))
}
