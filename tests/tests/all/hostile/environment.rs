//! `environment.json`: a note for people, which must not do harm.

use std::path::Path;

use spfde_data::files::manifest::Manifest;
use spfde_data::files::run_directory::RunDirectory;

use super::{Case, Class, every_cut, message};

const NAME: &str = "environment.json";

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    super::manifest::sound().write(directory).unwrap();
    let path = directory.join(NAME);
    let now = || message(directory, RunDirectory::open(directory).and_then(|run| run.environment()));
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        now()
    };
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{NAME}: {expected}") };
    let damaged = "; the file was changed or is damaged";
    let mut cases = vec![
        case(Class::Empty, read(b""), &format!("EOF while parsing a value at line 1 column 0{damaged}")),
        case(
            Class::Truncated,
            every_cut(b"{\"kernel\":\"avx2\"}", NAME, 5, read),
            &format!("EOF while parsing a string at line 1 column 5{damaged}"),
        ),
        case(
            Class::WrongMagic,
            read(b"\x89PNG"),
            "cannot read: invalid utf-8 sequence of 1 bytes from index 0",
        ),
        case(
            Class::TooLarge,
            read(&[b' '; (1 << 20) + 1]),
            "file length is 1048577, above the limit of 1048576; the file is damaged or not meant for spfde",
        ),
        case(
            Class::TooLarge,
            read("[".repeat(100_000).as_bytes()),
            &format!("recursion limit exceeded at line 1 column 128{damaged}"),
        ),
        case(Class::Trailing, read(b"{} x"), &format!("trailing characters at line 1 column 4{damaged}")),
    ];
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    cases.push(case(Class::NotAFile, now(), "cannot open: it is not an ordinary file"));
    std::fs::remove_dir(&path).unwrap();
    let _: &Manifest = RunDirectory::open(directory).unwrap().manifest();
    super::link(&path);
    cases.push(case(Class::Link, now(), super::LINK));
    cases
}
