//! Whole imports, and files that lie.

mod kinds;

use std::io::Write;
use std::path::PathBuf;

use super::import as import_with;
use super::*;
use crate::DataSet;

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";
const SAY: &str = "say what a file holds with --train-images, --train-labels, --test-images or --test-labels";

/// An IDX file of bytes.
fn idx(dimensions: &[u32], content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    dimensions.iter().for_each(|dimension| bytes.extend(dimension.to_be_bytes()));
    bytes.extend(content);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn pixels(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i * 31 % 256) as u8).collect()
}

/// The four files of a data set of 6 + 2 images of 2 × 3 pixels in 3 classes.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(directory.path().join(name), bytes).unwrap();
    write(IMAGES, idx(&[6, 2, 3], &pixels(36)));
    write(LABELS, idx(&[6], &[0, 1, 2, 2, 1, 0]));
    write("t10k-images-idx3-ubyte", idx(&[2, 2, 3], &pixels(12)));
    write("t10k-labels-idx1-ubyte", idx(&[2], &[1, 1]));
    directory
}

/// Imports with the usual options.
fn import(paths: &[PathBuf]) -> Result<DataSet> {
    import_with(&find(paths, Default::default())?, &Options::named("test")).map(|imported| imported.set)
}

/// The message of the import, without the directory in front, after `change` of the files.
fn message(name: &str, bytes: &[u8]) -> String {
    let directory = directory();
    std::fs::write(directory.path().join(name), bytes).unwrap();
    let message = import(&[directory.path().to_owned()]).unwrap_err().to_string();
    message.replace(&format!("{}/", directory.path().display()), "")
}

#[test]
fn a_data_set_is_imported_plain_or_compressed_from_a_directory_or_files() {
    let directory = directory();
    let set = import(&[directory.path().to_owned()]).unwrap();
    assert_eq!((set.name.as_str(), set.classes), ("test", 3));
    assert_eq!((set.train.channels, set.train.height, set.train.width), (1, 2, 3));
    assert_eq!(set.train.pixels, pixels(36).into());
    assert_eq!(set.train.labels, [0, 1, 2, 2, 1, 0]);
    assert_eq!((&set.test.pixels, set.test.labels.as_slice()), (&pixels(12).into(), &[1, 1][..]));

    let compressed = tempfile::tempdir().unwrap();
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in directory.path().read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{}.gz", path.file_name().unwrap().to_str().unwrap());
        std::fs::write(compressed.path().join(&name), gzip(&std::fs::read(&path).unwrap())).unwrap();
        files.push(compressed.path().join(name));
    }
    for paths in [files, vec![compressed.path().to_owned()]] {
        let again = import(&paths).unwrap();
        assert_eq!(again.fingerprint, set.fingerprint);
        assert_eq!(again.train, set.train);
    }
}

#[test]
fn single_files_can_be_read() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    let bytes = |name: &str| std::fs::read(path(name)).unwrap();
    assert_eq!(images(&path(IMAGES), &bytes(IMAGES)).unwrap(), (vec![6, 2, 3], pixels(36)));
    assert_eq!(labels(&path(LABELS), &bytes(LABELS)).unwrap(), [0, 1, 2, 2, 1, 0]);
}

#[test]
fn missing_doubled_and_unknown_files_are_named() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    let fail = |paths: &[PathBuf]| import(paths).unwrap_err().to_string();
    let place = directory.path().display();
    std::fs::remove_file(path("t10k-labels-idx1-ubyte")).unwrap();
    assert_eq!(
        fail(&[directory.path().to_owned()]),
        format!(
            "{place}: has no test labels, such as t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz; {SAY}"
        )
    );
    std::fs::write(path("images.bin"), "").unwrap();
    assert_eq!(
        fail(&[path("images.bin")]),
        format!("{place}/images.bin: has a name that does not say what it holds; {SAY}")
    );
    assert_eq!(
        fail(&[path("image")]),
        format!(
            "{place}/image: cannot open: No such file or directory (os error 2); is its name right, or was \
             it removed or moved?"
        )
    );
    std::fs::write(path("emnist-letters-train-images-idx3-ubyte"), "").unwrap();
    assert_eq!(
        fail(&[directory.path().to_owned()]),
        format!(
            "{place}/{IMAGES}: holds training images, as does \
             {place}/emnist-letters-train-images-idx3-ubyte; give the four files of one data set"
        )
    );
    let error = import(&[]).unwrap_err().to_string();
    assert!(
        error.starts_with(": comes with no training images, such as train-images-idx3-ubyte or "),
        "{error}"
    );
}

#[test]
fn a_folder_is_no_file_whatever_its_name() {
    let directory = directory();
    let path = directory.path().join(IMAGES);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = import(&[directory.path().to_owned()]).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: has no training images", directory.path().display())), "{error}");
}

