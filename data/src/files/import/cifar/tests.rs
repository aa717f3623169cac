//! Archives that Python wrote, files as Python 2 wrote them, and damage.

use std::io::Write;

use super::*;
use crate::files::import::tests::{fixture, images, refusal};

/// A binary file of CIFAR-10: the images of the fixtures.
fn binary(first: usize, labels: &[u16]) -> Vec<u8> {
    let images = images(first, [3, SIDE, SIDE], labels);
    (0..labels.len()).flat_map(|row| [&[labels[row] as u8], images.image(row)].concat()).collect()
}

/// A batch as Python 2 pickled it for CIFAR-10, protocol 2; the array by columns if asked for.
fn python_2(first: usize, labels: &[u16], by_columns: bool) -> Vec<u8> {
    let images = images(first, [3, SIDE, SIDE], labels);
    let count = labels.len();
    let data: Vec<u8> = match by_columns {
        false => (0..count).flat_map(|row| images.image(row)).copied().collect(),
        true => (0..IMAGE * count).map(|at| images.image(at % count)[at / count]).collect(),
    };
    let mut bytes =
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05("
            .to_vec();
    labels.iter().for_each(|label| bytes.extend([b'K', *label as u8]));
    bytes.extend(
        b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\x09U",
    );
    bytes.extend(b"\x01bq\x0a\x87q\x0bRq\x0c(K\x01K");
    bytes.push(count as u8);
    bytes.extend(
        b"M\x00\x0c\x86q\x0dcnumpy\ndtype\nq\x0eU\x02u1q\x0fK\x00K\x01\x87q\x10Rq\x11(K\x03U\x01|q\x12NNNJ",
    );
    bytes.extend(b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x13b");
    bytes.extend([if by_columns { 0x88 } else { 0x89 }, b'T']);
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes.extend(b"tq\x14bU\x09filenamesq\x15]q\x16(U\x01aq\x17U\x01bq\x18eu.");
    bytes
}

fn ten(paths: &[PathBuf]) -> Result<Imported> {
    import(Kind::Ten, paths, &Options::named("cifar10"))
}

#[test]
fn an_archive_for_python_is_read_whatever_its_protocols() {
    let imported = ten(&[fixture("cifar-10-python.tar.gz")]).unwrap();
    let labels: Vec<u16> = (0..16).map(|row| row % 10).collect();
    assert_eq!(*imported.set.train, images(0, [3, 32, 32], &labels[..12]));
    assert_eq!(*imported.set.test, images(12, [3, 32, 32], &labels[12..]));
    assert_eq!((imported.set.classes, imported.set.class_names[3].as_str()), (10, "cat"));
    let (what, path) = &imported.taken[2];
    assert_eq!((*what, path.ends_with("cifar-10-python.tar.gz/data_batch_3")), ("training images", true));
}

#[test]
fn a_binary_archive_has_fine_and_coarse_classes() {
    let path = [fixture("cifar-100-binary.tar.gz")];
    let of = |kind| import(kind, &path, &Options::named("x")).unwrap().set;
    let (fine, coarse) = (of(Kind::Hundred), of(Kind::Coarse));
    let labels: Vec<u16> = (0..15).collect();
    assert_eq!(*fine.train, images(0, [3, 32, 32], &labels[..10]));
    assert_eq!(*fine.test, images(10, [3, 32, 32], &labels[10..]));
    assert_eq!((fine.classes, fine.class_names[99].as_str()), (100, "fine 99"));
    assert_eq!((coarse.classes, coarse.class_names[19].as_str()), (20, "coarse 19"));
    assert_eq!(coarse.test.labels, labels[10..]);
}

#[test]
fn directories_files_and_what_python_2_wrote_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("below/cifar-10-batches-py");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("data_batch_1"), python_2(0, &[1, 2, 1], false)).unwrap();
    std::fs::write(folder.join("data_batch_2"), python_2(3, &[1, 2, 2, 1], true)).unwrap();
    let whole = ten(&[directory.path().to_owned()]).unwrap();
    assert_eq!((whole.set.train.len(), whole.set.test.len()), (6, 1));
    assert!(whole.notes[0].starts_with("there is no test part: 1 of 7 became the test set"), "{whole:?}");
    std::fs::write(folder.join("test_batch"), python_2(7, &[9], false)).unwrap();
    let whole = ten(&[directory.path().to_owned()]).unwrap();
    assert_eq!(*whole.set.train, images(0, [3, 32, 32], &[1, 2, 1, 1, 2, 2, 1]));
    assert_eq!(*whole.set.test, images(7, [3, 32, 32], &[9]));
    // Binary files come first; they are given one by one here.
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("data_batch_1.bin"), binary(0, &[3, 4])).unwrap();
    std::fs::write(path("test_batch.bin"), binary(2, &[5])).unwrap();
    let names = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
    std::fs::write(path("batches.meta.txt"), names).unwrap();
    let files = ["data_batch_1.bin", "test_batch.bin", "batches.meta.txt"].map(path);
    for paths in [&files[..], &[directory.path().to_owned()]] {
        let set = ten(paths).unwrap().set;
        assert_eq!(
            (&*set.train, &*set.test),
            (&images(0, [3, 32, 32], &[3, 4]), &images(2, [3, 32, 32], &[5]))
        );
        assert_eq!(set.class_names[9], "j");
    }
    let options = Options { test_fraction: Some(0.1), ..Options::named("x") };
    let refused = refusal(directory.path(), import(Kind::Ten, &files, &options));
    assert_eq!(refused, "data_batch_1.bin: has test images of its own; leave out --test-fraction");
}

/// A pickle that doubles its value with every two bytes, and one that nests without end.
#[test]
fn pickles_that_explode_are_refused_and_take_little() {
    let path = Path::new("data_batch_1");
    let double = [&b"\x80\x02)q\x00"[..], &b"h\x00h\x00\x86q\x00".repeat(100_000), b"."].concat();
    let deep = [&b"\x80\x02)"[..], &[0x85; 1_000_000], b"."].concat();
    for bytes in [double, deep] {
        let error = parse(Kind::Ten, path, bytes).unwrap_err().to_string();
        assert_eq!(error, "data_batch_1: has no labels; is it another data set?");
    }
    let endless = vec![b'N'; 3 << 20];
    let error = parse(Kind::Ten, path, endless).unwrap_err().to_string();
    assert!(error.contains("is no pickle of CIFAR, as byte 2097151 shows"), "{error}");
}

#[test]
fn an_archive_that_is_cut_or_lies_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.tar.gz");
    let good = std::fs::read(fixture("cifar-10-python.tar.gz")).unwrap();
    for length in (0..good.len()).step_by(61) {
        std::fs::write(&path, &good[..length]).unwrap();
        let refused = refusal(directory.path(), ten(std::slice::from_ref(&path)));
        assert!(refused.starts_with("c.tar.gz"), "{length}: {refused}");
    }
    // A header that declares more than there is.
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(9000);
    tar.append_data(&mut header, "test_batch.bin", &[0; 9000][..]).unwrap();
    let tar = tar.into_inner().unwrap();
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&tar[..1000]).unwrap();
    let refused = refusal(directory.path(), ten(std::slice::from_ref(&path)));
    assert_eq!(refused, "c.tar.gz/test_batch.bin: ends after 488 of 9000 bytes; fetch it again");
}
