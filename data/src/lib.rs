//! Plain row types of `spfde`, shared by every crate above; behind the feature `files` all that touches bytes.
//!
//! Without features this crate is a vocabulary: samples and images, the shape of a network, the rows of the
//! trace, the parameters of a policy, keyed random draws. It reads no file and knows no Parquet.
//! With `files` (on by default) it reads and writes data sets, trace segments, manifests and weights.
#![forbid(unsafe_code)]

pub mod architecture;
pub mod augment;
#[cfg(feature = "files")]
pub mod files;
pub mod images;
pub mod nowhere;
pub mod parameter;
pub mod random;
pub mod rows;
pub mod scores;
pub mod segment;
pub mod table;
pub mod words;

// The macro `row!` names this crate and serde by path, inside this crate and out of it.
extern crate self as spfde_data;
#[doc(hidden)]
pub use serde;
