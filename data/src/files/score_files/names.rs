//! Samples that are texts: their numbers are their places among all that occur.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The texts that occur, while threads look for them: each once in memory, so that their limit is one for any
/// number of threads.
pub(super) struct NameSet(Mutex<Found>);

struct Found {
    texts: HashSet<Arc<str>>,
    /// Bytes that there may still be; `None` once there were more.
    left: Option<u64>,
}

impl NameSet {
    /// No texts, which may have so many bytes.
    pub(super) fn new(most: u64) -> Self {
        Self(Mutex::new(Found { texts: HashSet::new(), left: Some(most) }))
    }

    /// Adds a text, and gives the one that all threads share; `None` for a new one beyond the limit.
    pub(super) fn add(&self, text: &str) -> Option<Arc<str>> {
        let Found { texts, left } = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.get(text) {
            return Some(Arc::clone(known));
        }
        *left = left.and_then(|left| left.checked_sub(text.len() as u64));
        let text = left.map(|_| Arc::<str>::from(text))?;
        texts.insert(Arc::clone(&text));
        Some(text)
    }

    /// All texts; `None` if they have more bytes than they may.
    pub(super) fn all(self) -> Option<Names> {
        let Found { texts, left } = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Arc<str>> = texts.into_iter().collect();
        all.sort_unstable();
        let slots = all.iter().zip(0..).map(|(text, slot)| (Arc::clone(text), slot)).collect();
        left.map(|_| Names { all, slots })
    }
}

/// The texts that occur, in the order of their bytes.
#[derive(Debug)]
pub(super) struct Names {
    /// By their numbers.
    pub(super) all: Vec<Arc<str>>,
    /// Their numbers. Is asked for single texts only: its own order does not count.
    pub(super) slots: HashMap<Arc<str>, u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_all_threads_together() {
        // A hundred texts of two bytes, each of which every thread finds.
        let found = |most, threads| {
            let set = NameSet::new(most);
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| (0..100).for_each(|number| drop(set.add(&format!("{number:02}")))));
                }
            });
            set.all().map(|names| {
                let slot = |text| names.slots.get(text).copied();
                (names.all.len(), slot("07"), slot("7"))
            })
        };
        for threads in [1, 4] {
            assert_eq!(found(200, threads), Some((100, Some(7), None)));
            assert_eq!(found(199, threads), None);
        }
    }
}
