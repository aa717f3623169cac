//! What the binaries have in common.
#![forbid(unsafe_code)]

/// Panics of the Parquet library are caught and become errors: they do not end the fuzzer, as its own hook
/// would have it. One that nobody catches still does, and so does an allocation above the limit.
pub fn begin() {
    spfde_tests::fuzz::memory::limit_memory();
    std::panic::set_hook(Box::new(|_| ()));
}
