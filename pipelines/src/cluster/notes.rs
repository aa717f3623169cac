//! What is worth knowing while processes come together.

use std::fmt::{Debug, Display, Formatter, Result};
use std::sync::Arc;

type Take = dyn Fn(&str) + Send + Sync;

/// Takes remarks, such as that a connection was dropped; by default they are lost.
#[derive(Clone, Default)]
pub struct Notes(Option<Arc<Take>>);

impl Notes {
    /// Has `take` called with every remark: one line, from any thread.
    pub fn new(take: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(take)))
    }

    pub(super) fn tell(&self, note: impl Display) {
        self.0.iter().for_each(|take| take(&note.to_string()));
    }
}

impl Debug for Notes {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("Notes")
    }
}
