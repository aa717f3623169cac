//! Whole runs on small synthetic data: what they record, decide, refuse and leave behind.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[path = "../../../pipelines/tests/command_line/addresses.rs"]
mod addresses;
mod corruption;
mod crashing;
mod determinism;
mod faults;
mod freezing;
mod fuzzing;
mod hostile;
mod infobatch;
mod learning;
mod masks;
mod memory;
mod observing;
mod power;
mod reference;
mod replay;
mod resuming;
mod rigl;
mod seams;
mod sieve;
mod stopping;
mod storage;
mod support;
mod thawing;
mod together;
mod training;
mod verification;
mod windows;
