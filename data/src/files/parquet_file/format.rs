//! The structs of the Parquet format that stand in footers and in front of pages, by the names that the format gives them:
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>. Encryption is left out, which the
//! library skips.

use super::thrift::{Fields, Kind, kind};

const BYTE: Kind = Kind::Plain(kind::BYTE);
const SHORT: Kind = Kind::Plain(kind::SHORT);
const INTEGER: Kind = Kind::Plain(kind::INTEGER);
const LONG: Kind = Kind::Plain(kind::LONG);
const DOUBLE: Kind = Kind::Plain(kind::DOUBLE);
const BINARY: Kind = Kind::Plain(kind::BINARY);
const EMPTY: Kind = Kind::Struct(&[]);

/// `FileMetaData`, which is the footer.
pub(super) const FILE: Fields = &[
    (1, INTEGER),
    (SCHEMA, Kind::List(&Kind::Struct(ELEMENT))),
    (3, LONG),
    (4, Kind::List(&Kind::Struct(ROW_GROUP))),
    (5, Kind::List(&KEY_VALUE)),
    (6, BINARY),
    (7, Kind::List(&Kind::Struct(&[(1, EMPTY), (2, EMPTY)]))),
    (9, BINARY),
];
pub(super) const SCHEMA: i64 = 2;

/// `SchemaElement`.
pub(super) const ELEMENT: Fields = &[
    (1, INTEGER),
    (2, INTEGER),
    (3, INTEGER),
    (NAME, BINARY),
    (CHILDREN, INTEGER),
    (6, INTEGER),
    (7, INTEGER),
    (8, INTEGER),
    (9, INTEGER),
    (10, Kind::Struct(LOGICAL)),
];
pub(super) const NAME: i64 = 4;
pub(super) const CHILDREN: i64 = 5;

/// `LogicalType`.
const LOGICAL: Fields = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Kind::Struct(&[(1, INTEGER), (2, INTEGER)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Kind::Struct(&[(1, BYTE), (2, Kind::Flag)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Kind::Struct(&[(1, BYTE)])),
    (17, Kind::Struct(&[(1, BINARY)])),
    (18, Kind::Struct(&[(1, BINARY), (2, INTEGER)])),
];
const TIME: Kind = Kind::Struct(&[(1, Kind::Flag), (2, Kind::Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]))]);

/// `RowGroup`.
const ROW_GROUP: Fields = &[
    (1, Kind::List(&Kind::Struct(COLUMN_CHUNK))),
    (2, LONG),
    (3, LONG),
    (4, Kind::List(&Kind::Struct(&[(1, INTEGER), (2, Kind::Flag), (3, Kind::Flag)]))),
    (5, LONG),
    (6, LONG),
    (7, SHORT),
];

/// `ColumnChunk`.
const COLUMN_CHUNK: Fields = &[
    (1, BINARY),
    (2, LONG),
    (3, Kind::Struct(COLUMN)),
    (4, LONG),
    (5, INTEGER),
    (6, LONG),
    (7, INTEGER),
    (9, BINARY),
];

/// `ColumnMetaData`.
const COLUMN: Fields = &[
    (1, INTEGER),
    (2, Kind::List(&INTEGER)),
    (3, Kind::List(&BINARY)),
    (4, INTEGER),
    (5, LONG),
    (6, LONG),
    (7, LONG),
    (8, Kind::List(&KEY_VALUE)),
    (9, LONG),
    (10, LONG),
    (11, LONG),
    (12, Kind::Struct(STATISTICS)),
    (13, Kind::List(&Kind::Struct(&[(1, INTEGER), (2, INTEGER), (3, INTEGER)]))),
    (14, LONG),
    (15, INTEGER),
    (16, Kind::Struct(&[(1, LONG), (2, Kind::List(&LONG)), (3, Kind::List(&LONG))])),
    (17, Kind::Struct(&[(1, Kind::Struct(BOX)), (2, Kind::List(&INTEGER))])),
];

/// `Statistics`.
const STATISTICS: Fields = &[
    (1, BINARY),
    (2, BINARY),
    (3, LONG),
    (4, LONG),
    (5, BINARY),
    (6, BINARY),
    (7, Kind::Flag),
    (8, Kind::Flag),
    (9, LONG),
];

/// `BoundingBox`.
const BOX: Fields =
    &[(1, DOUBLE), (2, DOUBLE), (3, DOUBLE), (4, DOUBLE), (5, DOUBLE), (6, DOUBLE), (7, DOUBLE), (8, DOUBLE)];

/// `KeyValue`.
const KEY_VALUE: Kind = Kind::Struct(&[(1, BINARY), (2, BINARY)]);

/// `PageHeader`.
pub(super) const PAGE: Fields = &[
    (1, INTEGER),
    (2, INTEGER),
    (3, INTEGER),
    (4, INTEGER),
    (5, Kind::Struct(DATA)),
    (6, EMPTY),
    (7, Kind::Struct(DICTIONARY)),
    (8, Kind::Struct(DATA_2)),
];

/// `DataPageHeader`.
pub(super) const DATA: Fields =
    &[(1, INTEGER), (2, INTEGER), (3, INTEGER), (4, INTEGER), (5, Kind::Struct(STATISTICS))];

/// `DictionaryPageHeader`.
pub(super) const DICTIONARY: Fields = &[(1, INTEGER), (2, INTEGER), (3, Kind::Flag)];

/// `DataPageHeaderV2`.
pub(super) const DATA_2: Fields = &[
    (1, INTEGER),
    (2, INTEGER),
    (3, INTEGER),
    (4, INTEGER),
    (5, INTEGER),
    (6, INTEGER),
    (7, Kind::Flag),
    (8, Kind::Struct(STATISTICS)),
];
