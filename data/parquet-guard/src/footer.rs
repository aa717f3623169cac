//! Walks over a footer, so that the Parquet library, which takes it at its word, neither reserves what a
//! count merely claims nor goes as deep as the schema does.

use crate::error::{Checked, Fault};
use crate::thrift::kind::{ANY, BINARY, INTEGER, LIST, LONG, STRUCT};
use crate::thrift::{Fields, Reader};

/// `FileMetaData` of the Parquet format, which is the footer:
/// <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>. `ANY` is
/// encryption, which the library skips.
const FILE: Fields = &[INTEGER, LIST, LONG, LIST, LIST, BINARY, LIST, ANY, BINARY];
/// The number of the schema in [`FILE`].
const SCHEMA: i64 = 2;

/// `SchemaElement`.
const ELEMENT: Fields =
    &[INTEGER, INTEGER, INTEGER, BINARY, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, STRUCT];
/// The number of the name in [`ELEMENT`].
const NAME: i64 = 4;
/// The number of the count of children in [`ELEMENT`].
const CHILDREN: i64 = 5;

/// Columns and groups of columns, the root included.
pub(crate) const ELEMENT_LIMIT: u64 = 1 << 13;

/// Groups inside one another. The library calls itself for each; a list takes two.
pub(crate) const LEVEL_LIMIT: u64 = 32;

/// Bytes of the names of all columns, each with the names of the groups that it is in: the library keeps them
/// for every column. Without groups they are part of the footer, and cannot be more than it has.
pub(crate) const NAME_LIMIT: u64 = crate::FOOTER_LIMIT;

/// That a footer is not what it has to be.
fn damaged() -> Fault {
    Fault::damaged("read the footer")
}

/// Checks the bytes of a footer, without the length and the magic number behind it.
pub(crate) fn check(bytes: &[u8]) -> Checked {
    let (mut reader, mut id) = (Reader { bytes }, 0);
    while let Some(kind) = reader.field(FILE, &mut id).ok_or_else(damaged)? {
        match id {
            SCHEMA => schema(&mut reader)?,
            _ => reader.skip(kind).ok_or_else(damaged)?,
        }
    }
    Ok(())
}

/// The elements of the schema: a tree, each group in front of what is in it.
fn schema(reader: &mut Reader) -> Checked {
    let (kind, count) = reader.list().ok_or_else(damaged)?;
    Fault::limit("number of columns and groups", count, ELEMENT_LIMIT)?;
    // For each group that has not ended: how many are still to come, and the bytes of the names up to it.
    let mut open: Vec<(u64, u64)> = Vec::new();
    let mut names = 0;
    for index in 0..count {
        let (name, children) = (kind == STRUCT).then(|| element(reader)).flatten().ok_or_else(damaged)?;
        let path = match open.last_mut() {
            // The root, whose name is in no path.
            None if index == 0 => 0,
            // A second root.
            None => return Err(damaged()),
            Some((left, path)) => {
                *left -= 1;
                *path + name
            }
        };
        if children > count - index - 1 {
            return Err(damaged());
        }
        if children > 0 {
            open.push((children, path));
        } else {
            names += path;
        }
        Fault::limit("depth of the schema", open.len() as u64, LEVEL_LIMIT)?;
        Fault::limit("length of the columns' names", names, NAME_LIMIT)?;
        while open.pop_if(|(left, _)| *left == 0).is_some() {}
    }
    if open.is_empty() { Ok(()) } else { Err(damaged()) }
}

