//! Files of other relatives of MNIST: their names, dimensions, widths and labels.

use super::*;

/// Imports from a directory of these files, after `change` of the options.
fn import_files(files: &[(&str, Vec<u8>)], change: impl FnOnce(&mut Options)) -> Result<DataSet, String> {
    let directory = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| std::fs::write(directory.path().join(name), bytes).unwrap());
    let mut options = Options::named("test");
    change(&mut options);
    let files = find(&[directory.path().to_owned()], Default::default());
    let imported = files.and_then(|files| import_with(&files, &options));
    imported
        .map(|imported| imported.set)
        .map_err(|error| error.to_string().replace(&format!("{}/", directory.path().display()), ""))
}

/// The four files under these names, with labels from `first`.
fn four(names: [&'static str; 4], first: u8) -> Vec<(&'static str, Vec<u8>)> {
    let labels = |labels: &[u8]| labels.iter().map(|label| label + first).collect::<Vec<u8>>();
    let contents = [
        idx(&[6, 2, 3], &pixels(36)),
        idx(&[6], &labels(&[0, 1, 2, 2, 1, 0])),
        idx(&[2, 2, 3], &pixels(12)),
        idx(&[2], &labels(&[1, 1])),
    ];
    names.into_iter().zip(contents).collect()
}

/// An IDX file of labels of another type.
fn wide(kind: u8, count: u32, bytes: &[u8]) -> Vec<u8> {
    let mut file = idx(&[count], bytes);
    file[2] = kind;
    file
}

const USUAL: [&str; 4] = [IMAGES, LABELS, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

#[test]
fn files_are_found_by_the_names_of_all_relatives() {
    let expected = import_files(&four(USUAL, 0), |_| ()).unwrap();
    for names in [
        [
            "train-images.idx3-ubyte",
            "train-labels.idx1-ubyte",
            "t10k-images.idx3-ubyte",
            "t10k-labels.idx1-ubyte",
        ],
        [
            "emnist-balanced-train-images-idx3-ubyte",
            "emnist-balanced-train-labels-idx1-ubyte",
            "emnist-balanced-test-images-idx3-ubyte",
            "emnist-balanced-test-labels-idx1-ubyte",
        ],
        ["Train-Images-idx4-ubyte", "train-labels-idx1-ubyte", "test-images-idx3-ubyte", "test_labels.idx"],
    ] {
        let mut files = four(names, 0);
        files.push(("mapping-of-test-labels.txt", b"0 48".to_vec()));
        let set = import_files(&files, |_| ()).unwrap();
        assert_eq!(set.fingerprint, expected.fingerprint, "{names:?}");
    }
    // As torchvision leaves them: what is there plain is read, what is compressed beside it is not.
    let mut files = four(USUAL, 0);
    files.push(("train-images-idx3-ubyte.gz", b"not even gzip".to_vec()));
    assert_eq!(import_files(&files, |_| ()).unwrap().fingerprint, expected.fingerprint);
}

/// As archives leave them: files, and each of them once more in a directory with the other spelling.
#[test]
fn directories_that_are_called_as_files_are_left_out() {
    let dotted = USUAL.map(|name| name.replacen("-idx", ".idx", 1));
    let directory = tempfile::tempdir().unwrap();
    for ((name, bytes), dotted) in four(USUAL, 0).into_iter().zip(&dotted) {
        std::fs::create_dir(directory.path().join(name)).unwrap();
        std::fs::write(directory.path().join(name).join(name), &bytes).unwrap();
        std::fs::write(directory.path().join(dotted), bytes).unwrap();
    }
    let files = find(&[directory.path().to_owned()], Default::default()).unwrap();
    assert_eq!(files.parts, dotted.each_ref().map(|name| Some(directory.path().join(name))));
    let set = import_with(&files, &Options::named("test")).unwrap().set;
    assert_eq!(set.fingerprint, import_files(&four(USUAL, 0), |_| ()).unwrap().fingerprint);
    // A directory alone is none of the files; it can be named as what it is.
    std::fs::remove_file(directory.path().join(&dotted[0])).unwrap();
    let message = import(&[directory.path().to_owned()]).unwrap_err().to_string();
    assert!(message.contains(": has no training images, such as "), "{message}");
    let both = [directory.path().to_owned(), directory.path().join(IMAGES)];
    assert_eq!(import(&both).unwrap().fingerprint, set.fingerprint);
}

#[test]
fn files_can_be_named_whatever_they_are_called() {
    let directory = tempfile::tempdir().unwrap();
    let names = ["x train.bin", "y train.bin", "x val.bin", "y val.bin"];
    for (name, bytes) in four(names, 0) {
        std::fs::write(directory.path().join(name), bytes).unwrap();
    }
    let given = names.map(|name| Some(directory.path().join(name)));
    let options = Options::named("test");
    let set = import_with(&find(&[], given.clone()).unwrap(), &options).unwrap().set;
    assert_eq!((set.train.labels.len(), set.test.labels.len()), (6, 2));
    // They come before those of a directory.
    for (name, _) in four(USUAL, 0) {
        std::fs::write(directory.path().join(name), b"damaged").unwrap();
    }
    let files = find(&[directory.path().to_owned()], given).unwrap();
    assert_eq!(import_with(&files, &options).unwrap().set.fingerprint, set.fingerprint);
}

#[test]
fn a_directory_above_the_files_is_told_where_they_are() {
    let above = tempfile::tempdir().unwrap();
    let raw = above.path().join("MNIST/raw");
    std::fs::create_dir_all(&raw).unwrap();
    for (name, bytes) in four(USUAL, 0) {
        std::fs::write(raw.join(name), bytes).unwrap();
    }
    let message = import(&[above.path().to_owned()]).unwrap_err().to_string();
    assert!(message.contains(&format!("(there are IDX files in {})", raw.display())), "{message}");
    // The importer looks around directories only, not around a file.
    let message = import(&[raw.join(IMAGES)]).unwrap_err().to_string();
    assert!(message.contains(&format!("such as {LABELS} or {LABELS}.gz; say what")), "{message}");
    assert_eq!(folder(&raw.join(IMAGES)), None);
}

/// Walked from the link first, it would have no levels left for what lies below it.
#[cfg(unix)]
#[test]
fn a_directory_is_walked_from_its_nearest_place_whatever_links_lead_to_it() {
    let above = tempfile::tempdir().unwrap();
    let path = |name: &str| above.path().join(name);
    std::fs::create_dir_all(path("a")).unwrap();
    std::fs::create_dir_all(path("z/raw")).unwrap();
    std::os::unix::fs::symlink(path("z"), path("a/link")).unwrap();
    std::fs::write(path("z/raw").join(IMAGES), "").unwrap();
    assert_eq!(folder(above.path()), Some(path("z/raw")));
}

#[test]
fn colour_images_have_channels_before_rows_or_last() {
    // Two images of 2 × 1 × 3: channel, row, column.
    let planar = [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16];
    let last = [1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16];
    let files = |shape: [u32; 3], pixels: &[u8]| {
        let images = idx(&[2, shape[0], shape[1], shape[2]], pixels);
        let labels = idx(&[2], &[0, 1]);
        USUAL.into_iter().zip([images.clone(), labels.clone(), images, labels]).collect::<Vec<_>>()
    };
    let first = import_files(&files([2, 1, 3], &planar), |_| ()).unwrap();
    assert_eq!((first.train.channels, first.train.height, first.train.width), (2, 1, 3));
    assert_eq!(first.train.pixels, planar.to_vec().into());
    let set = import_files(&files([1, 3, 2], &last), |options| options.channels_last = true).unwrap();
    assert_eq!(set.fingerprint, first.fingerprint);
    // Without the option the same file is of another shape.
    let other = import_files(&files([1, 3, 2], &last), |_| ()).unwrap();
    assert_eq!((other.train.channels, other.train.height, other.train.width), (1, 3, 2));
    let mut files = four(USUAL, 0);
    files[0].1 = idx(&[u32::MAX, 1 << 14, 1 << 14, 1 << 14], &[]);
    assert!(import_files(&files, |_| ()).unwrap_err().contains("above the limit of 4294967296"));
}

#[test]
fn labels_may_be_wide_and_begin_at_another_number() {
    let mut files = four(USUAL, 0);
    let expected = import_files(&files, |_| ()).unwrap();
    files[1].1 = wide(0x0B, 6, &[0, 0, 0, 1, 0, 2, 0, 2, 0, 1, 0, 0]);
    files[3].1 = wide(0x0C, 2, &[0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(import_files(&files, |_| ()).unwrap().fingerprint, expected.fingerprint);
    files[1].1 = wide(0x0B, 6, &[0, 0, 0, 1]);
    let cut = "the header declares 6 × 2 = 12 bytes, the file has 4; fetch it again";
    assert_eq!(import_files(&files, |_| ()).unwrap_err(), format!("{LABELS}: {cut}"));
    files[1].1 = wide(0x0D, 6, &[0; 24]);
    let real = "type byte is 0x0d; labels must be whole numbers of 8, 16 or 32 bits (0x08, 0x09, 0x0b, 0x0c)";
    assert_eq!(import_files(&files, |_| ()).unwrap_err(), format!("{LABELS}: {real}"));

    let from_one = four(USUAL, 1);
    let advice = "labels begin at 1: if that is the first class, import with --first-label 1";
    assert_eq!(import_files(&from_one, |_| ()).unwrap_err(), format!("{LABELS}: {advice}"));
    let set = import_files(&from_one, |options| options.first_label = 1).unwrap();
    assert_eq!(set.fingerprint, expected.fingerprint);
    let message = import_files(&four(USUAL, 0), |options| options.first_label = 1).unwrap_err();
    assert_eq!(message, format!("{LABELS}: row 0: label is 0; expected 1 to 65536 (--first-label)"));
    let message = import_files(&four(USUAL, 0), |options| options.first_label = i32::MAX).unwrap_err();
    let range = "2147483647 to 2147549182 (--first-label)";
    assert_eq!(message, format!("{LABELS}: row 0: label is 0; expected {range}"));
    // Messages name labels as the file has them.
    for (place, labels, expected) in [
        (
            1,
            &[1, 2, 4, 4, 2, 1][..],
            "label 3 never occurs though 4 does; classes must be numbered without gaps",
        ),
        (3, &[2, 4][..], "row 1: label is 4; expected one of 3 classes, numbered from 1"),
    ] {
        let mut files = from_one.clone();
        files[place].1 = idx(&[labels.len() as u32], labels);
        let message = import_files(&files, |options| options.first_label = 1).unwrap_err();
        assert_eq!(message, format!("{}: {expected}", USUAL[place]));
    }
    // Signed bytes, from −1 on.
    files[1].1 = wide(0x09, 6, &[0xFF, 0, 1, 1, 0, 0xFF]);
    files[3].1 = wide(0x09, 2, &[0, 0]);
    let set = import_files(&files, |options| options.first_label = -1).unwrap();
    assert_eq!(set.fingerprint, expected.fingerprint);
}

#[test]
fn a_test_set_is_split_off_by_a_draw() {
    let count: u32 = 1000;
    let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
    let images: Vec<u8> = (0..count).flat_map(|i| [(i / 250) as u8, (i % 250) as u8]).collect();
    let files = [(IMAGES, idx(&[count, 1, 2], &images)), (LABELS, idx(&[count], &labels))];
    let split = |fraction: f64, seed: u64| {
        let set = import_files(&files, |options| {
            (options.common.test_fraction, options.common.seed) = (Some(fraction), seed);
        });
        set.unwrap()
    };
    let set = split(0.1, 0);
    assert_eq!((set.train.len(), set.test.len(), set.classes), (900, 100, 10));
    // Every image is in one of the two, in its order, with its label.
    let numbers = |images: &Images| -> Vec<usize> {
        let digits = |image: usize| [0, 1].map(|digit| usize::from(images.image(image)[digit]));
        let numbers: Vec<usize> = (0..images.len()).map(digits).map(|[high, low]| 250 * high + low).collect();
        assert!(numbers.is_sorted());
        assert!(numbers.iter().zip(&images.labels).all(|(number, label)| number % 10 == usize::from(*label)));
        numbers
    };
    let mut all = [numbers(&set.train), numbers(&set.test)].concat();
    all.sort_unstable();
    assert_eq!(all, (0..1000).collect::<Vec<_>>());
    // The draw is of the seed alone: a larger share holds the smaller one.
    assert_eq!(split(0.1, 0).fingerprint, set.fingerprint);
    assert_ne!(split(0.1, 1).fingerprint, set.fingerprint);
    let larger = numbers(&split(0.2, 0).test);
    assert!(numbers(&set.test).iter().all(|number| larger.contains(number)));
    // Every class keeps an image to train on.
    assert_eq!((split(1e-9, 0).test.len(), split(1.0 - 1e-9, 0).train.len()), (1, 10));

    // Unless something else is said, a fifth is.
    assert_eq!(import_files(&files, |_| ()).unwrap().fingerprint, split(0.2, 0).fingerprint);
    let both = import_files(&four(USUAL, 0), |options| options.common.test_fraction = Some(0.5)).unwrap_err();
    let remedy = "leave out --test-fraction, or name the training files alone";
    assert_eq!(both, format!("t10k-images-idx3-ubyte: is part of a test set; {remedy}"));
}

#[test]
fn a_plain_file_is_known_by_its_beginning_whatever_it_is_called() {
    let directory = directory();
    let path = directory.path().join("odd.bin");
    std::fs::rename(directory.path().join(IMAGES), &path).unwrap();
    assert!(begins_as_idx(&path));
    for bytes in [&b"\x89PNG"[..], &[0, 0, 8], &[0, 0, 1, 3], &[0, 0, 8, 9]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(!begins_as_idx(&path), "{bytes:?}");
    }
    assert!(!begins_as_idx(directory.path()));
}
