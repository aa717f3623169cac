//! IDX files of a data set.

use std::path::Path;

use spfde_data::files::Result;
use spfde_data::files::idx::{Options, find, import};
use spfde_data::images::DataSet;

use super::{Case, Class, every_cut, message};

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

fn idx(kind: u8, dimensions: &[u32], content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, dimensions.len() as u8];
    dimensions.iter().for_each(|dimension| bytes.extend(dimension.to_be_bytes()));
    [&bytes, content].concat()
}

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let write = |name: &str, bytes: &[u8]| std::fs::write(directory.join(name), bytes).unwrap();
    let whole = || {
        write(IMAGES, &idx(8, &[3, 2, 2], &[7; 12]));
        write(LABELS, &idx(8, &[3], &[0, 1, 1]));
        write(TEST_IMAGES, &idx(8, &[1, 2, 2], &[7; 4]));
        write(TEST_LABELS, &idx(8, &[1], &[1]));
    };
    let import = || -> Result<DataSet> {
        let files = find(&[directory.to_owned()], Default::default())?;
        import(&files, &Options::named("test")).map(|imported| imported.set)
    };
    let all = || message(directory, import());
    let read = |name: &str, bytes: &[u8]| {
        whole();
        write(name, bytes);
        all()
    };
    let case = |class, found: String, expected: String| Case { class, found, expected };
    let images = |class, bytes: &[u8], expected: &str| {
        case(class, read(IMAGES, bytes), format!("{IMAGES}: {expected}"))
    };
    let mut cases = vec![
        images(Class::Empty, &[], "has 0 bytes where the header alone takes 16; fetch it again"),
        case(
            Class::Truncated,
            every_cut(&idx(8, &[3, 2, 2], &[7; 12]), IMAGES, 20, |bytes| read(IMAGES, bytes)),
            format!("{IMAGES}: the header declares 3 × 2 × 2 = 12 bytes, the file has 4; fetch it again"),
        ),
        images(
            Class::WrongMagic,
            b"\x89PNG and so on, of some length",
            "magic number is 0x89504e47; an IDX file starts with two zero bytes; is it another format?",
        ),
        images(
            Class::TooLarge,
            &idx(8, &[u32::MAX, 16384, 16384], &[7; 12]),
            "declared size 4294967295 × 16384 × 16384 is 1152921504338411520, above the limit of \
             4294967296; the file is damaged or not meant for spfde",
        ),
        images(
            Class::TooLarge,
            &idx(8, &[700_000_000, 2, 2], &[7; 12]),
            "the header declares 700000000 × 2 × 2 = 2800000000 bytes, the file has 12; fetch it again",
        ),
        images(
            Class::WrongType,
            &idx(0x0D, &[3, 2, 2], &[7; 48]),
            "type byte is 0x0d; images must be unsigned bytes (0x08)",
        ),
        images(
            Class::WrongType,
            &idx(8, &[3], &[7; 3]),
            "has 1 dimension where images have 3 (count, rows, columns) or 4 (with channels); are these \
             labels, or images that were flattened?",
        ),
        images(
            Class::OutOfRange,
            &idx(8, &[3, 0, 2], &[]),
            "holds no images; a data set needs at least one to train and one to test",
        ),
        case(
            Class::OutOfRange,
            read(LABELS, &idx(8, &[3], &[0, 2, 2])),
            format!("{LABELS}: label 1 never occurs though 2 does; classes must be numbered without gaps"),
        ),
        case(
            Class::OutOfRange,
            read(TEST_LABELS, &idx(8, &[1], &[2])),
            format!("{TEST_LABELS}: row 0: label is 2; expected one of 2 classes, numbered from 0"),
        ),
        images(
            Class::Trailing,
            &idx(8, &[3, 2, 2], &[7; 13]),
            "bytes follow the 12 that the header declares (3 × 2 × 2); fetch it again",
        ),
    ];
    std::fs::remove_file(directory.join(IMAGES)).unwrap();
    std::fs::create_dir(directory.join(IMAGES)).unwrap();
    cases.push(case(
        Class::NotAFile,
        message(
            directory,
            find(&[directory.to_owned()], [Some(directory.join(IMAGES)), None, None, None])
                .and_then(|files| spfde_data::files::idx::import(&files, &Options::named("test"))),
        ),
        format!("{IMAGES}: cannot open: it is not an ordinary file; put the file itself there"),
    ));
    std::fs::remove_dir(directory.join(IMAGES)).unwrap();
    whole();
    let other = format!("other-{IMAGES}");
    write(&other, &idx(8, &[3, 2, 2], &[7; 12]));
    cases.push(case(
        Class::Duplicate,
        all(),
        format!("{IMAGES}: holds training images, as does {other}; give the four files of one data set"),
    ));
    std::fs::remove_file(directory.join(other)).unwrap();
    std::fs::remove_file(directory.join(LABELS)).unwrap();
    cases.push(case(
        Class::Missing,
        all(),
        format!(
            "{}: has no training labels, such as {LABELS} or {LABELS}.gz; say what a file holds with \
             --train-images, --train-labels, --test-images or --test-labels",
            directory.display()
        ),
    ));
    cases
}
