//! Small files that the user names, which may be anything: read whole, up to a limit.

use std::io::Read;
use std::path::Path;

use crate::{Error, Result};

/// The content of an ordinary file of at most `limit` bytes that is to be `what`, in words. A pipe is none:
/// to open it would wait for a writer.
///
/// # Errors
/// If it cannot be read, or is longer.
pub(crate) fn read(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>> {
    let read = || {
        // Looked at before it is opened.
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("it is not an ordinary file"));
        }
        let mut bytes = Vec::new();
        // One byte more than the limit, to see whether it goes on.
        std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let path = path.display();
    let bytes = read().map_err(|error| Error::usage(format!("{path}: cannot read the {what}: {error}")))?;
    if bytes.len() as u64 > limit {
        return Err(Error::usage(format!("{path}: has more than {limit} bytes; it is no {what}")));
    }
    Ok(bytes)
}
