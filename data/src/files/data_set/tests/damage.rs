//! Data sets whose bytes were changed.

use proptest::prelude::*;

use super::*;

/// The files of a data set in memory, and what they hold.
fn in_memory() -> (DataSet, Vec<u8>, Vec<u8>) {
    let directory = written(&small());
    let bytes = std::fs::read(directory.path().join("train.parquet")).unwrap();
    (small(), bytes, std::fs::read(directory.path().join("test.parquet")).unwrap())
}

/// Reads the data set with these bytes for the training images.
fn read_bytes(bytes: Vec<u8>, test: &[u8]) -> crate::files::Result<DataSet> {
    parse(bytes, test.to_vec())
}

#[test]
fn damaged_files_are_errors_never_panics_never_other_data() {
    let (set, good, test) = in_memory();
    assert_eq!(read_bytes(good.clone(), &test).unwrap().train, set.train);
    for length in 0..good.len() {
        assert!(read_bytes(good[..length].to_vec(), &test).is_err(), "cut to {length} bytes");
    }
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = read_bytes(bytes, &test) {
            assert_eq!(read.train, set.train, "bit {bit}");
        }
    }
}

#[test]
fn missing_and_foreign_files_are_named() {
    let directory = written(&small());
    std::fs::remove_file(directory.path().join("test.parquet")).unwrap();
    assert_eq!(
        message(directory.path()),
        "test.parquet: cannot open: No such file or directory (os error 2); is its name right, or was it \
         removed or moved?"
    );
    std::fs::write(directory.path().join("test.parquet"), b"label,image").unwrap();
    assert_eq!(
        message(directory.path()),
        "test.parquet: cannot read the footer: Parquet error: Invalid Parquet file. Corrupt footer; is it a \
         complete \
         Parquet file?"
    );
    std::fs::write(directory.path().join("test.parquet"), b"").unwrap();
    assert_eq!(
        message(directory.path()),
        "test.parquet: cannot read the footer: EOF: shorter than 8 bytes; is it a complete Parquet file?"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn overwritten_files_are_errors_never_panics_never_other_data(
        pieces in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..9)),
            1..4,
        ),
    ) {
        thread_local!(static SET: (DataSet, Vec<u8>, Vec<u8>) = in_memory());
        SET.with(|(set, good, test)| {
            let mut bytes = good.clone();
            for (place, piece) in &pieces {
                let place = place.index(bytes.len());
                let length = piece.len().min(bytes.len() - place);
                bytes[place..place + length].copy_from_slice(&piece[..length]);
            }
            if let Ok(read) = read_bytes(bytes, test) {
                prop_assert_eq!(&read.train, &set.train);
            }
            Ok(())
        })?;
    }
}
