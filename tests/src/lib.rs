//! End-to-end tests of `spfde`, in `tests/`: whole runs on small synthetic data, against oracles written with
//! plain lists, and with faults injected. The library has what tests and fuzzers
//! share: [`fuzz`], [`segments`].
//!
//! `duckdb/replay_truth.py` and `duckdb/sieve_truth.py` compare replays, and runs under every sieve, with
//! decisions taken in SQL from the same files; they need DuckDB, take minutes and are run by hand. Beside
//! them, `page.py` runs the queries on a page of `spfde report`, and `recipes.py` those of the guide;
//! `.ci/run` runs both, where pip reaches their tools. `fuzz/` is the `cargo fuzz` package of the targets in
//! [`fuzz`].
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

pub mod fuzz;
pub mod segments;
