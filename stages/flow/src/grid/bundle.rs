//! Presentations on their way from the workers that read them to the owners of their samples.
//!
//! A worker keeps all presentations of an epoch until the last of its parts has been read. An earlier step
//! may stand in a later part. So what a row takes here is what a record costs while its epoch is gathered. A
//! row takes four bytes: eight with its loss, thirteen with the norm of its error and whether it was trained
//! on, too. Each step that its owner has rows of takes sixteen bytes, and 24 more while the steps are put in
//! order. There may be one step for every row. An owner's first row of an epoch takes some 400 bytes more.
//! Nothing else grows with the rows or the epochs: however often the epoch changes from row to row, an
//! epoch's presentations share their bundle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spfde_data::rows::ScoreRow;
use spfde_data::scores::ScoreColumns;

use crate::sieve::Share;

/// Rows of a bundle at most.
const FULL: usize = 1 << 16;

/// Presentations of one worker's samples in one epoch, in the order in which their reader read them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Bundle {
    pub(super) epoch: u32,
    /// The worker that owns the samples.
    pub(super) owner: u32,
    /// Its place among those that its reader hands out.
    pub(super) number: u64,
    /// Twice the sample's index among those of its owner, plus one if it was right.
    pub(super) rows: Vec<u32>,
    /// Losses of the rows, if a policy looks at them.
    pub(super) losses: Vec<f32>,
    /// The same of the norms of their errors, if they are known.
    pub(super) error_norms: Vec<f32>,
    /// Whether each took part in the update, if some did not.
    pub(super) trained: Vec<bool>,
    pub(super) runs: Vec<Run>,
}

/// Neighbouring rows of one step, from one part.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) step: u64,
    pub(super) part: u32,
    /// Rows of the bundle up to the last of these.
    pub(super) until: u32,
}

impl Bundle {
    /// The index of a row's sample among those of its owner.
    pub(super) fn index(&self, row: usize) -> u32 {
        self.rows[row] >> 1
    }

    /// Whether the sample of a row was right.
    pub(super) fn is_correct(&self, row: usize) -> bool {
        self.rows[row] & 1 == 1
    }

    /// The score in a row, of this step.
    pub(super) fn score(&self, row: usize, step: u64, share: Share) -> ScoreRow {
        ScoreRow {
            epoch: self.epoch,
            step: u32::try_from(step).unwrap_or(u32::MAX),
            sample: share.sample(self.index(row)),
            loss: self.losses.get(row).copied().unwrap_or(f32::NAN),
            correct: self.is_correct(row),
            error_norm: self.error_norms.get(row).copied().unwrap_or(f32::NAN),
            trained: self.trained.get(row).copied().unwrap_or(true),
        }
    }

    /// Gives back what it has reserved and does not need.
    fn shrink(&mut self) {
        self.rows.shrink_to_fit();
        self.losses.shrink_to_fit();
        self.error_norms.shrink_to_fit();
        self.trained.shrink_to_fit();
        self.runs.shrink_to_fit();
    }
}

/// Deals rows to the owners of their samples.
pub(super) struct Dealer {
    share: Share,
    losses: bool,
    /// Bundles that were handed out.
    number: u64,
    /// What is in hand of each owner, of the epoch of its last row.
    own: Vec<Bundle>,
    /// What is in hand of other epochs, by epoch and owner. An owner without a row of an epoch has none:
    /// there may be very many of both.
    others: BTreeMap<(u32, usize), Bundle>,
}

impl Dealer {
    /// Has nothing in hand. `losses`: whether a policy looks at more than whether a sample was right.
    pub(super) fn new(share: Share, workers: usize, losses: bool) -> Self {
        Self { share, losses, number: 0, own: vec![Bundle::default(); workers], others: BTreeMap::new() }
    }

    /// Takes rows of a part, and hands out what is full.
    pub(super) fn deal(&mut self, part: usize, rows: &ScoreColumns, mut take: impl FnMut(Bundle)) {
        let part = u32::try_from(part).expect("a record has fewer parts");
        for at in 0..rows.slots.len() {
            let (epoch, sample) = (rows.epochs[at], rows.slots[at]);
            let (owner, index) = (self.share.owner(sample) as usize, self.share.index(sample));
            if self.own[owner].epoch != epoch {
                let turned = self.others.remove(&(epoch, owner));
                self.put_back(owner, turned.unwrap_or(Bundle { epoch, ..Bundle::default() }));
            }
            let bundle = &mut self.own[owner];
            bundle.rows.push(index << 1 | u32::from(rows.correct[at]));
            if self.losses {
                bundle.losses.push(rows.losses[at]);
                bundle.error_norms.extend(rows.error_norms.get(at));
                bundle.trained.extend(rows.trained.get(at));
            }
            let (step, until) = (rows.steps[at], bundle.rows.len() as u32);
            match bundle.runs.last_mut() {
                Some(run) if (run.step, run.part) == (step, part) => run.until = until,
                _ => bundle.runs.push(Run { step, part, until }),
            }
            if bundle.rows.len() == FULL {
                let full = std::mem::replace(bundle, Bundle { epoch, ..Bundle::default() });
                take(self.numbered(owner, full));
            }
        }
    }

    /// Puts what is in hand of an owner to what is in hand of other epochs; `next` takes its place.
    fn put_back(&mut self, owner: usize, next: Bundle) {
        let own = std::mem::replace(&mut self.own[owner], next);
        if !own.rows.is_empty() {
            self.others.insert((own.epoch, owner), own);
        }
    }

