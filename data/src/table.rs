//! Rows and columns: how a stream becomes a table, without knowing the file format.

use std::ops::Range;

/// Name and type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: ColumnType,
    /// Whether values may be missing.
    pub nullable: bool,
    /// Whether a later version of the program added it: files of an earlier one lack it, and read as its
    /// default.
    pub added: bool,
}

impl Column {
    /// The column of values of type `T`; `added` by a later version or not.
    pub fn of<T: Cell>(name: &'static str, added: bool) -> Self {
        Self { name, kind: T::KIND, nullable: T::NULLABLE, added }
    }
}

/// Declares the types of columns and all that is the same for each: name, type of the values in memory, docs.
macro_rules! kinds {
    ($($kind:ident: $type:ty = $doc:literal,)+) => {
        /// The type of a column.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ColumnType {
            $(#[doc = $doc] $kind,)+
        }

        /// The values of one column.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Cells {
            $(#[doc = concat!("Values of a column of type ", $doc)] $kind(Vec<$type>),)+
        }

        impl Cells {
            /// The type of the column.
            pub fn kind(&self) -> ColumnType {
                match self {
                    $(Cells::$kind(_) => ColumnType::$kind,)+
                }
            }

            /// `rows` defaults: zeros, false, empty texts, missing values.
            pub fn defaults(kind: ColumnType, rows: usize) -> Self {
                match kind {
                    $(ColumnType::$kind => Cells::$kind(vec![<$type>::default(); rows]),)+
                }
            }

            /// Appends the values in some rows of a column of the same type.
            ///
            /// # Panics
            /// If the types differ, or there are fewer values.
            fn extend(&mut self, other: &Self, rows: Range<usize>) {
                match (self, other) {
                    $((Cells::$kind(cells), Cells::$kind(other)) => {
                        cells.extend_from_slice(&other[rows]);
                    })+
                    (cells, other) => panic!("cells {other:?} do not fit a column {cells:?}"),
                }
            }
        }

        $(impl Cell for $type {
            const KIND: ColumnType = ColumnType::$kind;
            const NULLABLE: bool = matches!(
                ColumnType::$kind,
                ColumnType::F64 | ColumnType::MaybeF32 | ColumnType::MaybeU64
            );
            fn push(self, cells: &mut Cells) {
                match cells {
                    Cells::$kind(values) => values.push(self),
                    other => panic!("a {} does not fit a column {other:?}", stringify!($type)),
                }
            }
            fn get(cells: &Cells, row: usize) -> Self {
                match cells {
                    Cells::$kind(values) => values[row].clone(),
                    other => panic!("a {} is not in a column {other:?}", stringify!($type)),
                }
            }
        })+
    };
}
kinds! {
    Bool: bool = "`bool`",
    I8: i8 = "`i8`",
    U16: u16 = "`u16`",
    U32: u32 = "`u32`",
    U64: u64 = "`u64`",
    MaybeU64: Option<u64> = "`u64` that may be missing",
    F32: f32 = "`f32`",
    MaybeF32: Option<f32> = "`f32` that may be missing",
    F64: Option<f64> = "`f64` that may be missing, if the column says so",
    Text: String = "UTF-8 text",
}

/// A batch of rows, column by column.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    /// The columns in the order of the schema.
    pub cells: Vec<Cells>,
    /// How many rows each has.
    pub rows: usize,
}

impl Columns {
    /// An empty batch for the given schema.
    pub fn new(columns: &[Column]) -> Self {
        let cells = columns.iter().map(|column| Cells::defaults(column.kind, 0));
        Self { cells: cells.collect(), rows: 0 }
    }

    /// The rows as a batch.
    pub fn from_rows<R: Row>(rows: impl IntoIterator<Item = R>) -> Self {
        let mut columns = Self::new(&R::columns());
        for row in rows {
            row.push(&mut columns.cells.iter_mut());
            columns.rows += 1;
        }
        columns
    }

    /// Appends some rows of a batch with the same columns.
    ///
    /// # Panics
    /// If the columns differ in number or type, or there are fewer rows.
    pub fn append(&mut self, other: &Self, rows: Range<usize>) {
        assert_eq!(self.cells.len(), other.cells.len(), "batches of the same columns");
        for (cells, other) in self.cells.iter_mut().zip(&other.cells) {
            cells.extend(other, rows.clone());
        }
        self.rows += rows.len();
    }

    /// The batch as rows.
    ///
    /// # Panics
    /// If the columns are not those of `R`: compare schemas before.
    pub fn into_rows<R: Row>(&self) -> Vec<R> {
        (0..self.rows).map(|row| R::get(&mut self.cells.iter(), row)).collect()
    }
}

