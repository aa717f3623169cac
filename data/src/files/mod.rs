//! Everything that touches bytes: data sets, the trace, the run directory, weights.
//!
//! Files are untrusted: a size that a file declares is checked before anything is allocated from it, and
//! whatever is wrong is a [`DataError`] that names file, field, value and what to do. Files appear whole or
//! not at all ([`atomic`]).

pub mod atomic;
pub mod checkpoint;
pub mod data_set;
mod error;
pub mod gradient_files;
pub mod idx;
pub mod import;
pub mod layout;
pub mod manifest;
pub mod operation;
mod parquet_out;
pub mod parquet_store;
pub mod picture;
pub mod plausible;
mod read_limited;
pub mod recording;
pub mod run_directory;
pub mod score_files;
mod scratch;
mod seal;
pub mod table_file;
pub mod verify;
pub mod weights;

pub use error::{DataError, Kind, Result};
pub use manifest::{DataSetRecord, MANIFEST_NAME, Manifest, ReplayOf, StartedFrom};
pub use parquet_store::ParquetStore;
use read_limited::{check_length, check_recorded, hash_file, inside, open, read_limited, read_range};
pub use recording::{FollowedEnd, FollowedTrace, RecordedTrace};
pub use run_directory::{CONFIG_NAME, RecordedRun, RunDirectory};
pub use scratch::ScratchFile;

/// Every codec of Parquet that is read.
#[cfg(test)]
fn codecs() -> [parquet::basic::Compression; 7] {
    use parquet::basic::Compression;
    [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(Default::default()),
    ]
}
