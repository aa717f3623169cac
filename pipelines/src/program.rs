//! How this program is called.

use std::sync::OnceLock;

static PROGRAM: OnceLock<String> = OnceLock::new();

/// Says in messages how this program is called, if it is not `spfde`.
pub(crate) fn name_program(name: String) {
    // The first name is the program's.
    let _ = PROGRAM.set(name);
}

/// How this program is called.
pub(crate) fn program() -> &'static str {
    PROGRAM.get().map_or("spfde", String::as_str)
}
