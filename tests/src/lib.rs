//! End-to-end tests of `spfde`, in `tests/`: whole runs on small synthetic data, against oracles written with
//! plain lists, and with faults injected. The library has what tests and fuzzers
//! share: [`fuzz`], [`segments`].
//!
//! `duckdb/replay_truth.py` compares replays with decisions taken in SQL from the same files; it needs
//! DuckDB, takes minutes and is run by hand. `fuzz/` is the `cargo fuzz` package of the targets in [`fuzz`].
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

pub mod fuzz;
pub mod segments;