#[test]
fn headers_that_lie_are_named() {
    let huge = u32::MAX;
    assert_eq!(
        message(IMAGES, &idx(&[6, huge, huge], &pixels(36))),
        format!(
            "{IMAGES}: dimension 1 is 4294967295, above the limit of 16384; the file is damaged or not meant \
             for spfde"
        )
    );
    assert_eq!(
        message(IMAGES, &idx(&[huge, 16384, 16384], &pixels(36))),
        format!(
            "{IMAGES}: declared size 4294967295 × 16384 × 16384 is 1152921504338411520, above the limit of \
             4294967296; the file is damaged or not meant for spfde"
        )
    );
    assert_eq!(
        message(IMAGES, &idx(&[700_000_000, 2, 3], &pixels(36))),
        format!(
            "{IMAGES}: the header declares 700000000 × 2 × 3 = 4200000000 bytes, the file has 36; fetch it \
             again"
        )
    );
    assert_eq!(
        message(LABELS, &idx(&[huge], &[0, 1, 2])),
        format!(
            "{LABELS}: the header declares 4294967295 = 4294967295 bytes, the file has 3; fetch it again"
        )
    );
    assert_eq!(
        message(IMAGES, b"\x89PNG and so on"),
        format!(
            "{IMAGES}: magic number is 0x89504e47; an IDX file starts with two zero bytes; is it another \
             format?"
        )
    );
    let mut floats = idx(&[6, 2, 3], &pixels(36));
    floats[2] = 0x0D;
    assert_eq!(
        message(IMAGES, &floats),
        format!("{IMAGES}: type byte is 0x0d; images must be unsigned bytes (0x08)")
    );
    assert_eq!(
        message(IMAGES, &idx(&[6], &[0, 1, 2, 2, 1, 0])),
        format!(
            "{IMAGES}: has 1 dimension where images have 3 (count, rows, columns) or 4 (with channels); are \
             these labels, or images that were flattened?"
        )
    );
    assert_eq!(
        message(LABELS, &idx(&[6, 2, 3], &pixels(36))),
        format!(
            "{LABELS}: has 3 dimensions where labels have 1; are these images, or labels of several columns?"
        )
    );
    assert_eq!(
        message(IMAGES, &idx(&[0, 2, 3], &[])),
        format!("{IMAGES}: holds no images; a data set needs at least one to train and one to test")
    );
    assert_eq!(
        message(IMAGES, &idx(&[6, 0, 3], &[])),
        format!("{IMAGES}: holds no images; a data set needs at least one to train and one to test")
    );
}

#[test]
fn lengths_must_agree_with_the_header() {
    let good = idx(&[6, 2, 3], &pixels(36));
    for length in 16..good.len() {
        let found = length - 16;
        let expected = format!(
            "{IMAGES}: the header declares 6 × 2 × 3 = 36 bytes, the file has {found}; fetch it again"
        );
        assert_eq!(message(IMAGES, &good[..length]), expected);
        assert_eq!(message(IMAGES, &gzip(&good[..length])), expected);
    }
    for length in 0..16 {
        let bytes = if length == 1 { "1 byte".to_owned() } else { format!("{length} bytes") };
        let expected = format!("{IMAGES}: has {bytes} where the header alone takes 16; fetch it again");
        assert_eq!(message(IMAGES, &good[..length]), expected);
    }
    let longer = [&good[..], &[0]].concat();
    let expected =
        format!("{IMAGES}: bytes follow the 36 that the header declares (6 × 2 × 3); fetch it again");
    assert_eq!(message(IMAGES, &longer), expected);
    assert_eq!(message(IMAGES, &gzip(&longer)), expected);
    assert_eq!(message(IMAGES, &[gzip(&good), vec![0]].concat()), expected);
}

#[test]
fn compressed_files_that_are_cut_changed_or_bombs_are_errors() {
    let good = gzip(&idx(&[6, 2, 3], &pixels(36)));
    for length in 2..good.len() {
        let message = message(IMAGES, &good[..length]);
        assert!(message.starts_with(&format!("{IMAGES}: cannot decompress: ")), "{length}: {message}");
    }
    let mut wrong_checksum = good.clone();
    let place = good.len() - 8;
    wrong_checksum[place] ^= 1;
    assert_eq!(
        message(IMAGES, &wrong_checksum),
        format!("{IMAGES}: cannot decompress: corrupt gzip stream does not have a matching checksum")
    );
    // A header that declares 3 GiB in front of a few bytes.
    assert_eq!(
        message(IMAGES, &gzip(&idx(&[500_000_000, 2, 3], &pixels(36)))),
        format!(
            "{IMAGES}: the header declares 500000000 × 2 × 3 = 3000000000 bytes, the file has 36; fetch it \
             again"
        )
    );
    // Sixteen million zeros behind a header that declares 36 bytes: not even decompressed.
    let bomb = gzip(&idx(&[6, 2, 3], &vec![0; 1 << 24]));
    assert!(bomb.len() < 1 << 15, "{}", bomb.len());
    let expected =
        format!("{IMAGES}: bytes follow the 36 that the header declares (6 × 2 × 3); fetch it again");
    assert_eq!(message(IMAGES, &bomb), expected);
}

#[test]
fn images_and_labels_must_fit_together() {
    assert_eq!(
        message(LABELS, &idx(&[5], &[0, 1, 2, 2, 1])),
        format!("{LABELS}: has 5 labels where {IMAGES} has 6 images; are they from different data sets?")
    );
    assert_eq!(
        message(LABELS, &idx(&[6], &[0, 1, 3, 3, 1, 0])),
        format!("{LABELS}: label 2 never occurs though 3 does; classes must be numbered without gaps")
    );
    assert_eq!(
        message("t10k-labels-idx1-ubyte", &idx(&[2], &[1, 3])),
        "t10k-labels-idx1-ubyte: row 1: label is 3; expected one of 3 classes, numbered from 0"
    );
    assert_eq!(
        message("t10k-images-idx3-ubyte", &idx(&[2, 3, 2], &pixels(12))),
        format!(
            "t10k-images-idx3-ubyte: images are 1 × 3 × 2 where those of {IMAGES} are 1 × 2 × 3; are they \
             from different data sets?"
        )
    );
}