/// A Rust type that is the value of a column.
pub trait Cell: Sized {
    /// The column's type.
    const KIND: ColumnType;
    /// Whether the column may lack values.
    const NULLABLE: bool = false;
    /// Appends the value to a column of this type.
    fn push(self, cells: &mut Cells);
    /// The value in row `row` of a column of this type.
    fn get(cells: &Cells, row: usize) -> Self;
}

impl Cell for f64 {
    const KIND: ColumnType = ColumnType::F64;
    fn push(self, cells: &mut Cells) {
        Some(self).push(cells);
    }
    fn get(cells: &Cells, row: usize) -> Self {
        Option::<f64>::get(cells, row).expect("a column that is not nullable has every value")
    }
}

/// Typed values with columns: a row of a table, or what a policy keeps of a sample, a layer or a block, saved
/// and restored by its type. Declare one with [`row!`](crate::row) or [`state!`](crate::state); a policy that
/// keeps nothing uses `()`.
pub trait Record: Clone + Send + 'static {
    /// The columns in order.
    fn columns() -> Vec<Column>;
    /// Appends the values, one to each of the cells that follow.
    fn push(self, cells: &mut std::slice::IterMut<'_, Cells>);
    /// The values in row `row` of the cells that follow.
    fn get(cells: &mut std::slice::Iter<'_, Cells>, row: usize) -> Self;
}

impl Record for () {
    fn columns() -> Vec<Column> {
        Vec::new()
    }
    fn push(self, _: &mut std::slice::IterMut<'_, Cells>) {}
    fn get(_: &mut std::slice::Iter<'_, Cells>, _: usize) -> Self {}
}

/// Implements [`Record`] for a struct with these fields; those with `= added` came with a later version.
#[doc(hidden)]
#[macro_export]
macro_rules! record {
    ($name:ident { $($field:ident: $type:ty $(= $added:ident)?,)+ }) => {
        impl $crate::table::Record for $name {
            fn columns() -> Vec<$crate::table::Column> {
                vec![$($crate::table::Column::of::<$type>(
                    stringify!($field),
                    [$(stringify!($added),)?].contains(&"added"),
                )),+]
            }
            fn push(self, cells: &mut ::core::slice::IterMut<'_, $crate::table::Cells>) {
                $($crate::table::Cell::push(self.$field, cells.next().expect("one column for each field"));)+
            }
            fn get(cells: &mut ::core::slice::Iter<'_, $crate::table::Cells>, row: usize) -> Self {
                Self { $($field: $crate::table::Cell::get(
                    cells.next().expect("one column for each field"), row,
                ),)+ }
            }
        }
    };
}

/// Declares a [`Record`] with a start: a documented struct whose fields are its columns, with their values at
/// the start.
///
/// ```
/// spfde_data::state! {
///     /// What a sample did so far.
///     #[derive(Copy, Debug, PartialEq)]
///     pub struct Seen {
///         /// Its latest loss, in nats.
///         pub loss: f32 = 3.0,
///         /// Presentations.
///         pub count: u32 = 0,
///     }
/// }
/// use spfde_data::table::Record;
/// assert_eq!(Seen::default(), Seen { loss: 3.0, count: 0 });
/// assert_eq!(Seen::columns()[1].name, "count");
/// ```
#[macro_export]
macro_rules! state {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_visibility:vis $field:ident: $type:ty = $start:expr,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone)]
        $visibility struct $name { $($(#[$field_meta])* $field_visibility $field: $type,)+ }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $start,)+ }
            }
        }

        $crate::record! { $name { $($field: $type,)+ } }
    };
}

/// A value that may place a row within its stream.
pub trait Place {
    /// Its place among others: in order, as far as 64 bits tell them apart.
    fn place(&self) -> u64;
}

macro_rules! places {
    ($($integer:ty),+) => {
        $(impl Place for $integer {
            fn place(&self) -> u64 {
                u64::from(*self)
            }
        })+
    };
}
places!(u8, u16, u32, u64);

impl Place for String {
    fn place(&self) -> u64 {
        self.bytes().chain([0; 8]).take(8).fold(0, |place, byte| place << 8 | u64::from(byte))
    }
}

/// A row of a stream: becomes a row of the table of the same name. Declare one with [`row!`](crate::row).
pub trait Row: Record + serde::Serialize + for<'a> serde::Deserialize<'a> {
    /// The stream's name: the table's folder below `trace/`. The first of its columns is `epoch`.
    const STREAM: &'static str;
    /// The place of the row within its stream: the values of its leading columns. Rows of one tick are
    /// written in this order, which must not depend on the number of workers.
    fn order(&self) -> [u64; 4];
}
