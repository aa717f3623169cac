//! What people read before and after a run.

pub mod grid;
pub mod measure;
pub mod replay;
pub mod run_grid;
pub mod schedule;
pub mod summary;
pub(crate) mod table;
