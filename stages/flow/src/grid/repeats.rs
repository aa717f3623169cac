//! Samples that have several rows in one epoch.

use std::cmp::Ordering;

use spfde_data::rows::ScoreRow;
use spfde_data::scores::Repeats;

use super::bundle::{Bundle, each_score};
use crate::sieve::Share;

/// A row: its step, its bundle and its place there.
type Place = (u64, usize, usize);

/// Visits the scores of an epoch's bundles that count, one of each sample; returns how many rows are one more
/// of their sample.
///
/// Finding out whether there are any takes a bit of each sample. Only where there are some does the choice
/// take 24 bytes of each.
pub(super) fn each_once(
    bundles: Vec<Bundle>,
    share: Share,
    repeats: Repeats,
    mut visit: impl FnMut(u32, &ScoreRow),
) -> u64 {
    let repeated = repeated(&bundles, share);
    match repeats {
        _ if repeated == 0 => each_score(bundles, share, visit),
        // Nothing of it will count.
        Repeats::Refuse => (),
        Repeats::First | Repeats::Last => {
            let chosen = chosen(&bundles, share, repeats == Repeats::Last);
            for (index, (step, bundle, row)) in
                (0..).zip(chosen).filter_map(|(index, place)| Some((index, place?)))
            {
                visit(index, &bundles[bundle].score(row, step, share));
            }
        }
    }
    repeated
}

/// How many rows are one more of their sample.
fn repeated(bundles: &[Bundle], share: Share) -> u64 {
    let mut seen = vec![0_u64; share.len().div_ceil(u64::BITS) as usize];
    let mut repeated = 0;
    for bundle in bundles {
        for row in 0..bundle.rows.len() {
            let index = bundle.index(row);
            let (word, bit) = (&mut seen[(index / u64::BITS) as usize], index % u64::BITS);
            repeated += *word >> bit & 1;
            *word |= 1 << bit;
        }
    }
    repeated
}

/// The row of each sample that counts: that of the last step, or of the first.
fn chosen(bundles: &[Bundle], share: Share, last: bool) -> Vec<Option<Place>> {
    let mut chosen: Vec<Option<Place>> = vec![None; share.len() as usize];
    for (number, bundle) in bundles.iter().enumerate() {
        let mut from = 0;
        for run in &bundle.runs {
            for row in from..run.until as usize {
                let place = (run.step, number, row);
                let known = &mut chosen[bundle.index(row) as usize];
                let counts = known.is_none_or(|known| match place.0.cmp(&known.0) {
                    Ordering::Equal => is_before(bundles, place, known),
                    order => order.is_gt() == last,
                });
                if counts {
                    *known = Some(place);
                }
            }
            from = run.until as usize;
        }
    }
    chosen
}

/// Whether a row counts before another of its step: a wrong answer does before a right one, then the greater
/// loss.
fn is_before(bundles: &[Bundle], row: Place, other: Place) -> bool {
    let content = |(_, bundle, row): Place| {
        let bundle = &bundles[bundle];
        (bundle.is_correct(row), bundle.losses.get(row).copied().unwrap_or(0.0))
    };
    let ((correct, loss), (other_correct, other_loss)) = (content(row), content(other));
    correct.cmp(&other_correct).then(other_loss.total_cmp(&loss)).is_lt()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use spfde_data::random::{Purpose, draw};
    use spfde_data::scores::ScoreColumns;

    use super::*;
    use crate::grid::bundle::Dealer;

    /// A row: step, sample, whether it was right, loss.
    type Row = (u64, u32, bool, f32);

    /// Deals parts to one worker and tells what counts, by sample; and how many rows are one more.
    fn counted(parts: &[&[Row]], repeats: Repeats) -> (BTreeMap<u32, Row>, u64) {
        let share = Share::new(10, 0, 1);
        let (mut dealer, mut bundles) = (Dealer::new(share, 1, true), Vec::new());
        for (number, part) in parts.iter().enumerate() {
            let rows = ScoreColumns {
                epochs: vec![0; part.len()],
                steps: part.iter().map(|row| row.0).collect(),
                slots: part.iter().map(|row| row.1).collect(),
                correct: part.iter().map(|row| row.2).collect(),
                losses: part.iter().map(|row| row.3).collect(),
                ..ScoreColumns::default()
            };
            dealer.deal(number, &rows, |bundle| bundles.push(bundle));
        }
        dealer.finish(|bundle| bundles.push(bundle));
        let mut found = BTreeMap::new();
        let repeated = each_once(bundles, share, repeats, |index, score| {
            let row = (u64::from(score.step), score.sample, score.correct, score.loss);
            assert!(index == score.sample && found.insert(index, row).is_none(), "one row of each sample");
        });
        (found, repeated)
    }

    #[test]
    fn one_row_of_each_sample_counts_whatever_the_order_of_parts_and_rows() {
        let draw = |row: u64, salt: u64, below: u64| draw(7, Purpose::User, salt, row) % below;
        let losses = [0.0, -0.0, -1.5, 0.5, 2.0, f32::NAN];
        let row = |row| {
            (draw(row, 1, 4), draw(row, 2, 10) as u32, draw(row, 3, 2) == 1, losses[draw(row, 4, 6) as usize])
        };
        let rows: Vec<Row> = (0..90).map(row).collect();
        let mut backwards = rows.clone();
        backwards.reverse();
        for (repeats, last) in [(Repeats::First, false), (Repeats::Last, true)] {
            // By the rule as it is told: the step, then a wrong answer, then the greater loss.
            let before = |a: &Row, b: &Row| {
                let step = if last { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) };
                step.then(a.2.cmp(&b.2)).then(b.3.total_cmp(&a.3))
            };
            let mut sorted = rows.clone();
            sorted.sort_by(before);
            let expected = sorted.into_iter().rev().map(|row| (row.1, row)).collect();
            for parts in
                [&[&rows[..]][..], &[&rows[..40], &rows[40..]], &[&rows[40..], &rows[..40]], &[&backwards]]
            {
                let (found, repeated) = counted(parts, repeats);
                // As bits: one of the losses is no number.
                let bits = |rows: BTreeMap<u32, Row>| format!("{rows:?}");
                let expected: BTreeMap<u32, Row> = Clone::clone(&expected);
                assert_eq!((bits(found), repeated), (bits(expected), 80));
            }
        }
        assert_eq!(counted(&[&rows], Repeats::Refuse), (BTreeMap::new(), 80));
    }

    #[test]
    fn rows_without_repeats_all_count() {
        let rows: Vec<Row> = (0..10).map(|row| (row % 3, 9 - row as u32, row % 2 == 0, 0.5)).collect();
        for repeats in [Repeats::Refuse, Repeats::First, Repeats::Last] {
            let (found, repeated) = counted(&[&rows[..5], &rows[5..]], repeats);
            assert_eq!((found.into_values().rev().collect::<Vec<_>>(), repeated), (rows.clone(), 0));
        }
    }
}
