//! What happened to samples: their flow through the sieve, and how often they were forgotten.

use std::collections::BTreeMap;

use spfde_data::{ScoreRow, SieveRow, counted};

use super::bars::{lying, opposed};
use super::figure::{Figure, Table};
use super::subject::Subject;
use crate::Result;

/// What the trace tells of samples.
#[derive(Default)]
pub(super) struct Samples {
    /// By number.
    pub(super) all: BTreeMap<u32, Sample>,
    /// Samples that enter and leave, by the last epoch of each group, without those at the start.
    flow: BTreeMap<u32, (u64, u64)>,
}

/// What the trace tells of a sample.
#[derive(Default)]
pub(super) struct Sample {
    /// How often it was scored.
    pub(super) scored: u64,
    /// How often it was wrong then.
    pub(super) wrong: u64,
    /// The sum of its losses.
    pub(super) loss: f64,
    /// How often it was right, and wrong the next time.
    forgotten: u64,
    was_right: bool,
    /// How often it entered the active set after the start.
    pub(super) entering: u64,
    /// How often it left it.
    pub(super) leaving: u64,
}

impl Samples {
    /// Reads scores and sieves.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn read(subject: &Subject) -> Result<Self> {
        let mut own = Self::default();
        subject.visit::<ScoreRow>(|row| {
            let sample = own.all.entry(row.sample).or_default();
            sample.scored += 1;
            sample.wrong += u64::from(!row.correct);
            sample.loss += f64::from(row.loss);
            sample.forgotten += u64::from(sample.was_right && !row.correct);
            sample.was_right = row.correct;
        })?;
        // Two rows about a sample in one epoch change its weight only.
        let (mut changes, mut of) = (BTreeMap::new(), 0);
        subject.visit::<SieveRow>(|row| {
            if row.epoch != of {
                own.change(subject.epochs.last(of), std::mem::take(&mut changes));
                of = row.epoch;
            }
            if row.epoch > 0 {
                *changes.entry(row.sample).or_insert(0) += i32::from(row.diff);
            }
        })?;
        own.change(subject.epochs.last(of), changes);
        Ok(own)
    }

    /// Counts the changes of an epoch, shown as the epoch `last`.
    fn change(&mut self, last: u32, changes: BTreeMap<u32, i32>) {
        for (sample, diff) in changes.into_iter().filter(|(_, diff)| *diff != 0) {
            let flow = self.flow.entry(last).or_default();
            let own = self.all.entry(sample).or_default();
            match diff > 0 {
                true => (flow.0 += 1, own.entering += 1),
                false => (flow.1 += 1, own.leaving += 1),
            };
        }
    }

    /// The flow of samples through the sieve.
    pub(super) fn flow(&self, subject: &Subject) -> Figure {
        let rows = subject.shown().map(|row| {
            let (entering, leaving) = self.flow.get(&row.epoch).copied().unwrap_or_default();
            let [epoch, active] = [row.epoch + 1, row.active_samples].map(u64::from);
            [epoch, entering, leaving, active].map(|number| number.to_string()).into()
        });
        let query = subject.query(include_str!("query/flow.sql"), &[]);
        let table = Table::new("", &["epoch", "entering", "leaving", "active"], rows.collect(), query);
        let told = [
            "Samples that enter and leave training",
            "Samples that the sieve takes in (above) and out (below) in each epoch, without the active set \
             of the start; the table has the samples that train, too.",
            "The active set is the same in all epochs so far.",
        ];
        opposed(subject.epochs, &self.flow, told, ["enter", "leave"], "samples", table)
    }

    /// How often samples were forgotten.
    pub(super) fn forgetting(&self, subject: &Subject) -> Figure {
        const TITLE: &str = "How often samples were forgotten";
        // Those that were never right last.
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for sample in self.all.values().filter(|sample| sample.scored > 0) {
            let times = if sample.wrong < sample.scored { sample.forgotten.min(MOST) } else { u64::MAX };
            *counts.entry(times).or_default() += 1;
        }
        if counts.is_empty() {
            return Figure::absent(TITLE, "Not recorded: a replay scores no samples; its source has scores.");
        }
        let (mut bars, mut rows) = (Vec::new(), Vec::new());
        for (times, count) in counts {
            let (name, cell) = match times {
                u64::MAX => ("never right".to_owned(), "–".to_owned()),
                MOST => (format!("{MOST} times or more"), MOST.to_string()),
                _ => (counted(times, "time"), times.to_string()),
            };
            bars.push((name, count as f64, count.to_string()));
            rows.push(vec![cell, count.to_string()]);
        }
        let query = subject.query(include_str!("query/forgetting.sql"), &[("most", &MOST.to_string())]);
        Figure {
            title: TITLE,
            caption: "Samples by the number of times that the network had them right and at their next \
                      presentation wrong. Those that it never had right are counted by themselves (no number \
                      in the table)."
                .to_owned(),
            drawings: vec![lying(&bars)],
            tables: vec![Table::new("", &["forgotten", "samples"], rows, query)],
            ..Figure::default()
        }
    }
}

/// From how many times on samples are counted together.
const MOST: u64 = 40;
