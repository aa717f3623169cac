//! Samples that are texts: their numbers are their places among all that occur.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The texts that occur, while they are looked for.
#[derive(Default)]
pub(super) struct NameSet {
    texts: HashSet<Arc<str>>,
    /// Bytes in them.
    pub(super) bytes: u64,
}

impl NameSet {
    /// Adds a text.
    pub(super) fn add(&mut self, text: &str) {
        if !self.texts.contains(text) {
            self.bytes += text.len() as u64;
            self.texts.insert(text.into());
        }
    }

    /// Adds all of another set.
    pub(super) fn join(&mut self, other: Self) {
        other.texts.iter().for_each(|text| self.add(text));
    }
}

/// The texts that occur, in the order of their bytes.
#[derive(Debug)]
pub(super) struct Names {
    all: Vec<Arc<str>>,
    /// Is asked for single texts only: its own order does not count.
    slots: HashMap<Arc<str>, u32>,
}

impl From<NameSet> for Names {
    fn from(set: NameSet) -> Self {
        let mut all: Vec<Arc<str>> = set.texts.into_iter().collect();
        all.sort_unstable();
        let slots = all.iter().zip(0..).map(|(text, slot)| (Arc::clone(text), slot)).collect();
        Self { all, slots }
    }
}

impl Names {
    /// The texts by their numbers.
    pub(super) fn all(&self) -> &[Arc<str>] {
        &self.all
    }

    /// The number of a text that occurs.
    pub(super) fn slot(&self, text: &str) -> Option<u32> {
        self.slots.get(text).copied()
    }
}
