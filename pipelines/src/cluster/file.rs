//! Files that the user names, which may be anything: read whole, up to a limit.

use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use super::error::ClusterError;

/// The content of an ordinary file of at most `limit` bytes that is to be `what`, in words. A pipe is none:
/// to open it would wait for a writer.
///
/// # Errors
/// If it cannot be read, or is longer.
pub(super) fn read(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>, ClusterError> {
    let wrong = |reason: String| ClusterError::file(path.display(), reason);
    let mut bytes = Vec::new();
    let mut read = || {
        // Looked at before it is opened.
        if !std::fs::metadata(path)?.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, "it is not an ordinary file"));
        }
        // One byte more than the limit, to see whether it goes on.
        std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)
    };
    read().map_err(|error| wrong(format!("cannot read the {what}: {error}")))?;
    if bytes.len() as u64 > limit {
        return Err(wrong(format!("has more than {limit} bytes; it is no {what}")));
    }
    Ok(bytes)
}
