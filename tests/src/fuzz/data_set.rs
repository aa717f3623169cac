//! Data sets: `train.parquet`, beside a sound `test.parquet`.

use std::sync::OnceLock;

use spfde_data::files::data_set;
use spfde_data::images::{DataSet, Images};

fn images(count: usize) -> Images {
    let pixels = (0..count * 6).map(|i| (i * 31 % 256) as u8).collect();
    let labels = (0..count).map(|i| (i % 3) as u16).collect();
    Images { channels: 1, height: 2, width: 3, pixels, labels }
}

/// The set, and the bytes of its two files.
fn written() -> &'static (DataSet, Vec<u8>, Vec<u8>) {
    static WRITTEN: OnceLock<(DataSet, Vec<u8>, Vec<u8>)> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let set = data_set::assemble("small", 3, images(20), images(4));
        let directory = tempfile::tempdir().unwrap();
        data_set::write(&set, directory.path()).unwrap();
        let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
        (set, read("train.parquet"), read("test.parquet"))
    })
}

/// What is accepted is the set of its fingerprint.
pub(super) fn run(bytes: &[u8]) {
    let (set, _, test) = written();
    if let Ok(read) = data_set::parse(bytes.to_vec(), test.clone()) {
        assert_eq!(read.train, set.train);
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![("train", written().1.clone())]
}
