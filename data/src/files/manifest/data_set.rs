//! What a manifest says of the data set.

use serde::{Deserialize, Serialize};

use crate::Normalization;

/// Which data set a run uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataSetRecord {
    /// Its name.
    pub name: String,
    /// Training images.
    pub train_rows: u64,
    /// Test images.
    pub test_rows: u64,
    /// Colour planes of an image.
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
    /// BLAKE3 of its content, in hexadecimal.
    pub fingerprint: String,
    /// The name of each class; empty if they are unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// The name of each column of a table; empty if they are unknown, and for images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub column_names: Vec<String>,
    /// How bytes become the network's input, so that a run predicts without its data; not in manifests of a
    /// time before it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<Normalization>,
    /// Whether its samples are rows of a table rather than pictures; not in manifests of a time before it was
    /// written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<bool>,
}

impl DataSetRecord {
    /// Whether a run on the data set of the record trains as one on the `other`: on the same content,
    /// normalised alike as far as both say it.
    pub fn trains_as(&self, other: &Self) -> bool {
        let normalised = self.normalization.as_ref().zip(other.normalization.as_ref());
        (&self.fingerprint, self.train_rows) == (&other.fingerprint, other.train_rows)
            && normalised.is_none_or(|(own, other)| own == other)
    }
}
