//! The file of `--hosts`: where the processes are.

use std::fmt::Write;
use std::path::Path;

use spfde::cluster::Hosts;

use super::{Case, Class, message};

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let path = directory.join("hosts");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        message(directory, Hosts::read(&path))
    };
    let case = |class, bytes: &[u8], expected: &str| Case {
        class,
        found: read(bytes),
        expected: format!("hosts{expected}"),
    };
    assert_eq!(read(b"127.0.0.1:2101\n[::1]:2102"), "it was accepted");
    let example = "write address:port, such as 127.0.0.1:2101";
    let none = ": names no process; write one address:port a line, such as 127.0.0.1:2101";
    let mut many = String::new();
    (0..257).for_each(|port| writeln!(many, "127.0.0.1:{}", 2000 + port).unwrap());
    let long = [&[b'a'; 300][..], b":2101"].concat();
    let mut cases = vec![
        case(Class::Empty, b"", none),
        case(Class::Empty, b"# nobody\n\n", none),
        case(
            Class::Truncated,
            b"127.0.0.1:2101\n127.0.0.1:",
            &format!(", line 2: `` is not a port from 1 to 65535; {example}"),
        ),
        case(
            Class::WrongMagic,
            b"\x89PNG\r\n",
            ": cannot read the hosts file: invalid utf-8 sequence of 1 bytes from index 0",
        ),
        case(Class::TooLarge, &[b' '; (64 << 10) + 1], ": has more than 65536 bytes; it is no hosts file"),
        case(Class::TooLarge, many.as_bytes(), ", line 257: there can be 256 processes at most"),
        case(
            Class::TooLarge,
            &long,
            &format!(", line 1: `{}…` is longer than any address; {example}", "a".repeat(20)),
        ),
        case(
            Class::WrongType,
            b"127.0.0.1:http",
            &format!(", line 1: `http` is not a port from 1 to 65535; {example}"),
        ),
        case(Class::Missing, b"127.0.0.1", &format!(", line 1: `127.0.0.1` has no port; {example}")),
        case(
            Class::Duplicate,
            b"127.0.0.1:2101\n\n127.0.0.1:2101",
            ", line 3: `127.0.0.1:2101` is the process of line 1 again",
        ),
        case(
            Class::OutOfRange,
            b"127.0.0.1:65536",
            &format!(", line 1: `65536` is not a port from 1 to 65535; {example}"),
        ),
        case(
            Class::OutOfRange,
            b"127.0.0.1:0",
            ", line 1: port 0 is none that others can know; choose one from 1 to 65535",
        ),
        case(
            Class::OutOfRange,
            b"[::]:2101",
            &format!(", line 1: `[::]:2101` is no address at which others find the process; {example}"),
        ),
        case(
            Class::Trailing,
            b"127.0.0.1:2101 \x1b[2J",
            &format!(", line 1: `2101 \\u001b[2J` is not a port from 1 to 65535; {example}"),
        ),
    ];
    let expected = format!("{}: cannot read the hosts file: it is not an ordinary file", directory.display());
    cases.push(Case { class: Class::NotAFile, found: message(directory, Hosts::read(directory)), expected });
    cases
}
