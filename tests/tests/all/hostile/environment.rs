//! `environment.json`: a note for people, which must not do harm.

use std::path::Path;

use spfde_data::files::manifest::Manifest;
use spfde_data::files::run_directory::RunDirectory;

use super::{Case, Class, every_cut, message};

const NAME: &str = "environment.json";

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let of_now = Manifest { sealed_environment: true, ..super::manifest::sound() };
    of_now.write(directory).unwrap();
    let path = directory.join(NAME);
    let now = || message(directory, RunDirectory::open(directory).and_then(|run| run.environment()));
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        now()
    };
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{NAME}: {expected}") };
    let unsealed =
        "does not end with its seal, the BLAKE3 of what stands before it; the file was changed or is damaged";
    let sealed = |json: &str| {
        let content = json.strip_suffix('}').unwrap();
        let hash = blake3::hash(content.as_bytes()).to_hex();
        format!("{content},\n  \"seal\": \"{hash}\"\n}}\n").into_bytes()
    };
    let whole = sealed("{\"kernel\":\"avx2\"}");
    let nested = sealed(&format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)));
    let mut cases = vec![
        case(Class::Empty, read(b""), unsealed),
        case(Class::Truncated, every_cut(&whole, NAME, 60, read), unsealed),
        case(Class::WrongMagic, read(b"\x89PNG"), unsealed),
        case(
            Class::TooLarge,
            read(&[b' '; (1 << 20) + 1]),
            "file length is 1048577, above the limit of 1048576; the file is damaged or not meant for spfde",
        ),
        case(
            Class::TooLarge,
            read(&nested),
            "recursion limit exceeded at line 1 column 132; the file was changed or is damaged",
        ),
        case(Class::Trailing, read(&[&whole[..], b" x"].concat()), unsealed),
    ];
    assert_eq!(read(&whole), "it was accepted");
    // Runs of a time before seals.
    super::manifest::sound().write(directory).unwrap();
    assert_eq!(read(b"{\"kernel\":\"avx2\"}"), "it was accepted");
    cases.push(case(
        Class::Empty,
        read(b""),
        "EOF while parsing a value at line 1 column 0; the file was changed or is damaged",
    ));
    cases.push(case(
        Class::WrongMagic,
        read(b"\x89PNG"),
        "expected value at line 1 column 1; the file was changed or is damaged",
    ));
    of_now.write(directory).unwrap();
    cases.push(super::not_a_file(directory, NAME, now));
    let _: &Manifest = RunDirectory::open(directory).unwrap().manifest();
    super::link(&path);
    cases.push(case(Class::Link, now(), super::LINK));
    cases
}
