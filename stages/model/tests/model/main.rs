//! Networks from the outside: gradients against a plain f64 reference, masks, freezing, updates, state.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod builder;
mod dense;
mod diagnoses;
mod families;
mod freezing;
mod front;
mod gradients;
mod masks;
mod operations;
mod reference;
mod registry;
mod seams;
mod shards;
mod state;
mod storage;
mod sums;
mod support;
mod updates;
