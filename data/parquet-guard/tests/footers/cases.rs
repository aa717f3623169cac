//! Footers that are as long as they may be, each made of as many of one thing as fit, or of claims; built
//! byte by byte, since no writer would.

use std::path::Path;

use spfde_parquet_guard::ParquetFile;

/// Bytes that a footer may have.
pub(crate) const FOOTER_LIMIT: usize = 4 << 20;

/// A footer and what becomes of it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    footer: fn() -> Vec<u8>,
    /// Part of a message.
    expected: &'static str,
}

const DAMAGED: &str = "cannot read the footer: the file is damaged";

/// That it was read.
const READ: &str = "it was read";

pub(crate) const CASES: [Case; 24] = [
    Case { name: "schema, claimed", footer: || claimed(2), expected: "number of columns and groups is " },
    Case { name: "row groups, claimed", footer: || claimed(4), expected: DAMAGED },
    Case { name: "keys and values, claimed", footer: || claimed(5), expected: DAMAGED },
    Case { name: "orders of columns, claimed", footer: || claimed(7), expected: DAMAGED },
    Case { name: "columns", footer: columns, expected: "number of columns and groups is " },
    Case {
        name: "columns in a group",
        footer: || schema_only(&[vec![group("", 1), group("", 4096)], vec![column(1, ""); 4096]].concat()),
        expected: READ,
    },
    Case {
        name: "groups in groups",
        footer: || schema_only(&groups()),
        expected: "number of columns and groups is ",
    },
    Case {
        name: "groups in groups, few enough",
        footer: || schema_only(&groups()[..8190]),
        expected: "depth of the schema is ",
    },
    Case {
        name: "a group that claims columns",
        footer: || schema_only(&[group("", 1), group("g", 0x7FFF_FFFF), column(1, "x")]),
        expected: DAMAGED,
    },
    Case {
        name: "a long name of many columns",
        footer: || schema_only(&long_name()),
        expected: "length of the columns' names is ",
    },
    Case { name: "row groups without columns", footer: || row_groups(0, 1, &[]), expected: READ },
    Case { name: "row groups of a column", footer: || row_groups(1, 1, &[]), expected: READ },
    Case { name: "row groups of many columns", footer: || row_groups(4096, 1, &[]), expected: READ },
    // Field 12 of a column, that ends with field 9: least and greatest values.
    Case {
        name: "numbers as statistics",
        footer: || row_groups(4096, 2, &[&[0x3C, 0x58, 8][..], &[1; 8], &[0x18, 8], &[1; 8], &[0]].concat()),
        expected: READ,
    },
    Case {
        name: "texts as statistics",
        footer: || row_groups(4096, 6, &[0x3C, 0x58, 1, b'a', 0x18, 1, b'b', 0]),
        expected: READ,
    },
    // Field 13: kinds of pages; field 16: histograms; field 17: kinds of shapes.
    Case {
        name: "encodings of pages",
        footer: || row_groups(4096, 1, &[0x49, 0x1C, 0x15, 0, 0x15, 0, 0x15, 2, 0]),
        expected: READ,
    },
    Case {
        name: "long histograms",
        footer: || one_list(&[0x7C, 0x29, 0xF6], &[0x00], &[0x00]),
        expected: READ,
    },
    Case {
        name: "short histograms",
        footer: || row_groups(4096, 1, &[0x7C, 0x29, 0x16, 0, 0x19, 0x16, 0, 0]),
        expected: READ,
    },
    Case {
        name: "kinds of shapes",
        footer: || row_groups(4096, 1, &[0x8C, 0x29, 0x15, 0, 0]),
        expected: READ,
    },
    Case { name: "sorting columns", footer: sorting_columns, expected: READ },
    // What the guard takes for a number, and the library for a list.
    Case { name: "sorting columns in a number", footer: hidden, expected: "cannot read the footer: " },
    Case { name: "keys and values", footer: keys, expected: READ },
    Case {
        name: "row groups that share their pages",
        footer: || row_groups_of(1, 1, &chunk(PAGES * EMPTY_PAGE.len(), &[])),
        expected: "cannot read the row groups: the file is damaged",
    },
    Case { name: "lists of booleans that nobody reads", footer: booleans, expected: DAMAGED },
];

