//! What the binaries have in common.
#![forbid(unsafe_code)]

/// Panics of the Parquet library are caught and become errors: they do not end the fuzzer, as its own hook would have it.
/// One that nobody catches still does.
pub fn begin() {
    std::panic::set_hook(Box::new(|_| ()));
}
