//! Files as an attacker would write them, or a broken disk would leave them. The program refuses each in
//! words that name file and field.
//!
//! [`every_format_has_every_class`] keeps the corpus complete. It fails if a format has no case of some
//! [`Class`], and no reason why there can be none. It also fails if a source file begins to read from disk
//! and belongs to no format. The tests build the files from code, because a reviewer cannot review their
//! bytes.

mod cifar;
mod configuration;
mod data_set;
mod dense;
mod environment;
mod gradients;
mod hosts;
mod hub;
mod idx;
mod layers;
mod manifest;
mod npz;
mod parquet;
mod pictures;
mod results;
mod scores;
mod secret;
mod segment;
mod table;
mod weights;

use std::collections::BTreeSet;
use std::path::Path;

/// What can be wrong with a file of any format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Nothing in it.
    Empty,
    /// Cut, at every length.
    Truncated,
    /// Another format.
    WrongMagic,
    /// Declares or has more than a process may allocate.
    TooLarge,
    /// A value of another type.
    WrongType,
    /// Lacks something.
    Missing,
    /// Has something twice.
    Duplicate,
    /// A number or name that cannot be.
    OutOfRange,
    /// Goes on behind its end.
    Trailing,
    /// A path in it leads out of the run.
    Escape,
    /// Written by a later version.
    LaterVersion,
    /// A directory of that name.
    NotAFile,
    /// A link of that name.
    Link,
}

impl Class {
    const ALL: [Self; 13] = [
        Self::Empty,
        Self::Truncated,
        Self::WrongMagic,
        Self::TooLarge,
        Self::WrongType,
        Self::Missing,
        Self::Duplicate,
        Self::OutOfRange,
        Self::Trailing,
        Self::Escape,
        Self::LaterVersion,
        Self::NotAFile,
        Self::Link,
    ];
}

/// A bad file: the message of reading it, without the directory in front, and how the message should be.
pub(super) struct Case {
    pub(super) class: Class,
    pub(super) found: String,
    pub(super) expected: String,
}

/// A format that is read from disk.
struct Format {
    name: &'static str,
    /// The source files that read it from disk.
    readers: &'static [&'static str],
    cases: fn(&Path) -> Vec<Case>,
    /// Classes of which there can be no case, and why.
    none: &'static [(Class, &'static str)],
}

