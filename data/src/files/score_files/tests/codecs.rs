//! Score files in every codec.

use super::*;

#[test]
fn files_of_every_codec_are_the_same_record() {
    let directory = tempfile::tempdir().unwrap();
    let read = |compression: Compression| {
        let path = directory.path().join(format!("{compression}.parquet"));
        let epochs = (0..200).map(|row| row / 100).collect();
        let correct = (0..200).map(|row| row % 7 < 3).collect();
        let columns = plain((0..200).map(|row| row * 37 % 100).collect(), epochs, vec![0; 200], correct);
        write(&path, columns, 60, compression);
        rows(&open(&path, 2, false).unwrap())
            .into_iter()
            .map(|(epoch, _, sample, right, _)| (epoch, sample, right))
            .collect::<Vec<_>>()
    };
    let expected = read(Compression::UNCOMPRESSED);
    assert_eq!(expected.len(), 200);
    for codec in crate::files::codecs() {
        assert_eq!(read(codec), expected, "{codec}");
    }
}
