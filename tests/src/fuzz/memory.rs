//! The memory that a target may have: an allocator that counts.

use std::alloc::System;

use cap::Cap;

/// Bytes that a process may hold while it reads any input, its own included. What is beyond them is not
/// given, which ends the process.
pub const MEMORY_LIMIT: usize = 512 * 1_000_000;

/// Of every program that is linked with this crate; without a limit until [`limit_memory`].
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// From now on this process holds at most [`MEMORY_LIMIT`] bytes.
///
/// # Panics
/// If it has more already.
pub fn limit_memory() {
    let held = ALLOCATOR.allocated();
    assert!(ALLOCATOR.set_limit(MEMORY_LIMIT).is_ok(), "{held} bytes are held, the limit is {MEMORY_LIMIT}");
}

/// Bytes that this process held at most.
pub fn most_memory() -> usize {
    ALLOCATOR.max_allocated()
}

/// Bytes that this process holds.
pub fn held_memory() -> usize {
    ALLOCATOR.allocated()
}
