//! Whole runs on small synthetic data: what they record, decide, refuse and leave behind.
#![forbid(unsafe_code)]

mod determinism;
mod freezing;
mod learning;
mod masks;
mod sieve;
mod stopping;
mod storage;
mod support;
mod verification;
