//! What the two periodic schedules share: blocks in front train every fourth epoch, those behind them every
//! second, the rest always.

use spfde_data::ParameterError;

use super::planned::Search;
use super::{FreezeContext, FreezePlan};
use crate::{Costs, Spans};

/// Every how many epochs the blocks in front train, and those behind them.
const EVERY: [u32; 2] = [4, 2];

/// The plan that saves the least share at or above `asked`, none if that is 0. Periods are counted from epoch
/// `delay`, before which all blocks train.
///
/// There is at least one block of each kind. Of pairs that save the same the one with more blocks in front
/// counts.
pub(super) fn plan(
    run: &FreezeContext,
    costs: &Costs<'_>,
    asked: f64,
    delay: u32,
    advice: &str,
) -> Result<FreezePlan, ParameterError> {
    let search = Search::new(costs, asked);
    let (blocks, epochs) = (search.blocks(), search.epochs());
    if asked == 0.0 {
        return Ok(FreezePlan::empty(blocks));
    }
    let [front, middle] = EVERY.map(|every| resting(delay, epochs, every));
    let at = |fronts: usize, middles: usize| {
        let counts = [(&front, fronts), (&middle, middles), (Spans::NONE, blocks - fronts - middles)];
        let of = |(spans, count): (&Spans, usize)| vec![spans.clone(); count];
        counts.into_iter().flat_map(of).collect::<Vec<Spans>>()
    };
    // Of so many blocks in front, more behind them save more.
    let least = |fronts: usize| {
        let (mut low, mut high) = (1, blocks - 1 - fronts);
        if !search.is_enough(&at(fronts, high)) {
            return None;
        }
        while low < high {
            let between = (low + high) / 2;
            match search.is_enough(&at(fronts, between)) {
                true => high = between,
                false => low = between + 1,
            }
        }
        let plan = at(fronts, low);
        Some((search.saved(&plan), plan))
    };
    let found = (1..blocks.saturating_sub(1)).rev().filter_map(least);
    let found = found.reduce(|best, next| if next.0 < best.0 { next } else { best });
    let greatest = match blocks {
        0..3 => FreezePlan::empty(blocks).frozen,
        _ => at(blocks - 2, 1),
    };
    search.answer(run, found.map(|(_, plan)| plan), &greatest, advice)
}

/// Frozen from `delay` on but for every so many epochs, counted from there.
fn resting(delay: u32, epochs: u32, every: u32) -> Spans {
    let mut spans = Spans::never();
    for turn in (delay..epochs).step_by(every as usize).take_while(|turn| turn + 1 < epochs) {
        if spans.is_frozen(turn) {
            spans.thaw(turn);
        }
        spans.freeze(turn + 1);
    }
    // The last turn is the last epoch: nothing is left to freeze for.
    let last = epochs.saturating_sub(1);
    if last >= delay && (last - delay).is_multiple_of(every) && spans.is_frozen(last) {
        spans.thaw(last);
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::resting;

    #[test]
    fn blocks_rest_between_their_turns() {
        let trains = |delay: u32, epochs: u32, every: u32| {
            let spans = resting(delay, epochs, every);
            (0..epochs).filter(|epoch| !spans.is_frozen(*epoch)).collect::<Vec<u32>>()
        };
        for epochs in 1..14_u32 {
            for (delay, every) in [(0, 4), (0, 2), (3, 4), (5, 2), (20, 4)] {
                let expected = (0..epochs).filter(|e| *e < delay || (*e - delay).is_multiple_of(every));
                assert_eq!(trains(delay, epochs, every), expected.collect::<Vec<_>>(), "{delay} {epochs}");
            }
        }
    }
}