/// The length of an element's name, and how many others are in it.
fn element(reader: &mut Reader) -> Option<(u64, u64)> {
    let (mut name, mut children, mut id) = (0, 0, 0);
    while let Some(kind) = reader.field(ELEMENT, &mut id)? {
        match id {
            NAME => name = reader.binary()?,
            CHILDREN => children = reader.count()?,
            _ => reader.skip(kind)?,
        }
    }
    Some((name, children))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thrift::varint;

    /// What is wrong with a footer, as a message says it.
    fn check(bytes: &[u8]) -> Result<(), String> {
        super::check(bytes).map_err(|fault| fault.0)
    }

    fn above(what: &str, found: u64, limit: u64) -> Result<(), String> {
        Fault::limit(what, found, limit).map_err(|fault| fault.0)
    }

    fn damaged() -> Result<(), String> {
        Err(super::damaged().0)
    }

    /// A footer of this many schema elements, without anything else.
    fn footer(elements: &[Vec<u8>]) -> Vec<u8> {
        let count = varint(elements.len() as u64);
        [&[0x15, 0x02, 0x19, 0xFC][..], &count, &elements.concat(), &[0x00]].concat()
    }

    fn group(name: &str, children: u64) -> Vec<u8> {
        [&[0x48][..], &varint(name.len() as u64), name.as_bytes(), &[0x15], &varint(children << 1), &[0]]
            .concat()
    }

    fn column(name: &str) -> Vec<u8> {
        [&[0x15, 0x02, 0x25, 0x00, 0x18][..], &varint(name.len() as u64), name.as_bytes(), &[0]].concat()
    }

    #[test]
    fn a_schema_is_a_tree_within_the_limits() {
        let columns = |count: u64| (0..count).map(|_| column("x"));
        let flat = |count: u64| {
            footer(&std::iter::once(group("root", count)).chain(columns(count)).collect::<Vec<_>>())
        };
        assert_eq!(check(&flat(ELEMENT_LIMIT - 1)), Ok(()));
        assert_eq!(
            check(&flat(ELEMENT_LIMIT)),
            above("number of columns and groups", ELEMENT_LIMIT + 1, ELEMENT_LIMIT)
        );
        let deep = |levels: u64| {
            footer(&(0..levels).map(|_| group("g", 1)).chain([column("x")]).collect::<Vec<_>>())
        };
        assert_eq!(check(&deep(LEVEL_LIMIT)), Ok(()));
        assert_eq!(check(&deep(LEVEL_LIMIT + 1)), above("depth of the schema", LEVEL_LIMIT + 1, LEVEL_LIMIT));
        // Groups that have ended do not count.
        let pairs = (0..100).flat_map(|_| [group("g", 1), column("x")]);
        assert_eq!(
            check(&footer(&[group("root", 100)].into_iter().chain(pairs).collect::<Vec<_>>())),
            Ok(())
        );
    }

    #[test]
    fn names_count_for_every_column_that_keeps_them() {
        let long = "n".repeat(1 << 20);
        let four = |name: &str| {
            [group("root", 1), group(name, 4), column("a"), column("b"), column("c"), column("d")]
        };
        assert_eq!(check(&footer(&four("short"))), Ok(()));
        assert_eq!(
            check(&footer(&four(&long))),
            above("length of the columns' names", (4 << 20) + 4, NAME_LIMIT)
        );
        // The name of the root is in none.
        let root = [group(&long, 4), column("a"), column("b"), column("c"), column("d")];
        assert_eq!(check(&footer(&root)), Ok(()));
    }

    #[test]
    fn what_is_claimed_has_to_be_there() {
        assert_eq!(check(&footer(&[group("root", 1), column("x")])), Ok(()));
        for elements in [
            vec![group("root", 2), column("x")],
            vec![group("root", 0x7FFF_FFFF), column("x")],
            vec![group("root", 1), group("g", 0x7FFF_FFFF)],
            vec![group("root", 1), column("x"), column("y")],
            vec![group("root", 1), group("g", 1)],
            vec![],
        ] {
            let found = check(&footer(&elements));
            // A root alone has no columns, and a footer without any element is left to the library.
            assert_eq!(found, if elements.is_empty() { Ok(()) } else { damaged() }, "{elements:?}");
        }
        // Row groups, and pairs of keys and values, as many as 2³¹ − 1.
        let claims = [0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x07];
        for field in [0x49, 0x59] {
            assert_eq!(check(&[&[field][..], &claims, &[0x00; 40]].concat()), damaged());
        }
    }

    #[test]
    fn what_the_format_knows_has_to_be_of_its_kind() {
        // A text as the version, whose length the library would take for it; a schema that is a map; field 1
        // twice.
        assert_eq!(check(&[0x18, 0x02, 0x19, 0xFC, 0x00]), damaged());
        assert_eq!(check(&[0x2B, 0x00, 0x00]), damaged());
        assert_eq!(check(&[0x15, 0x02, 0x05, 0x02, 0x02, 0x00]), damaged());
        // Of what it does not know lists of booleans are refused: the library counts them without reading.
        let unknown = |list: &[u8]| [&[0x05, 0xC8, 0x01][..], &[0x02], &[0x19], list, &[0x00]].concat();
        assert_eq!(check(&unknown(&[0x25, 0x02, 0x04])), Ok(()));
        assert_eq!(check(&unknown(&[0xF2, 0xFF, 0xFF, 0xFF, 0xFF, 0x07])), damaged());
    }
}
