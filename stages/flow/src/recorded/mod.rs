//! The streams of a recorded run, read epoch by epoch.
//!
//! All workers are of one process and share the record: what one has seen of it all know.

mod check;
mod reader;
mod source;

pub(crate) use check::{Recorded, numbers as check_numbers, sample as check_sample, step as check_step};
pub(crate) use source::{Pace, read, recorded, source};
