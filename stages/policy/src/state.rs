//! Saved states in rows: an epoch and whose the row is, then the columns of the state.

use spfde_data::{Cell, Column, ColumnType, Columns, Record};

/// The columns of a state that belongs to an `owner`, such as a layer; none if the state has none.
pub(crate) fn columns<S: Record>(owner: &'static str) -> Vec<Column> {
    let own = S::columns();
    if own.is_empty() {
        return own;
    }
    let column = |name| Column { name, kind: ColumnType::U32, nullable: false, added: false };
    ["epoch", owner].map(column).into_iter().chain(own).collect()
}

/// Appends a row of these columns, if there are some.
pub(crate) fn push(rows: &mut Columns, epoch: u32, owner: u32, state: impl Record) {
    if let [epochs, owners, own @ ..] = &mut rows.cells[..] {
        epoch.push(epochs);
        owner.push(owners);
        state.push(&mut own.iter_mut());
        rows.rows += 1;
    }
}

/// Whose row `row` is, and the state that it says.
pub(crate) fn get<S: Record>(rows: &Columns, row: usize) -> (u32, S) {
    (u32::get(&rows.cells[1], row), S::get(&mut rows.cells[2..].iter(), row))
}
