//! Columns of saved states: a few that say whose a row is, then those of the state.

use spfde_data::table::{Column, ColumnType, Record};

/// A column of numbers that says whose a row is.
pub(crate) struct U32(pub(crate) &'static str);

/// The columns of a state's rows; none if the state has none.
pub(crate) fn saved_columns<S: Record>(of: &[U32]) -> Vec<Column> {
    let own = S::columns();
    if own.is_empty() {
        return own;
    }
    let column = |U32(name): &U32| Column { name, kind: ColumnType::U32, nullable: false, added: false };
    of.iter().map(column).chain(own).collect()
}
