//! `config.toml`, and the file that `spfde train` takes.

use std::path::Path;

use spfde::Error;
use spfde::configuration::{Configuration, Source};

use super::{Case, Class, message};

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let path = directory.join("a.toml");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let read = || Ok::<_, Error>(Configuration::resolve(Source::read(&path)?.entries())?);
        message(directory, read())
    };
    let case = |class, bytes: &[u8], expected: &str| Case {
        class,
        found: read(bytes),
        expected: expected.to_owned(),
    };
    let mut cases = vec![
        case(Class::Truncated, b"seed = 1\n[mask", "a.toml, line 2: unclosed table, expected `]`"),
        case(
            Class::WrongMagic,
            b"\x89PNG\r\n",
            "a.toml: cannot read the configuration: invalid utf-8 sequence of 1 bytes from index 0",
        ),
        case(
            Class::TooLarge,
            &[b' '; (1 << 20) + 1],
            "a.toml: has more than 1048576 bytes; it is no configuration",
        ),
        case(
            Class::TooLarge,
            format!("a = {}", "[".repeat(100_000)).as_bytes(),
            "a.toml, line 1: cannot recurse further; max recursion depth met",
        ),
        case(
            Class::WrongType,
            b"[train]\nepochs = true",
            "a.toml: `train.epochs` = true is a truth value; it takes a whole number from 1 to 10000",
        ),
        case(Class::WrongType, b"[a.b]\nc = 1", "a.toml: `a.b` is a table; settings are numbers and texts"),
        case(Class::Duplicate, b"seed = 1\nseed = 2", "a.toml, line 2: duplicate key"),
        case(
            Class::OutOfRange,
            b"seed = 99999999999999999999",
            "`seed` = 99999999999999999999 is out of range: 0 to 4294967295",
        ),
        case(
            Class::Trailing,
            b"seed = 1 more",
            "a.toml, line 1: string values must be quoted, expected literal string",
        ),
    ];
    let tables = "[data], [freeze], [mask], [model], [sieve], [trace], [train]";
    let reason = "cannot read the configuration: there is no table [trian]; there are";
    cases.push(case(Class::OutOfRange, b"[trian]", &format!("a.toml: {reason} {tables}")));
    let epochs = read(b"[train]\nepochs = 0");
    let expected = if epochs.starts_with("`train.epochs` = 0 is out of range: 1") {
        epochs.clone()
    } else {
        "out of range".into()
    };
    cases.push(Case { class: Class::OutOfRange, found: epochs, expected });
    let found = message(directory, Source::read(directory));
    let expected =
        format!("{}: cannot read the configuration: it is not an ordinary file", directory.display());
    cases.push(Case { class: Class::NotAFile, found, expected });
    cases
}
