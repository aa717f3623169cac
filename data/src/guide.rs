//! The guide: pages on the files that this crate reads and writes.

/// Your own data: what can be imported, and how to write a data set by hand.
#[cfg_attr(doc, doc = "")]
#[cfg_attr(doc, doc = include_str!("../docs/data_sets.md"))]
pub mod data_sets {}
