//! Files of CIFAR-10: pickled, binary, in an archive.

use std::path::Path;

use spfde_data::files::import::Options;
use spfde_data::files::import::cifar::{Kind, import};

use super::{Case, Class, every_cut, message};

const BINARY: &str = "data_batch_1.bin";
const PICKLE: &str = "data_batch_1";

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let clear = || {
        let _ = std::fs::remove_dir_all(directory);
        std::fs::create_dir(directory).unwrap();
    };
    let all = || message(directory, import(Kind::Ten, &[directory.to_owned()], &Options::named("test")));
    let read = |name: &str, bytes: &[u8]| {
        clear();
        std::fs::write(directory.join(name), bytes).unwrap();
        match name.ends_with(".tar") {
            true => message(directory, import(Kind::Ten, &[directory.join(name)], &Options::named("test"))),
            false => all(),
        }
    };
    let case = |class, name: &str, bytes: &[u8], expected: &str| Case {
        class,
        found: read(name, bytes),
        expected: format!("{name}: {expected}"),
    };
    let row = [&[3][..], &[7; 3072]].concat();
    let other = "is it another data set?";
    let mut header = [0; 1024];
    header[..PICKLE.len()].copy_from_slice(PICKLE.as_bytes());
    header[124..135].copy_from_slice(b"20000000000");
    header[156] = b'0';
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut cases = vec![
        case(
            Class::Empty,
            BINARY,
            &[],
            "has 0 bytes, which are no whole rows of 3073: 1 + 3 × 32 × 32; fetch it again; or is it another \
             data set?",
        ),
        Case {
            class: Class::Truncated,
            found: every_cut(b"\x80\x02}U\x06labels]s.", PICKLE, 5, |bytes| read(PICKLE, bytes)),
            expected: format!(
                "{PICKLE}: is no pickle of CIFAR, as byte 4 shows; fetch it again; or is it another format?"
            ),
        },
        case(
            Class::WrongMagic,
            PICKLE,
            b"PK\x03\x04",
            "is no pickle of CIFAR, as byte 0 shows; fetch it again; or is it another format?",
        ),
        case(
            Class::WrongType,
            PICKLE,
            b"\x80\x02}(U\x06labels](U\x01aeu.",
            &format!("labels is something else; expected a list of whole numbers; {other}"),
        ),
        case(
            Class::WrongType,
            PICKLE,
            b"\x80\x02}U\x06labelsU\x01as.",
            &format!("labels is something else; expected a list; {other}"),
        ),
        case(Class::Missing, PICKLE, b"\x80\x02}U\x06labels]s.", &format!("has no data; {other}")),
        case(
            Class::Duplicate,
            PICKLE,
            b"\x80\x02}(U\x06labels]U\x06labels]u.",
            "has labels twice; fetch it again",
        ),
        case(
            Class::OutOfRange,
            BINARY,
            &[&[10][..], &[7; 3072]].concat(),
            "row 0: label is 10; expected one of 10 classes, numbered from 0",
        ),
        case(
            Class::Trailing,
            PICKLE,
            b"\x80\x02}.more",
            "goes on behind the end of its pickle; fetch it again",
        ),
    ];
    cases.push(Case {
        class: Class::TooLarge,
        found: read("c.tar", &header),
        expected: format!(
            "c.tar/{PICKLE}: declared size is 2147483648, above the limit of 1073741824; the file is \
             damaged or not meant for spfde"
        ),
    });
    clear();
    for folder in ["a", "b"] {
        std::fs::create_dir(directory.join(folder)).unwrap();
        std::fs::write(directory.join(folder).join(BINARY), &row).unwrap();
    }
    let first = directory.join("a").join(BINARY);
    cases.push(Case {
        class: Class::Duplicate,
        found: all(),
        expected: format!(
            "b/{BINARY}: is there twice: {} holds one, too; give one data set",
            first.display()
        )
        .replace(&format!("{}/", directory.display()), ""),
    });
    cases
}
