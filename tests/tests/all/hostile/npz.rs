//! Arrays of NumPy.

use std::path::Path;

use spfde_data::files::import::Options;
use spfde_data::files::import::npz::import;

use super::{Case, Class, every_cut, message};

const NAME: &str = "x.npy";

/// A file of this header.
fn npy(version: u8, header: &str, values: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [&b"\x93NUMPY"[..], &[version, 0], &length, header.as_bytes(), values].concat()
}

fn array(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    npy(1, &format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}"), values)
}

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    std::fs::write(directory.join("y.npy"), array("|u1", "(4,)", &[0, 1, 0, 1])).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(directory.join(NAME), bytes).unwrap();
        message(directory, import(&[directory.join(NAME), directory.join("y.npy")], &Options::named("test")))
    };
    let good = array("|u1", "(4, 1, 2)", &[7; 8]);
    assert_eq!(read(&good), "it was accepted");
    let case = |class, bytes: &[u8], expected: &str| Case {
        class,
        found: read(bytes),
        expected: format!("{NAME}: {expected}"),
    };
    let magic = "has another magic number; a file of NumPy starts with \\x93NUMPY; is it another format?";
    let mut cases = vec![
        case(Class::Empty, &[], magic),
        case(Class::WrongMagic, b"\x89PNG and so on", magic),
        case(
            Class::TooLarge,
            &array("|u1", "(4294967295, 256, 256)", &[7; 8]),
            "declared size is 281474976645120, above the limit of 4294967296; the file is damaged or not \
             meant for spfde",
        ),
        case(
            Class::TooLarge,
            &[&b"\x93NUMPY\x02\x00"[..], &[0xFF; 4], b"{"].concat(),
            "length of the header is 4294967295, above the limit of 10000; the file is damaged or not \
             meant for spfde",
        ),
        case(
            Class::WrongType,
            &array("<f4", "(4, 1, 2)", &[7; 32]),
            "type of the images is <f4; expected uint8 (|u1); as bytes from 0 to 255: convert them with \
             .astype(numpy.uint8)",
        ),
        case(
            Class::Missing,
            &npy(1, "{'descr': '|u1', 'fortran_order': False}", &[7; 8]),
            "header has no shape; fetch it again",
        ),
        case(
            Class::Duplicate,
            &array("|u1", "(4, 1, 2), 'shape': (4, 2, 1)", &[7; 8]),
            "header has shape twice; fetch it again",
        ),
        case(
            Class::OutOfRange,
            &array("|u1", "(4, 1, -2)", &[7; 8]),
            "header has a shape that is none; fetch it again",
        ),
        case(
            Class::Trailing,
            &array("|u1", "(4, 1, 2)", &[7; 9]),
            "has 9 bytes of values where the header declares 8 (4 × 1 × 2 of type |u1); fetch it again",
        ),
        case(
            Class::LaterVersion,
            &npy(4, "{}", &[]),
            "version of the format is 4; expected 1 to 3; use a newer spfde",
        ),
    ];
    cases.push(Case {
        class: Class::Truncated,
        found: every_cut(&good, NAME, 20, read),
        expected: format!("{NAME}: ends within its header; fetch it again"),
    });
    cases
}
