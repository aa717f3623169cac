//! Data sets of which only a part is in memory.

use std::io::{Seek, SeekFrom, Write};

use super::*;
use crate::{Order, draw};

/// A directory with 230 images of 60 bytes to train in row groups of 7, the last of which has 6, and 20 to
/// test; `description` may leave things out.
fn grouped(change: impl FnOnce(&mut Description)) -> (DataSet, tempfile::TempDir) {
    let set = assemble("groups", 3, images(230, 3, 4, 5), images(20, 3, 4, 5));
    let directory = tempfile::tempdir().unwrap();
    let mut description = description(&set);
    change(&mut description);
    for (name, images) in [("train.parquet", &set.train), ("test.parquet", &set.test)] {
        let rows = (0..images.len()).map(|row| images.image(row));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("image", Arc::new(FixedSizeBinaryArray::try_from_iter(rows).unwrap())),
            ("label", Arc::new(UInt16Array::from(images.labels.clone()))),
        ];
        let json = serde_json::to_string(&description).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(7));
        write_columns(&directory.path().join(name), Some(json), columns, properties);
    }
    (set, directory)
}

#[test]
fn images_that_are_read_by_need_are_the_same_images() {
    let (set, directory) = grouped(|_| ());
    let held = read(directory.path()).unwrap();
    assert_eq!((&held.train, held.row_groups.len()), (&set.train, 33));
    // Two groups of 420 bytes, one, and all images but one.
    for cache in [840, 420, 249 * 60] {
        let (stored, _) = read_within(directory.path(), cache).unwrap();
        assert!(stored.train.is_stored() && stored.test.is_stored(), "{cache}");
        assert_eq!(
            (&stored.fingerprint, &stored.normalization, &stored.row_groups, &stored.train.labels),
            (&held.fingerprint, &held.normalization, &held.row_groups, &held.train.labels)
        );
        assert_eq!(stored.train.pixels.bytes(), 230 * 60);
        let (split, whole) = (stored.clone().with_validation(0.3, 5), held.clone().with_validation(0.3, 5));
        assert_eq!(split.row_groups, whole.row_groups);
        for seed in 0..20 {
            let check = |part: &str, stored: &Images, held: &Images| {
                let sample = |place| (draw(seed, crate::Purpose::User, 0, place) % held.len() as u64) as u32;
                let samples: Vec<u32> = (0..30).map(sample).collect();
                let (images, places) = stored.at_hand(&samples).unwrap();
                let places: Vec<usize> = places.iter().map(|place| *place as usize).collect();
                let expected: Vec<usize> = samples.iter().map(|sample| *sample as usize).collect();
                assert_eq!(images.selected(&places), held.selected(&expected), "{part}, {cache}");
            };
            check("train", &stored.train, &held.train);
            check("test", &stored.test, &held.test);
            check("trained", &split.train, &whole.train);
            check("validated", &split.validation, &whole.validation);
        }
        let again = tempfile::tempdir().unwrap();
        write(&stored, again.path()).unwrap();
        assert_eq!(read(again.path()).unwrap().train, set.train);
    }
    assert!(!read_within(directory.path(), 250 * 60).unwrap().0.train.is_stored());
    let same = |order: Order| held.ordered(order, 1, 2, (0..230).collect());
    assert_eq!(same(Order::Auto), same(Order::Full));
}

#[test]
fn what_is_not_stated_is_measured_on_images_that_are_not_in_memory() {
    let (set, directory) = grouped(|description| {
        (description.mean, description.deviation, description.classes) = (None, None, None);
    });
    let (stored, _) = read_within(directory.path(), 1000).unwrap();
    assert_eq!((&stored.normalization, stored.classes), (&set.normalization, 3));
    let (_, directory) = grouped(|description| description.fingerprint = Some("0".repeat(64)));
    let error = read_within(directory.path(), 1000).unwrap_err().to_string();
    assert!(error.contains("one of the two is damaged"), "{error}");
}

#[test]
fn a_row_group_fits_the_cache() {
    let (_, directory) = grouped(|_| ());
    let error = read_within(directory.path(), 419).unwrap_err().to_string();
    let end = "train.parquet: row group 0 is of 420 bytes of pixels; expected at most data.cache_bytes = \
               419; raise data.cache_bytes, or write the file with smaller row groups";
    assert!(error.ends_with(end), "{error}");
}

#[test]
fn images_that_change_or_go_are_told_with_their_file() {
    let (_, directory) = grouped(|_| ());
    let path = directory.path().join("train.parquet");
    let whole = std::fs::read(&path).unwrap();
    let all: Vec<u32> = (0..230).collect();
    let stored = || read_within(directory.path(), 420).unwrap().0.train;
    let (cut, changed, sound) = (stored(), stored(), stored());
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // Somewhere in the pixels of the group in the middle.
    let place = whole.len() / 3;
    let other: Vec<u8> = whole[place..place + 200].iter().map(|byte| byte ^ 0x55).collect();
    (&file).seek(SeekFrom::Start(place as u64)).unwrap();
    (&file).write_all(&other).unwrap();
    let error = changed.at_hand(&all).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: ", path.display())), "{error}");
    file.set_len(whole.len() as u64 / 3).unwrap();
    let error = cut.at_hand(&all).unwrap_err().to_string();
    assert!(error.contains("train.parquet: length is "), "{error}");
    assert!(error.ends_with("it was cut, replaced or is still being written"), "{error}");
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(sound.at_hand(&all).unwrap().0.labels, sound.labels);
}
