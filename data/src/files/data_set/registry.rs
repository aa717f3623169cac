//! The data sets that come with the program.

use std::path::Path;

use bytes::Bytes;

use spfde_parquet_guard::ParquetFile;

use super::read::from_files;
use crate::files::error::Result;
use crate::images::DataSet;

static TRAIN: &[u8] = include_bytes!("../../../fashion-mnist/train.parquet");
static TEST: &[u8] = include_bytes!("../../../fashion-mnist/test.parquet");

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

/// Fashion-MNIST, from the bytes compiled into the program, through the same reader and checks as any other
/// file.
pub fn embedded() -> Result<DataSet> {
    let parse = |name, bytes| ParquetFile::parse(Path::new(name), Bytes::from_static(bytes));
    from_files(
        &parse("embedded fashion-mnist/train.parquet", TRAIN)?,
        &parse("embedded fashion-mnist/test.parquet", TEST)?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fashion_mnist_is_whole() {
        let set = embedded().unwrap();
        assert_eq!((set.name.as_str(), set.classes), ("fashion-mnist", 10));
        for (images, per_class) in [(&set.train, 6000), (&set.test, 1000)] {
            assert_eq!((images.channels, images.height, images.width), (1, 28, 28));
            let mut counts = [0; 10];
            images.labels.iter().for_each(|label| counts[usize::from(*label)] += 1);
            assert_eq!(counts, [per_class; 10], "the classes are equally frequent");
        }
        // The mean and deviation of the training pixels that are commonly quoted: 0.2860 and 0.3530 of 255.
        let deviation = 1.0 / f64::from(set.normalization.scale[0]);
        let mean = -f64::from(set.normalization.shift[0]) * deviation;
        assert!((mean / 255.0 - 0.2860).abs() < 5e-5, "{mean}");
        assert!((deviation / 255.0 - 0.3530).abs() < 5e-5, "{deviation}");
    }
}
