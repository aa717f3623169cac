//! What was found wrong.

use std::fmt::Display;
use std::path::Path;

use crate::{Error, Result};

/// Findings that are put into words: a file in which everything is wrong has as many as it has rows.
const MOST_TOLD: usize = 50;

/// What was found wrong: how much, and the first of it in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    told: Vec<String>,
    count: usize,
}

impl Findings {
    /// An error with the findings, of what is in `directory`, if there are some.
    pub(super) fn refuse(&self, directory: &Path) -> Result<()> {
        let Some(first) = self.told.first().cloned() else { return Ok(()) };
        let (directory, told) = (directory.to_owned(), self.told.clone());
        Err(Error::Unsound { directory, findings: self.count, first, told })
    }

    /// Adds one; only the first few are put into words.
    pub(super) fn push(&mut self, words: impl Display) {
        self.count += 1;
        if self.told.len() < MOST_TOLD {
            self.told.push(words.to_string());
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first fifty, in words.
    pub fn told(&self) -> &[String] {
        &self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_are_told() {
        let mut findings = Findings::default();
        assert_eq!((findings.count(), findings.told()), (0, &[][..]));
        (0..1000).for_each(|number| findings.push(number));
        assert_eq!(findings.count(), 1000);
        assert_eq!(findings.told(), (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}