/// A page of the first kind, without bytes.
const EMPTY_PAGE: [u8; 7] = [0x15, 0x00, 0x15, 0x00, 0x15, 0x00, 0x00];

/// So many are in front of every footer; only one of them uses them.
const PAGES: usize = 100_000;

/// Reads the file of a case.
pub(crate) fn read(case: &Case) {
    let footer = (case.footer)();
    assert!(footer.len() <= FOOTER_LIMIT, "{}", footer.len());
    let length = (footer.len() as u32).to_le_bytes();
    let bytes = [&b"PAR1"[..], &EMPTY_PAGE.repeat(PAGES), &footer, &length, b"PAR1"].concat();
    drop(footer);
    let read = ParquetFile::parse(Path::new("hostile.parquet"), bytes);
    let message = read.map_or_else(|error| error.to_string(), |_| READ.to_owned());
    assert!(message.contains(case.expected), "{message}");
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// The beginning of a list of values of a kind.
fn list(kind: u8, count: usize) -> Vec<u8> {
    [&[0xF0 | kind][..], &varint(count)].concat()
}

fn group(name: &str, children: usize) -> Vec<u8> {
    [&[0x35, 0x02, 0x18][..], &varint(name.len()), name.as_bytes(), &[0x15], &varint(children << 1), &[0]]
        .concat()
}

/// A column of a physical type.
fn column(physical: u8, name: &str) -> Vec<u8> {
    [&[0x15, physical << 1, 0x25, 0x00, 0x18][..], &varint(name.len()), name.as_bytes(), &[0]].concat()
}

/// Version and schema, without the end of the struct.
fn schema(elements: &[Vec<u8>]) -> Vec<u8> {
    [&[0x15, 0x02, 0x19][..], &list(12, elements.len()), &elements.concat()].concat()
}

/// No rows, no row groups, the end of the struct.
const NO_ROWS: [u8; 5] = [0x16, 0x00, 0x19, 0x0C, 0x00];

fn schema_only(elements: &[Vec<u8>]) -> Vec<u8> {
    [schema(elements), NO_ROWS.to_vec()].concat()
}

/// A schema of one column, then list `field` that claims an element for each of the zeros that follow.
fn claimed(field: u8) -> Vec<u8> {
    let mut bytes = match field {
        2 => vec![0x15, 0x02],
        _ => [schema(&[group("", 1), column(1, "x")]), vec![0x16, 0x00]].concat(),
    };
    let last = if field == 2 { 1 } else { 3 };
    bytes.push((field - last) << 4 | 9);
    let rest = FOOTER_LIMIT - bytes.len() - 5;
    bytes.extend(list(12, rest));
    bytes.resize(FOOTER_LIMIT, 0);
    bytes
}

fn columns() -> Vec<u8> {
    let count = (FOOTER_LIMIT - 64) / column(1, "").len();
    let elements: Vec<Vec<u8>> =
        std::iter::once(group("", count)).chain(vec![column(1, ""); count]).collect();
    schema_only(&elements)
}

fn groups() -> Vec<Vec<u8>> {
    vec![group("", 1); (FOOTER_LIMIT - 64) / group("", 1).len()]
}

fn long_name() -> Vec<Vec<u8>> {
    [vec![group("", 1), group(&"n".repeat(4_000_000), 4096)], vec![column(1, ""); 4096]].concat()
}

/// The first so many bytes of the pages as the chunk of a column, with these further fields of its metadata
/// behind field 9.
fn chunk(bytes: usize, more: &[u8]) -> Vec<u8> {
    // Type, no encodings, codec, number of values, sizes, offset.
    let metadata = [
        &[0x15, 0x02, 0x19, 0x05, 0x25, 0x00, 0x16, 0x00, 0x16, 0x00, 0x16][..],
        &varint(bytes << 1),
        &[0x26, 0x08],
    ];
    [&[0x26, 0x00, 0x1C][..], &metadata.concat(), more, &[0x00, 0x00]].concat()
}

/// As many row groups of so many columns of a physical type as fit, without pages.
fn row_groups(columns: usize, physical: u8, more: &[u8]) -> Vec<u8> {
    row_groups_of(columns, physical, &chunk(0, more))
}

fn row_groups_of(columns: usize, physical: u8, chunk: &[u8]) -> Vec<u8> {
    let chunks = [&[0x19][..], &list(12, columns), &chunk.repeat(columns)].concat();
    let group_of = [&chunks[..], &[0x16, 0x00, 0x16, 0x00, 0x00]].concat();
    let elements: Vec<Vec<u8>> =
        std::iter::once(group("", columns)).chain(vec![column(physical, ""); columns]).collect();
    let start = [schema(&elements), vec![0x16, 0x00, 0x19]].concat();
    let count = (FOOTER_LIMIT - start.len() - 16) / group_of.len();
    [start, list(12, count), group_of.repeat(count), vec![0x00]].concat()
}

/// A row group of one chunk whose metadata end with a list of as many `value`s as fit.
fn one_list(before: &[u8], value: &[u8], after: &[u8]) -> Vec<u8> {
    let count = (FOOTER_LIMIT - 256) / value.len();
    let more = [before, &varint(count), &value.repeat(count), after].concat();
    let start = [schema(&[group("", 1), column(1, "x")]), vec![0x16, 0x00, 0x19]].concat();
    [&start[..], &[0x1C, 0x19, 0x1C], &chunk(0, &more), &[0x16, 0x00, 0x16, 0x00, 0x00], &[0x00]].concat()
}

fn sorting_columns() -> Vec<u8> {
    let value = [0x15, 0x00, 0x12, 0x12, 0x00];
    let count = (FOOTER_LIMIT - 256) / value.len();
    let start = [schema(&[group("", 1), column(1, "x")]), vec![0x16, 0x00, 0x19]].concat();
    let group = [
        &[0x19, 0x1C][..],
        &chunk(0, &[]),
        &[0x16, 0x00, 0x16, 0x00, 0x19],
        &list(12, count),
        &value.repeat(count),
    ];
    [&start[..], &[0x1C], &group.concat(), &[0x00, 0x00]].concat()
}

/// A row group whose field 4 is announced as a number, and is a list that claims an element for each of the
/// bytes that follow, near enough.
fn hidden() -> Vec<u8> {
    let count = FOOTER_LIMIT - 256;
    let start = [schema(&[group("", 1), column(1, "x")]), vec![0x16, 0x00, 0x19, 0x1C, 0x19, 0x1C]].concat();
    let claim = [&[0x16, 0x00, 0x16, 0x00, 0x16, 0xFC][..], &varint(count - 64), &[0x00]].concat();
    // Field 6 of the footer, a text.
    let text = [&[0x28][..], &varint(count), &vec![0; count], &[0x00]].concat();
    [start, chunk(0, &[]), claim, text].concat()
}

/// Keys and values without any bytes.
fn keys() -> Vec<u8> {
    let pair = [0x18, 0x00, 0x18, 0x00, 0x00];
    let count = (FOOTER_LIMIT - 256) / pair.len();
    let start = [schema(&[group("", 1), column(1, "x")]), vec![0x16, 0x00, 0x19, 0x0C, 0x19]].concat();
    [start, list(12, count), pair.repeat(count), vec![0x00]].concat()
}

/// Field 100: a list of lists, each of which claims 2³¹ − 1 booleans.
fn booleans() -> Vec<u8> {
    let claims = list(2, 0x7FFF_FFFF);
    let count = (FOOTER_LIMIT - 256) / claims.len();
    let start =
        [schema(&[group("", 1), column(1, "x")]), vec![0x16, 0x00, 0x19, 0x0C, 0x09, 0xC8, 0x01]].concat();
    [start, list(9, count), claims.repeat(count), vec![0x00]].concat()
}
