//! The views that come with the program: a collection each, from keys to a number.

mod agreement;
mod churn;
mod class_mix;
mod forgotten;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use spfde_data::Value;
use spfde_data::files::table_file::{self, Values};

use spfde_flow::analysis::{Changing, Streams};

use super::labels::Labels;
use super::runs::{Runs, analyse};
use crate::grid::narrowest;
use crate::{Error, Result};

/// What a view counts: two keys, of which some views have one, and the number.
type Counts<'s> = Changing<'s, ([u32; 2], u64)>;

/// A view of recorded runs: numbers by one or two keys, epoch by epoch as they change.
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub summary: &'static str,
    /// What the keys are called.
    pub keys: &'static [&'static str],
    /// What the number is called.
    pub number: &'static str,
    /// Whether the samples of all runs have to be the same.
    compares: bool,
    /// Whether it needs the labels.
    labelled: bool,
    build: for<'a, 's> fn(&'a Streams<'s>, &'a Arc<Labels>) -> Counts<'s>,
    /// A key for people and tables, by its place.
    shown: fn(&Names, usize, u32) -> Value,
}

/// What keys stand for.
struct Names {
    runs: Vec<String>,
    labels: Arc<Labels>,
}

impl Names {
    /// The run at a place.
    fn run(&self, run: u32) -> Value {
        Value::Text(self.runs[run as usize].clone())
    }
}

/// All views.
pub const VIEWS: [View; 4] = [forgotten::VIEW, churn::VIEW, agreement::VIEW, class_mix::VIEW];

/// A number of a view after an epoch in which it changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Epoch, from 0.
    pub epoch: u32,
    /// The keys.
    pub keys: Vec<Value>,
    /// The number after the epoch.
    pub number: u64,
    /// By how much it changed.
    pub change: i64,
}

impl View {
    /// The view called `name`.
    pub fn find(name: &str) -> Option<&'static Self> {
        const ALL: &[View] = &VIEWS;
        ALL.iter().find(|view| view.name == name)
    }

    /// Shows the changes of every epoch to `see`, sorted by keys, until the runs end; all of them.
    ///
    /// # Errors
    /// If the runs cannot be viewed together, or what the view needs cannot be read or was not recorded.
    pub fn run(
        &self,
        runs: &Runs,
        see: impl Fn(u32, &[Change]) + Send + Sync + 'static,
    ) -> Result<Vec<Change>> {
        if self.compares {
            runs.comparable()?;
        }
        if self.name == agreement::VIEW.name {
            if runs.paths().len() < 2 {
                return Err(Error::usage("agreement is between runs: name two or more"));
            }
            runs.same_networks()?;
        }
        let labels = if self.labelled { runs.labels()? } else { Arc::default() };
        let paths = runs.paths();
        let names = paths.iter().map(|path| path.display().to_string()).collect();
        let names = Arc::new(Names { runs: names, labels: Arc::clone(&labels) });
        let (all, see) = (Arc::new(Mutex::new(Vec::new())), Arc::new(see));
        let (kept, build, shown, keys) = (Arc::clone(&all), self.build, self.shown, self.keys.len());
        analyse(runs, move |streams| {
            let (names, kept, see) = (Arc::clone(&names), Arc::clone(&kept), Arc::clone(&see));
            streams.each_epoch(build(streams, &labels), move |epoch, changes| {
                let named = |(key, number, change): ([u32; 2], u64, i64)| {
                    let keys = (0..keys).map(|at| shown(&names, at, key[at])).collect();
                    Change { epoch, keys, number, change }
                };
                let changes: Vec<Change> = joined(changes).into_iter().map(named).collect();
                see(epoch, &changes);
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
            });
        })?;
        Ok(std::mem::take(&mut all.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Writes changes as a Parquet file: `epoch`, the keys, the number, `change`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, changes: &[Change], path: &Path) -> Result<()> {
        let whole =
            |of: fn(&Change) -> i64| Values::Integer(changes.iter().map(|row| Some(of(row))).collect());
        let keys = self.keys.iter().enumerate().map(|(at, key)| {
            let values: Vec<_> = changes.iter().map(|row| Some(row.keys[at].clone())).collect();
            ((*key).to_owned(), narrowest(&values))
        });
        let epoch = [("epoch".to_owned(), whole(|row| row.epoch.into()))];
        let numbers = [
            (self.number.to_owned(), whole(|row| row.number as i64)),
            ("change".to_owned(), whole(|row| row.change)),
        ];
        Ok(table_file::write(path, epoch.into_iter().chain(keys).chain(numbers).collect())?)
    }
}

/// The number of every key that changed, and by how much, from what a collection takes back and what it adds.
/// A number that a collection does not have any more is 0.
fn joined(changes: Vec<(([u32; 2], u64), isize)>) -> Vec<([u32; 2], u64, i64)> {
    let mut joined: Vec<([u32; 2], u64, i64)> = Vec::new();
    for ((key, number), diff) in changes {
        if joined.last().is_none_or(|(last, ..)| *last != key) {
            joined.push((key, 0, 0));
        }
        let (_, now, change) = joined.last_mut().expect("one was pushed");
        *change += number as i64 * diff as i64;
        if diff > 0 {
            *now = number;
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_and_what_is_added_is_one_change() {
        let changes = vec![(([0, 1], 3), 1), (([0, 1], 5), -1), (([1, 0], 7), 1), (([2, 0], 4), -1)];
        assert_eq!(joined(changes), [([0, 1], 3, -2), ([1, 0], 7, 7), ([2, 0], 0, -4)]);
    }
}
