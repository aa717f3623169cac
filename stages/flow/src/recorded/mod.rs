//! The streams of a recorded run, read epoch by epoch.
//!
//! All workers are of one process and share the record: what one has seen of it all know.

mod check;
mod source;

pub(crate) use check::{Limits, tick, tick_of};
pub(crate) use source::{Pace, read, recorded, source};