const FORMATS: [Format; 18] = [
    Format {
        name: "cifar",
        readers: &["data/src/files/import/cifar/members.rs"],
        cases: cifar::cases,
        none: &[
            (Class::Escape, "of a path in an archive only the name counts"),
            (Class::LaterVersion, "it has no versions"),
            (Class::NotAFile, "directories are looked into"),
            (Class::Link, "the user names the directory"),
        ],
    },
    Format {
        name: "configuration",
        readers: &["pipelines/src/small_file.rs"],
        cases: configuration::cases,
        none: &[
            (Class::Empty, "an empty file is the defaults"),
            (Class::Missing, "every key has a default"),
            (Class::Escape, "its one path is where the user's data are"),
            (Class::LaterVersion, "keys are added and never change"),
            (Class::Link, "the user names the file"),
        ],
    },
    Format {
        name: "data_set",
        readers: &["data/src/files/data_set/source.rs"],
        cases: data_set::cases,
        none: &[(Class::Escape, "it has no paths"), (Class::Link, "the user names the directory")],
    },
    Format {
        name: "environment",
        readers: &["data/src/files/run_directory/recorded.rs"],
        cases: environment::cases,
        // Behind its seal it is whatever a program of any version wrote.
        none: &[
            (Class::WrongType, "it is told to people, whatever it is"),
            (Class::Missing, "it is told to people, whatever it is"),
            (Class::Duplicate, "it is told to people, whatever it is"),
            (Class::OutOfRange, "it is told to people, whatever it is"),
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it is told to people, whatever it is"),
        ],
    },
    Format {
        name: "gradients",
        readers: &[],
        cases: gradients::cases,
        none: &[
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it has no versions"),
            (Class::NotAFile, "directories are looked into"),
            (Class::Link, "the user names the directory"),
        ],
    },
    Format {
        name: "hosts",
        readers: &["pipelines/src/small_file.rs"],
        cases: hosts::cases,
        none: &[
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it has no versions"),
            (Class::Link, "the user names the file"),
        ],
    },
    Format {
        name: "hub",
        readers: &["data/src/files/import/hub.rs"],
        cases: hub::cases,
        none: &[
            (Class::Escape, "the paths in it are not read"),
            (Class::LaterVersion, "it has no versions"),
            (Class::Link, "the user names the file"),
        ],
    },
    Format {
        name: "idx",
        readers: &["data/src/files/idx.rs"],
        cases: idx::cases,
        none: &[
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it has no versions"),
            (Class::Link, "the user names the file"),
        ],
    },
    Format {
        name: "layers",
        readers: &[],
        cases: layers::cases,
        none: &[
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it has no versions"),
            (Class::Link, "the user names the directory"),
        ],
    },
    Format {
        name: "manifest",
        readers: &["data/src/files/manifest/mod.rs"],
        cases: manifest::cases,
        none: &[],
    },
    Format {
        name: "npz",
        readers: &["data/src/files/import/npz/mod.rs"],
        cases: npz::cases,
        none: &[
            (Class::Escape, "of what is in an archive the names of arrays count"),
            (Class::NotAFile, "directories are looked into"),
            (Class::Link, "the user names the file"),
        ],
    },
    Format {
        name: "pictures",
        readers: &["data/src/files/import/folder.rs"],
        cases: pictures::cases,
        none: &[
            (Class::Duplicate, "files have different names"),
            (Class::Trailing, "cameras write what they like behind a picture"),
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it has no versions"),
            (Class::NotAFile, "directories are looked into"),
            (Class::Link, "the user names the folder"),
        ],
    },
    Format {
        name: "results",
        readers: &["data/src/files/table_file.rs"],
        cases: results::cases,
        none: &[
            (Class::OutOfRange, "any number can stand there: what does not add up is found"),
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it has no versions: columns are added and never change"),
            (Class::Link, "the user names the directory"),
        ],
    },
    Format {
        name: "scores",
        readers: &["data/src/files/score_files/mod.rs"],
        cases: scores::cases,
        none: &[
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it has no versions"),
            (Class::Link, "the user names the file"),
        ],
    },
    Format {
        name: "secret",
        readers: &["pipelines/src/small_file.rs"],
        cases: secret::cases,
        none: &[
            (Class::WrongMagic, "any bytes are a secret"),
            (Class::WrongType, "any bytes are a secret"),
            (Class::Missing, "any bytes are a secret"),
            (Class::Duplicate, "any bytes are a secret"),
            (Class::OutOfRange, "any bytes are a secret"),
            (Class::Trailing, "any bytes are a secret"),
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it has no versions"),
            (Class::Link, "the user names the file"),
        ],
    },
    Format {
        name: "segment",
        readers: &["data/src/files/parquet_store/reader.rs"],
        cases: segment::cases,
        none: &[(Class::Escape, "it has no paths")],
    },
    Format {
        name: "table",
        readers: &["data/src/files/import/table/mod.rs"],
        cases: table::cases,
        none: &[
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it has no versions"),
            (Class::Link, "the user names the file"),
        ],
    },
    Format {
        name: "weights",
        readers: &["data/src/files/weights/mod.rs", "data/src/files/checkpoint.rs"],
        cases: weights::cases,
        none: &[
            (Class::Escape, "it has no paths"),
            (Class::LaterVersion, "it has no versions: arrays are added and never change"),
        ],
    },
];

/// The message of a refusal, without `directory` in front of the names of files.
pub(super) fn message<T>(directory: &Path, result: Result<T, impl std::fmt::Display>) -> String {
    match result {
        Ok(_) => "it was accepted".to_owned(),
        Err(error) => error.to_string().replace(&format!("{}/", directory.display()), ""),
    }
}

/// That every beginning of `bytes` is refused, by a message that names the file: the message of the first
/// that is not, or else that of `shown`.
pub(super) fn every_cut(bytes: &[u8], file: &str, shown: usize, read: impl Fn(&[u8]) -> String) -> String {
    let wrong = (0..bytes.len()).map(|length| (length, read(&bytes[..length])));
    let wrong = wrong.into_iter().find(|(_, message)| !message.starts_with(&format!("{file}: ")));
    match wrong {
        Some((length, message)) => format!("cut to {length}: {message}"),
        None => read(&bytes[..shown]),
    }
}

