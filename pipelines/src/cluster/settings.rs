//! The settings of a process, in words: only for saying in which of them two processes differ.

use std::collections::{BTreeMap, BTreeSet};

use super::link::{Broken, Link, cut, printable};
use crate::configuration::Configuration;

/// Bytes of all settings in words; those behind them are not compared one by one.
const WORDS: usize = 8192;

/// Settings that are told one by one.
const TOLD: usize = 3;

/// A line `key = value` for each setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SettingWords(String);

impl SettingWords {
    pub(super) fn of(configuration: &Configuration) -> Self {
        let lines = configuration.values().iter().map(|(key, value)| format!("{key} = {value}\n"));
        Self(lines.collect())
    }

    pub(super) fn send(&self, link: &mut Link<'_>) -> Result<(), Broken> {
        let words = cut(&self.0, WORDS);
        // A line that was cut would be another value.
        let words = &words[..words.rfind('\n').map_or(0, |end| end + 1)];
        let mut bytes = vec![0; WORDS];
        bytes[..words.len()].copy_from_slice(words.as_bytes());
        link.send(&bytes)
    }

    pub(super) fn receive(link: &mut Link<'_>) -> Result<Self, Broken> {
        let bytes = link.receive::<WORDS>()?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(WORDS);
        Ok(Self(String::from_utf8_lossy(&bytes[..end]).into_owned()))
    }

    /// In what the settings of process `from`, which are these, differ from `own`, those of process `me`; `None` if the words
    /// do not tell.
    pub(super) fn difference(&self, from: u32, own: &Self, me: usize) -> Option<String> {
        let (theirs, mine) = (self.by_key(), own.by_key());
        let keys: BTreeSet<&str> = theirs.keys().chain(mine.keys()).copied().collect();
        let differing: Vec<&str> = keys.into_iter().filter(|key| theirs.get(key) != mine.get(key)).collect();
        let told = differing.iter().take(TOLD).map(|key| {
            let words = |settings: &BTreeMap<&str, &str>| {
                printable(settings.get(key).copied().unwrap_or("not set").as_bytes())
            };
            let key = printable(key.as_bytes());
            format!("{key} is {} in process {from}, {} in process {me}", words(&theirs), words(&mine))
        });
        let mut told: Vec<String> = told.collect();
        if told.is_empty() {
            return None;
        }
        if differing.len() > TOLD {
            told.push(format!("and {} more differ", differing.len() - TOLD));
        }
        Some(told.join("; "))
    }

    fn by_key(&self) -> BTreeMap<&str, &str> {
        self.0.lines().filter_map(|line| line.split_once(" = ")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_key_and_no_more_than_some() {
        let words = |text: &str| SettingWords(text.to_owned());
        let own = words("a = 1\nb = 2\nc = 3\nd = 4\n");
        let difference = |text: &str| words(text).difference(2, &own, 0);
        assert_eq!(difference("d = 4\nc = 3\nb = 2\na = 1\n"), None);
        assert_eq!(
            difference("a = 1\nb = 2\nc = \x1b[3\nd = 4\n").unwrap(),
            "c is \u{fffd}[3 in process 2, 3 in process 0"
        );
        assert_eq!(
            difference("e = 5\n").unwrap(),
            "a is not set in process 2, 1 in process 0; b is not set in process 2, 2 in process 0; \
             c is not set in process 2, 3 in process 0; and 2 more differ"
        );
    }
}
