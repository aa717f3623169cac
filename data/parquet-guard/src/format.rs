//! The structs of the Parquet format in footers and in front of pages, each as the kinds of its fields from
//! number 1 on: <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>.
//!
//! `ANY` stands for numbers that the format does not use, and for encryption, which the library skips.

use crate::thrift::{Fields, Kind, kind};

const ANY: Kind = Kind::Any;
const FLAG: Kind = Kind::Flag;
const BYTE: Kind = Kind::Plain(kind::BYTE);
const I16: Kind = Kind::Plain(kind::SHORT);
const I32: Kind = Kind::Plain(kind::INTEGER);
const I64: Kind = Kind::Plain(kind::LONG);
const F64: Kind = Kind::Plain(kind::DOUBLE);
const TEXT: Kind = Kind::Plain(kind::BINARY);
const EMPTY: Kind = Kind::Struct(&[]);

/// `FileMetaData`, which is the footer.
pub(crate) const FILE: Fields =
    &[I32, Kind::List(&Kind::Struct(ELEMENT)), I64, GROUPS, KEY_VALUES, TEXT, ORDERS, ANY, TEXT];
/// The number of the schema in [`FILE`].
pub(crate) const SCHEMA: i64 = 2;
const ORDERS: Kind = Kind::List(&Kind::Struct(&[EMPTY, EMPTY]));
const KEY_VALUES: Kind = Kind::List(&Kind::Struct(&[TEXT, TEXT]));

/// `SchemaElement`.
pub(crate) const ELEMENT: Fields = &[I32, I32, I32, TEXT, I32, I32, I32, I32, I32, LOGICAL];
/// The number of the name in [`ELEMENT`].
pub(crate) const NAME: i64 = 4;
/// The number of the count of children in [`ELEMENT`].
pub(crate) const CHILDREN: i64 = 5;

/// `LogicalType`.
const LOGICAL: Kind = Kind::Struct(&[
    EMPTY, EMPTY, EMPTY, EMPTY, DECIMAL, EMPTY, TIME, TIME, ANY, WHOLE, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY,
    VARIANT, GEOMETRY, GEOGRAPHY,
]);
const DECIMAL: Kind = Kind::Struct(&[I32, I32]);
const TIME: Kind = Kind::Struct(&[FLAG, Kind::Struct(&[EMPTY, EMPTY, EMPTY])]);
const WHOLE: Kind = Kind::Struct(&[BYTE, FLAG]);
const VARIANT: Kind = Kind::Struct(&[BYTE]);
const GEOMETRY: Kind = Kind::Struct(&[TEXT]);
const GEOGRAPHY: Kind = Kind::Struct(&[TEXT, I32]);

/// `RowGroup`.
const GROUPS: Kind = Kind::List(&Kind::Struct(&[CHUNKS, I64, I64, SORTING, I64, I64, I16]));
const SORTING: Kind = Kind::List(&Kind::Struct(&[I32, FLAG, FLAG]));

/// `ColumnChunk`.
const CHUNKS: Kind = Kind::List(&Kind::Struct(&[TEXT, I64, COLUMN, I64, I32, I64, I32, ANY, TEXT]));

/// `ColumnMetaData`.
const COLUMN: Kind = Kind::Struct(&[
    I32,
    Kind::List(&I32),
    Kind::List(&TEXT),
    I32,
    I64,
    I64,
    I64,
    KEY_VALUES,
    I64,
    I64,
    I64,
    STATISTICS,
    Kind::List(&Kind::Struct(&[I32, I32, I32])),
    I64,
    I32,
    Kind::Struct(&[I64, Kind::List(&I64), Kind::List(&I64)]),
    Kind::Struct(&[Kind::Struct(&[F64, F64, F64, F64, F64, F64, F64, F64]), Kind::List(&I32)]),
]);

/// `Statistics`.
const STATISTICS: Kind = Kind::Struct(&[TEXT, TEXT, I64, I64, TEXT, TEXT, FLAG, FLAG, I64]);

/// `PageHeader`.
pub(crate) const PAGE: Fields =
    &[I32, I32, I32, I32, Kind::Struct(DATA), EMPTY, Kind::Struct(DICTIONARY), Kind::Struct(DATA_2)];
/// `DataPageHeader`.
pub(crate) const DATA: Fields = &[I32, I32, I32, I32, STATISTICS];
/// `DictionaryPageHeader`.
pub(crate) const DICTIONARY: Fields = &[I32, I32, FLAG];
/// `DataPageHeaderV2`.
pub(crate) const DATA_2: Fields = &[I32, I32, I32, I32, I32, I32, FLAG, STATISTICS];
