//! Arrays that NumPy wrote, and headers that lie.

use super::*;
use crate::files::import::tests::{fixture, images, refusal};

/// A file `.npy` of this header.
fn npy(header: &str, values: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
}

fn array(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    npy(&format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"), values)
}

#[test]
fn what_numpy_wrote_is_read() {
    let all: Vec<u16> = (0..12).map(|row| row % 3).collect();
    let read = |name: &str| import(&[fixture(name)], &Options::named("x")).unwrap();
    let plain = read("npz/plain.npz");
    assert_eq!(*plain.set.train, images(0, [1, 4, 5], &all[..8]));
    assert_eq!(*plain.set.test, images(8, [1, 4, 5], &all[8..]));
    assert_eq!((plain.set.classes, plain.set.class_names.len()), (3, 0));
    let pairs = read("npz/pairs");
    assert_eq!(*pairs.set.train, images(0, [3, 4, 5], &all[..8]));
    assert_eq!(*pairs.set.test, images(8, [3, 4, 5], &all[8..]));
    assert!(pairs.taken[0].1.ends_with("pairs/x_train.npy"), "{:?}", pairs.taken);
    // One of each class is set aside.
    let whole = read("npz/compressed.npz");
    assert_eq!((whole.set.train.len(), whole.set.test.len()), (10, 2));
    let expected = images(0, [3, 4, 5], &all);
    for part in [&whole.set.train, &whole.set.test] {
        for row in 0..part.len() {
            let same = (0..12).find(|sample| expected.image(*sample) == part.image(row)).unwrap();
            assert_eq!(part.labels[row], all[same]);
        }
    }
}

#[test]
fn labels_of_any_type_are_numbers() {
    let path = Path::new("y");
    let read =
        |kind: &str, values: &[u8]| Array::parse(path, &array(kind, "(2,)", values)).unwrap().integers(path);
    assert_eq!(read("|i1", &[0xFF, 2]).unwrap(), [-1, 2]);
    assert_eq!(read("|u1", &[0xFF, 2]).unwrap(), [255, 2]);
    assert_eq!(read("|b1", &[0, 1]).unwrap(), [0, 1]);
    assert_eq!(read("<i2", &[0xFE, 0xFF, 1, 2]).unwrap(), [-2, 513]);
    assert_eq!(read(">u4", &[0, 0, 1, 0, 0, 0, 0, 9]).unwrap(), [256, 9]);
    assert_eq!(read("<i8", &[[0xFF; 8], [3, 0, 0, 0, 0, 0, 0, 0]].concat()).unwrap(), [-1, 3]);
    let error = read("<f4", &[0; 8]).unwrap_err().to_string();
    assert_eq!(error, "y: type of the labels is <f4; expected a whole number");
}

#[test]
fn labels_that_do_not_count_up_have_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("x.npy"), array("|u1", "(6, 1, 2)", &[7; 12])).unwrap();
    std::fs::write(path("y.npy"), array("|u1", "(6,)", &[9, 3, 9, 3, 5, 5])).unwrap();
    let options = Options { test_fraction: Some(0.5), ..Options::named("x") };
    let set = import(&[path("x.npy"), path("y.npy")], &options).unwrap().set;
    assert_eq!((set.class_names, set.test.labels.len()), (vec!["3".to_owned(), "5".into(), "9".into()], 3));
}

#[test]
fn what_does_not_fit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let check = |x: Vec<u8>, y: Vec<u8>, expected: &str| {
        std::fs::write(directory.path().join("x.npy"), x).unwrap();
        std::fs::write(directory.path().join("y.npy"), y).unwrap();
        let found = refusal(directory.path(), import(&[directory.path().to_owned()], &Options::named("x")));
        assert_eq!(found, expected);
    };
    let (x, y) = (array("|u1", "(4, 1, 2)", &[7; 8]), array("|u1", "(4,)", &[0, 1, 0, 1]));
    check(
        x.clone(),
        array("|u1", "(3,)", &[0; 3]),
        "y.npy: has 3 labels where x.npy has 4 images; are they of one data set?"
            .replace("x.npy", &directory.path().join("x.npy").display().to_string())
            .replace(&format!("{}/", directory.path().display()), "")
            .as_str(),
    );
    check(
        x.clone(),
        array("|u1", "(2, 2)", &[0; 4]),
        "y.npy: has the shape [2, 2]; expected one whole number for each image",
    );
    check(
        array("<f4", "(4, 1, 2)", &[0; 32]),
        y.clone(),
        "x.npy: type of the images is <f4; expected uint8 (|u1); as bytes from 0 to 255: convert them with \
         .astype(numpy.uint8)",
    );
    check(
        array("|u1", "(4, 3, 8, 8)", &[0; 768]),
        y.clone(),
        "x.npy: number of channels is 8; expected 1 to 4, the last dimension; if channels come second, use \
         numpy.moveaxis(x, 1, -1)",
    );
    check(
        array("|u1", "(4, 1, 300)", &[0; 1200]),
        y.clone(),
        "x.npy: size of the images is 1 × 300; expected at most 256 × 256; make them smaller",
    );
    check(
        array("|u1", "(4, 2)", &[0; 8]),
        y.clone(),
        "x.npy: shape of the images is [4, 2]; expected count × rows × columns, or count × rows × columns \
         × channels",
    );
    check(
        array("|u1", "(0, 2, 2)", &[]),
        y.clone(),
        "x.npy: holds no images; a data set needs at least one to train and one to test",
    );
    check(
        npy("{'descr': '|u1', 'fortran_order': True, 'shape': (4, 1, 2)}", &[0; 8]),
        y.clone(),
        "x.npy: has its values in the order of Fortran; save numpy.ascontiguousarray(x)",
    );
    check(
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (4,)}", &[0; 8]),
        y,
        "x.npy: holds structures or objects of Python; save arrays of numbers",
    );
    std::fs::rename(directory.path().join("x.npy"), directory.path().join("images.npy")).unwrap();
    let found = refusal(directory.path(), import(&[directory.path().to_owned()], &Options::named("x")));
    let place = directory.path().display();
    assert_eq!(
        found,
        format!("{place}: has images, y; name the arrays x_train, y_train, x_test and y_test, or x and y")
    );
}
