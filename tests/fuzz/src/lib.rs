//! What the binaries have in common.
#![forbid(unsafe_code)]

/// The reader catches panics of the Parquet library, and they become errors. They do not end the fuzzer, as
/// its own hook would have it. A panic that no code catches still does, and so does an allocation above the
/// limit.
pub fn begin() {
    spfde_tests::fuzz::memory::limit_memory();
    std::panic::set_hook(Box::new(|_| ()));
}
