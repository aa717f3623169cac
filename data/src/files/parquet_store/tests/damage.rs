//! Files that were changed or cut.

use super::*;
use crate::rows::FreezeRow;

#[test]
fn every_changed_byte_is_found_by_the_hash_and_every_cut_by_the_length() {
    let run = tempfile::tempdir().unwrap();
    let segment = write(run.path(), 3, 0, &scores(50), 50);
    let path = run.path().join(&segment.path);
    let good = std::fs::read(&path).unwrap();
    for place in (0..good.len()).step_by(7) {
        let mut bytes = good.clone();
        bytes[place] ^= 1 << (place % 8);
        std::fs::write(&path, &bytes).unwrap();
        let error = read_segment::<ScoreRow>(run.path(), &segment).unwrap_err().to_string();
        let expected = format!(
            "{}: BLAKE3 is {}; expected {}; the file was changed or is damaged",
            path.display(),
            blake3::hash(&bytes).to_hex(),
            segment.blake3
        );
        assert_eq!(error, expected);
        std::fs::write(&path, &good[..place]).unwrap();
        let error = read_segment::<ScoreRow>(run.path(), &segment).unwrap_err().to_string();
        assert!(error.contains(&format!("length is {place} bytes; expected {}", good.len())), "{error}");
    }
}

/// Even a file whose hash fits may be hostile: its writer may have written the manifest, too.
#[test]
fn damaged_files_with_the_right_hash_are_errors_never_panics() {
    let run = tempfile::tempdir().unwrap();
    let row = |i: u16| FreezeRow { epoch: 3, step: 0, layer: i, diff: 1, reason: format!("reason {i}") };
    let segment = write(run.path(), 3, 0, &(0..40).map(row).collect::<Vec<_>>(), 50);
    let good = std::fs::read(run.path().join(&segment.path)).unwrap();
    let read = |bytes: Vec<u8>| {
        let blake3 = blake3::hash(&bytes).to_hex().to_string();
        let segment = Segment { bytes: bytes.len() as u64, blake3, ..segment.clone() };
        let reader = parse_columns(Path::new("segment"), bytes, &segment, &FreezeRow::columns())?;
        reader.map(|batch| batch.map(|batch| batch.rows)).sum::<crate::files::Result<usize>>()
    };
    for length in 0..good.len() {
        assert!(read(good[..length].to_vec()).is_err(), "cut to {length} bytes");
    }
    let mut refused = 0;
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match read(bytes) {
            // Some bits only change a value, a statistic or the program's name.
            Ok(rows) => assert_eq!(rows, 40, "bit {bit}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 4 * good.len(), "{refused} of {} flips", 8 * good.len());
}