/// The case of a directory in the place of the file `name`, which `read` reads; neither is there afterwards.
pub(super) fn not_a_file(directory: &Path, name: &str, read: impl FnOnce() -> String) -> Case {
    let path = directory.join(name);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let found = read();
    std::fs::remove_dir(&path).unwrap();
    let expected = format!("{name}: cannot open: it is not an ordinary file; put the file itself there");
    Case { class: Class::NotAFile, found, expected }
}

#[test]
fn bad_files_are_refused_in_words() {
    let mut wrong = Vec::new();
    for format in &FORMATS {
        let directory = tempfile::tempdir().unwrap();
        for Case { class, found, expected } in (format.cases)(directory.path()) {
            if found != expected {
                wrong.push(format!("{}, {class:?}:\n  found    {found}\n  expected {expected}", format.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_format_has_every_class() {
    for format in &FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let cases: BTreeSet<Class> = (format.cases)(directory.path()).iter().map(|case| case.class).collect();
        let none: BTreeSet<Class> = format.none.iter().map(|(class, _)| *class).collect();
        assert!(cases.is_disjoint(&none), "{}: a case of what cannot be", format.name);
        let lacking: Vec<Class> =
            Class::ALL.into_iter().filter(|class| !cases.contains(class) && !none.contains(class)).collect();
        assert_eq!(lacking, [], "{}", format.name);
    }
    let names: Vec<&str> =
        FORMATS.iter().map(|format| format.name).filter(|name| *name != "environment").collect();
    let fuzzed = spfde_tests::fuzz::TARGETS.map(|target| target.name);
    assert_eq!(names, fuzzed, "every format but the one that is only told is fuzzed");
}

/// Ways to read a file.
const READS: [&str; 7] = [
    "read_limited(",
    "read_limited::open",
    "read_range(",
    "File::open(",
    "fs::read(",
    "read_to_string(",
    "hash_file(",
];

/// Source files that have one of them and read no format: what they do.
const OTHERS: [(&str, &str); 11] = [
    ("data/src/files/picture.rs", "hands pictures to the crate `image`, which is fuzzed by its authors"),
    ("data/src/files/run_directory/begin.rs", "copies weights, whose hash is compared"),
    (
        "data/src/files/run_directory/recorded.rs",
        "reads a configuration of at most 1 MiB, whose hash is compared",
    ),
    ("data/src/files/run_directory/members.rs", "reads 32 bytes, which are compared"),
    ("data/src/files/operation.rs", "opens directories, to make names durable"),
    ("data/src/files/read_limited.rs", "is how files are read"),
    ("data/src/files/run_directory/lock.rs", "reads a process id of at most 20 bytes, for messages"),
    ("pipelines/src/bench/memory.rs", "reads what the operating system says of this process"),
    ("pipelines/src/command/interrupt.rs", "reads what the operating system says of this process"),
    ("pipelines/src/memory.rs", "reads what the operating system says of this process"),
    ("pipelines/src/command/report.rs", "looks at the first bytes of a file that it is to replace"),
];

#[test]
fn whoever_reads_from_disk_belongs_to_a_format() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut directories: Vec<_> = ["data/src", "pipelines/src", "stages"].map(|name| root.join(name)).into();
    let known: BTreeSet<&str> = FORMATS
        .iter()
        .flat_map(|format| format.readers)
        .copied()
        .chain(OTHERS.iter().map(|(file, _)| *file))
        .collect();
    let mut found = BTreeSet::new();
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            if path.is_dir() {
                directories.extend(
                    (!["tests", "examples"].contains(&path.file_name().unwrap().to_str().unwrap()))
                        .then_some(path),
                );
            } else if name.ends_with(".rs") && !name.ends_with("/tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // Unit tests at the end of a file may read what they like.
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                if READS.iter().any(|read| code.contains(read)) {
                    found.insert(name);
                }
            }
        }
    }
    let unknown: Vec<&String> = found.iter().filter(|name| !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?} read from disk: what is bad for them belongs here");
    let readers = FORMATS.iter().flat_map(|format| format.readers);
    let gone: Vec<&&str> = readers.filter(|name| !found.contains(**name)).collect();
    assert!(gone.is_empty(), "{gone:?} read nothing any more");
}

/// What is said of a link.
pub(super) const LINK: &str =
    "is a symbolic link, which could lead out of the run directory; put the file itself there";

/// Puts a link to somewhere else at `path`.
#[cfg(unix)]
pub(super) fn link(path: &Path) {
    std::os::unix::fs::symlink("/etc/hostname", path).unwrap();
}
