//! End-to-end tests of `spfde`, in `tests/`: whole runs on small synthetic data, against oracles written with plain
//! lists, and with faults injected. The library is empty.
//!
//! `duckdb/replay_truth.py` compares replays with decisions taken in SQL from the same files; it needs DuckDB, takes
//! minutes and is run by hand.
