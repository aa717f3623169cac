//! End-to-end tests of `spfde`, in `tests/`: whole runs on small synthetic data, against oracles written with plain
//! lists, and with faults injected. The library is empty.