    fn numbered(&mut self, owner: usize, bundle: Bundle) -> Bundle {
        self.number += 1;
        Bundle { owner: owner as u32, number: self.number, ..bundle }
    }

    /// Hands out the rest, epoch by epoch.
    pub(super) fn finish(&mut self, mut take: impl FnMut(Bundle)) {
        (0..self.own.len()).for_each(|owner| self.put_back(owner, Bundle::default()));
        for ((_, owner), mut bundle) in std::mem::take(&mut self.others) {
            // There may be very many that are very small.
            bundle.shrink();
            take(self.numbered(owner, bundle));
        }
    }
}

/// Visits the scores of an epoch's bundles in the order in which they count, by step, then by part, then as
/// they were read; each with its sample's index in `share`.
pub(super) fn each_score(mut bundles: Vec<Bundle>, share: Share, mut visit: impl FnMut(u32, &ScoreRow)) {
    // A part has one reader.
    bundles.sort_by_key(|bundle| bundle.number);
    let mut runs = Vec::with_capacity(bundles.iter().map(|bundle| bundle.runs.len()).sum());
    for (number, bundle) in bundles.iter().enumerate() {
        let places = bundle.runs.iter().enumerate();
        runs.extend(places.map(|(place, run)| (run.step, run.part, number as u32, place as u32)));
    }
    if !runs.is_sorted() {
        runs.sort_unstable();
    }
    for (step, _, number, run) in runs {
        let (bundle, run) = (&bundles[number as usize], run as usize);
        let from = run.checked_sub(1).map_or(0, |before| bundle.runs[before].until);
        let until = bundle.runs[run].until;
        for row in from as usize..until as usize {
            visit(bundle.index(row), &bundle.score(row, step, share));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows whose epoch, step and sample are drawn by a small multiplication, of a part.
    fn part(part: u64, rows: u64, epochs: u64) -> ScoreColumns {
        let draw = |row: u64, salt: u64| {
            (part * 1_000_003 + row * 7 + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
        };
        ScoreColumns {
            epochs: (0..rows).map(|row| (draw(row, 1) % epochs) as u32).collect(),
            steps: (0..rows).map(|row| draw(row, 2) % 50).collect(),
            slots: (0..rows).map(|row| (draw(row, 3) % 10) as u32).collect(),
            correct: (0..rows).map(|row| draw(row, 4) & 1 == 1).collect(),
            ..ScoreColumns::default()
        }
    }

    #[test]
    fn rows_come_out_in_order_whoever_read_them() {
        let parts: Vec<ScoreColumns> = (0..6).map(|number| part(number, 1 << 16, 3)).collect();
        for (readers, owners) in [(1, 1), (2, 2), (3, 4)] {
            let share = |worker| Share::new(10, worker, owners);
            let mut found = Vec::new();
            for reader in 0..readers {
                let mut dealer = Dealer::new(share(0), owners, false);
                for (number, rows) in
                    parts.iter().enumerate().filter(|(number, _)| number % readers == reader)
                {
                    dealer.deal(number, rows, |bundle| found.push(bundle));
                }
                dealer.finish(|bundle| found.push(bundle));
            }
            for owner in 0..owners {
                for epoch in 0..3 {
                    let own = |bundle: &&Bundle| (bundle.owner, bundle.epoch) == (owner as u32, epoch);
                    let mut bundles: Vec<Bundle> = found.iter().filter(own).cloned().collect();
                    let mut rows = Vec::new();
                    each_score(std::mem::take(&mut bundles), share(owner), |index, score| {
                        assert_eq!((score.epoch, score.sample), (epoch, share(owner).sample(index)));
                        rows.push((u64::from(score.step), index << 1 | u32::from(score.correct)));
                    });
                    let mut expected = Vec::new();
                    for rows in &parts {
                        for at in (0..rows.slots.len()).filter(|at| rows.epochs[*at] == epoch) {
                            let sample = rows.slots[at];
                            let (of, index) = (share(0).owner(sample) as usize, share(0).index(sample));
                            let row = (rows.steps[at], index << 1 | u32::from(rows.correct[at]));
                            expected.extend((of == owner).then_some(row));
                        }
                    }
                    expected.sort_by_key(|row| row.0);
                    assert!(rows == expected, "{readers} readers, owner {owner} of {owners}, epoch {epoch}");
                }
            }
        }
    }

    #[test]
    fn epochs_that_change_with_every_row_share_their_bundles() {
        let mut dealer = Dealer::new(Share::new(1, 0, 4), 4, false);
        let rows = ScoreColumns {
            epochs: (0..1000).map(|row| row % 2).collect(),
            steps: vec![7; 1000],
            slots: vec![0; 1000],
            correct: vec![true; 1000],
            ..ScoreColumns::default()
        };
        dealer.deal(0, &rows, |_| panic!("none is full"));
        dealer.deal(1, &rows, |_| panic!("none is full"));
        let mut found = Vec::new();
        dealer.finish(|bundle| found.push(bundle));
        let left = dealer.own.iter().filter(|bundle| bundle.rows.capacity() > 0).count();
        assert_eq!((dealer.others.len(), left), (0, 0), "owners without rows have nothing");
        let sizes: Vec<_> = found.iter().map(|bundle| (bundle.rows.len(), bundle.runs.len())).collect();
        assert_eq!(sizes, [(1000, 2); 2]);
    }
}
