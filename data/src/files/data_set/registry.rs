//! The data sets that come with the program.

use crate::files::error::Result;
use crate::images::DataSet;

/// A data set by name.
#[derive(Clone, Copy, Debug)]
pub struct DataSetEntry {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub summary: &'static str,
    /// Its licence and where it comes from.
    pub licence: &'static str,
    /// Reads it.
    pub load: fn() -> Result<DataSet>,
}

/// All data sets that need no path.
pub fn registry() -> &'static [DataSetEntry] {
    &[DataSetEntry {
        name: "fashion-mnist",
        summary: "60 000 + 10 000 grey images of clothes, 28 × 28, 10 classes; embedded in the program",
        licence: "MIT, Copyright 2017 Zalando SE, https://github.com/zalandoresearch/fashion-mnist",
        load: embedded,
    }]
}

/// Fashion-MNIST, from the bytes compiled into the program.
pub fn embedded() -> Result<DataSet> {
    super::read(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fashion-mnist")))
}
