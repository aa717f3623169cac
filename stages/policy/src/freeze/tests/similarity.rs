//! Rules that judge by the stream `similarity`: by hand, and against literal references over random records.

use std::collections::BTreeMap;

use proptest::prelude::*;
use spfde_data::rows::SimilarityRow;

use super::plan_of;
use crate::freeze::{self, Change, Cka, Egeria, FreezeContext, FreezeRule, FreezeState};
use crate::{Plan, example};

/// Blocks of three, two, three and two layers, and a classifier: the shortcut is the last layer of the third.
const BLOCK_OF: [usize; 11] = [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4];
const BLOCKS: usize = 4;
const EPOCHS: u32 = 12;

/// CKA and plasticity of each layer.
type Shown = Vec<(f64, f64)>;

/// Eleven epochs.
fn records() -> impl Strategy<Value = Vec<Shown>> {
    let shown = prop::collection::vec((0.0..=1.0, 0.0..1.0), BLOCK_OF.len());
    prop::collection::vec(shown, EPOCHS as usize - 1)
}

fn start(rule: impl FreezeRule, interval: u32) -> (Plan, Box<dyn FreezeState>) {
    let architecture = example::residual(&[4, 8], 2, 8);
    assert!(architecture.layers.iter().map(|layer| layer.block).eq(BLOCK_OF));
    let build = |context: &freeze::FreezeContext| freeze::policy(rule, context).unwrap();
    let (plan, policy) = plan_of(architecture, "dense", interval, build);
    assert!(policy.reads_similarity() && !policy.reads_layers());
    let state = policy.start(&plan);
    (plan, state)
}

/// Shows an epoch, also of layers that are frozen, which have not changed; the decision.
fn show(state: &mut dyn FreezeState, epoch: u32, interval: u32, shown: &[(f64, f64)]) -> Vec<Change> {
    // The first rows come after the first window.
    if let Some(before) = (epoch / interval * interval).checked_sub(1) {
        for (layer, (measure, plasticity)) in (0..).zip(shown) {
            let block = BLOCK_OF[usize::from(layer)];
            let rests = state.frozen().get(block).is_some_and(|spans| spans.is_frozen(epoch));
            let (measure, plasticity) = if rests { (1.0, 0.0) } else { (*measure, *plasticity) };
            let row = SimilarityRow { epoch, layer, measure, reference_epoch: before, plasticity };
            state.observe_similarity(&row);
        }
    }
    state.decide(epoch + 1)
}

/// By epoch and block the measure and the threshold that were compared.
type Evidence = BTreeMap<(u32, usize), (f64, f64)>;

/// How many blocks are frozen after each decision, and what was judged. Every state that is saved and
/// restored on the way goes on alike.
fn run(rule: impl FreezeRule + Clone, interval: u32, record: &[Shown]) -> (Vec<usize>, Evidence) {
    let (plan, mut state) = start(rule.clone(), interval);
    let (mut counts, mut judged) = (Vec::new(), BTreeMap::new());
    for (epoch, shown) in (0..).zip(record) {
        let (_, mut restored) = start(rule.clone(), interval);
        restored.restore(state.frozen().to_vec(), &state.save(epoch)).unwrap();
        let changes = show(&mut *state, epoch, interval, shown);
        assert_eq!(show(&mut *restored, epoch, interval, shown), changes, "restored at {epoch}");
        assert_eq!(restored.save(epoch + 1), state.save(epoch + 1), "restored at {epoch}");
        assert!(changes.is_empty() || (epoch + 1).is_multiple_of(interval), "at the end of windows only");
        for row in state.evidence() {
            assert_eq!((row.epoch, row.window), (epoch, (epoch + 1) / interval - 1));
            assert!((0.0..=1.0).contains(&row.budget_left), "{row:?}");
            let of = (row.measure, row.threshold);
            assert!(judged.insert((epoch, usize::from(row.block)), of).is_none(), "{row:?}");
        }
        let frozen = crate::cost::frozen_blocks(state.frozen(), epoch + 1);
        assert_eq!(frozen.count(), frozen.prefix(), "frozen blocks are a prefix");
        counts.push(frozen.prefix());
    }
    assert_eq!(plan.frozen.len(), BLOCKS);
    (counts, judged)
}

/// What a block's layers have, put together.
fn of_block(
    shown: &[(f64, f64)],
    block: usize,
    of: fn(&(f64, f64)) -> f64,
    join: fn(f64, f64) -> f64,
) -> f64 {
    let own = BLOCK_OF.iter().zip(shown).filter(|(other, _)| **other == block);
    own.map(|(_, shown)| of(shown)).reduce(join).unwrap()
}

/// The learning rate at the start of an epoch: a cosine over the run.
fn rate(epoch: u32) -> f64 {
    0.5 * (1.0 + (std::f64::consts::PI * f64::from(epoch) / f64::from(EPOCHS)).cos())
}

/// The slope of a line through equally spaced values, by the normal equations.
fn slope(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let (mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0);
    for (place, value) in values.iter().enumerate() {
        let place = place as f64;
        (x, y, xx, xy) = (x + place, y + value, xx + place * place, xy + place * value);
    }
    (n * xy - x * y) / (n * xx - x * x)
}

/// What Egeria keeps of a block.
#[derive(Clone, Default)]
struct Evaluated {
    plasticity: Vec<f64>,
    averages: Vec<f64>,
    steepest: f64,
    small: u32,
    window: usize,
    frozen_at: u32,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cka_freezes_a_prefix_of_blocks_that_were_alike_in_the_last_windows(
        record in records(), interval in 1..4_u32, similarity in 0.0..0.6, patience in 1..4_u32,
    ) {
        let (counts, judged) = run(Cka { similarity, patience }, interval, &record);
        // The least CKA of each block in each window that can be compared.
        let windows: Vec<Vec<f64>> = (2..)
            .map(|window| window * interval as usize - 1)
            .take_while(|last| *last < record.len())
            .map(|last| &record[last])
            .map(|shown| (0..BLOCKS).map(|block| of_block(shown, block, |of| of.0, f64::min)).collect())
            .collect();
        let mut frozen = 0;
        for epoch in 0..record.len() as u32 {
            let compared = ((epoch + 1) / interval).saturating_sub(1) as usize;
            if (epoch + 1).is_multiple_of(interval) && compared > 0 {
                for block in frozen..BLOCKS {
                    prop_assert_eq!(judged[&(epoch, block)], (windows[compared - 1][block], similarity));
                }
                let alike = |block: usize| {
                    let last = windows[..compared].iter().rev().take(patience as usize);
                    compared >= patience as usize && last.into_iter().all(|of| of[block] >= similarity)
                };
                while frozen < BLOCKS && alike(frozen) {
                    frozen += 1;
                }
            }
            prop_assert_eq!(counts[epoch as usize], frozen, "after epoch {}", epoch);
        }
    }

    #[test]
    fn egeria_is_its_four_steps_and_thaws_when_the_rate_has_fallen(
        record in records(), interval in 1..4_u32, window in 1..4_u32, tolerance in 0.1..0.9,
        thaw_rate in prop_oneof![Just(0.0), Just(0.1), Just(0.7)],
    ) {
        let (counts, judged) = run(Egeria { window, tolerance, thaw_rate }, interval, &record);
        let fresh = Evaluated { window: window as usize, ..Evaluated::default() };
        let mut blocks = vec![fresh; BLOCKS];
        let mut frozen = 0;
        for (epoch, shown) in (0_u32..).zip(&record) {
            let at = epoch + 1;
            if at.is_multiple_of(interval) && at > interval {
                for (number, block) in blocks.iter_mut().enumerate().skip(frozen) {
                    block.plasticity.push(of_block(shown, number, |of| of.1, f64::max));
                    let last: Vec<f64> = block.plasticity.iter().rev().take(block.window).copied().collect();
                    block.averages.push(last.iter().sum::<f64>() / last.len() as f64);
                    let fitted = block.window.max(2);
                    if block.averages.len() < fitted {
                        prop_assert!(!judged.contains_key(&(epoch, number)));
                        continue;
                    }
                    let found = slope(&block.averages[block.averages.len() - fitted..]).abs();
                    block.steepest = block.steepest.max(found);
                    let limit = tolerance * block.steepest;
                    let (measure, threshold) = judged[&(epoch, number)];
                    prop_assert!((measure - found).abs() < 1e-12 && (threshold - limit).abs() < 1e-12);
                    block.small = if found <= limit { block.small + 1 } else { 0 };
                }
                let fallen = |block: &Evaluated| rate(at) / rate(block.frozen_at);
                for (number, block) in blocks[..frozen].iter().enumerate().filter(|_| thaw_rate > 0.0) {
                    let (measure, threshold) = judged[&(epoch, number)];
                    prop_assert!((measure - fallen(block)).abs() < 1e-12 && threshold == thaw_rate);
                }
                if let Some(first) = (0..frozen).find(|block| fallen(&blocks[*block]) <= thaw_rate) {
                    for block in &mut blocks[first..frozen] {
                        let (steepest, window) = (block.steepest, (block.window / 2).max(1));
                        *block = Evaluated { steepest, window, ..Evaluated::default() };
                    }
                    frozen = first;
                } else {
                    while frozen < BLOCKS && blocks[frozen].small as usize >= blocks[frozen].window {
                        blocks[frozen].frozen_at = at;
                        frozen += 1;
                    }
                }
            }
            prop_assert_eq!(counts[epoch as usize], frozen, "after epoch {}", epoch);
        }
    }
}

/// A record in which all layers of a block show the same in an epoch.
fn same(blocks: [[f64; 11]; BLOCKS], shown: fn(f64) -> (f64, f64)) -> Vec<Shown> {
    let of = |epoch: usize, block: usize| blocks.get(block).map_or(0.0, |block| block[epoch]);
    (0..11).map(|epoch| BLOCK_OF.map(|block| shown(of(epoch, block))).to_vec()).collect()
}

#[test]
fn cka_by_hand_waits_for_the_least_alike_layer_and_for_the_blocks_in_front() {
    let mut record = same([[0.995; 11]; BLOCKS], |cka| (cka, 0.0));
    // One layer of the third block, which is not its last, is alike from epoch 6 on only.
    (0..6).for_each(|epoch| record[epoch][5].0 = 0.9);
    // Compared from epoch 1 on: two windows in a row by the end of epoch 2; of the third block of epoch 7.
    assert_eq!(run(Cka::default(), 1, &record).0, [0, 0, 2, 2, 2, 2, 2, 4, 4, 4, 4]);
    // By windows of two epochs: those that end with epochs 3 and 5; of the third block 7 and 9.
    assert_eq!(run(Cka::default(), 2, &record).0, [0, 0, 0, 0, 0, 2, 2, 2, 2, 4, 4]);
    // What is not alike begins anew.
    record[2][0].0 = 0.98;
    assert_eq!(run(Cka::default(), 1, &record).0[..6], [0, 0, 0, 0, 2, 2]);
    let row = |measure| SimilarityRow { epoch: 1, layer: 0, measure, reference_epoch: 0, plasticity: 0.0 };
    for measure in [f64::NAN, f64::INFINITY] {
        let (_, mut state) = start(Cka { similarity: 0.5, patience: 1 }, 1);
        state.observe_similarity(&row(measure));
        assert!(state.decide(2).is_empty(), "{measure}");
    }
}

#[test]
fn nothing_freezes_before_the_earliest_epoch_and_something_may_at_it() {
    let alike = same([[1.0; 11]; BLOCKS], |cka| (cka, 0.0));
    // At once, and with averages of two: what is level from the second slope on.
    let level = [8.0, 8.0, 8.0, 8.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0];
    let of_one = same([level; BLOCKS], |plasticity| (0.0, plasticity));
    let sways: [f64; 11] = std::array::from_fn(|epoch| if epoch % 2 == 0 { 1.0 } else { 9.0 });
    let of_two = same([sways; BLOCKS], |plasticity| (0.0, plasticity));
    let earliest = |rule: &dyn Fn(&FreezeContext) -> u32, interval| {
        let context = FreezeContext::new(EPOCHS, example::residual(&[4, 8], 2, 8));
        rule(&FreezeContext { mask_interval: interval, ..context })
    };
    let first = |counts: Vec<usize>| counts.iter().position(|count| *count > 0).unwrap() as u32 + 1;
    for (patience, interval) in [(1, 1), (1, 3), (2, 2), (3, 1)] {
        let rule = Cka { patience, ..Cka::default() };
        let found = first(run(rule.clone(), interval, &alike).0);
        assert_eq!(earliest(&|run| rule.earliest(run), interval), found, "{patience}, {interval}");
    }
    for (window, interval, record) in [(1, 2, of_one), (2, 1, of_two)] {
        let rule = Egeria { window, thaw_rate: 0.0, ..Egeria::default() };
        let found = first(run(rule.clone(), interval, &record).0);
        assert_eq!(earliest(&|run| rule.earliest(run), interval), found, "{window}, {interval}");
    }
}

#[test]
fn egeria_by_hand_freezes_where_plasticity_levels_off() {
    // Averages of two: 8, 7, 5, 3.5, 3, 3, 3. Differences 1, 2, 1.5, 0.5, 0, 0; small up to 0.2 times 2.
    let falls = [0.0, 8.0, 6.0, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0];
    let record = same([falls; BLOCKS], |plasticity| (0.0, plasticity));
    let rule = Egeria { thaw_rate: 0.0, ..Egeria::default() };
    let (counts, judged) = run(rule.clone(), 1, &record);
    assert_eq!(counts, [0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4]);
    let found: Vec<f64> = (2..8).map(|epoch| judged[&(epoch, 0)].0).collect();
    assert_eq!(found, [1.0, 2.0, 1.5, 0.5, 0.0, 0.0]);
    assert_eq!(judged[&(2, 0)].1, 0.2);
    assert_eq!(judged[&(7, 3)].1, 0.4);
    // The first block still falls: all others wait.
    let steady: [f64; 11] = std::array::from_fn(|epoch| 20.0 - epoch as f64);
    let record = same([steady, falls, falls, falls], |plasticity| (0.0, plasticity));
    assert_eq!(run(rule.clone(), 1, &record).0, [0; 11]);
    // What does not move at all has settled.
    let record = same([[0.0; 11]; BLOCKS], |plasticity| (0.0, plasticity));
    assert_eq!(run(rule.clone(), 1, &record).0[..5], [0, 0, 0, 4, 4]);
    let (_, mut state) = start(Egeria { tolerance: 1.0, window: 1, ..rule }, 1);
    for epoch in 1..6 {
        for layer in 0..3 {
            let (measure, reference_epoch) = (0.0, epoch - 1);
            let plasticity = if layer == 1 { f64::NAN } else { 0.5 };
            let row = SimilarityRow { epoch, layer, measure, reference_epoch, plasticity };
            state.observe_similarity(&row);
        }
        assert!(state.decide(epoch + 1).is_empty(), "NaN settles nothing");
    }
}

#[test]
fn egeria_by_hand_thaws_with_half_of_its_window() {
    // Level all the time: two evaluations make a line, the second line in a row freezes all at epoch 4.
    let record = same([[1.0; 11]; BLOCKS], |plasticity| (0.0, plasticity));
    let (counts, judged) = run(Egeria { thaw_rate: 0.3, ..Egeria::default() }, 1, &record);
    // Of the rate of epoch 4, which is 0.75, epoch 8 has a third: epoch 9 is the first with less than 0.3.
    // Then a single line freezes, which takes two evaluations.
    assert_eq!(counts, [0, 0, 0, 4, 4, 4, 4, 4, 0, 0, 4]);
    assert!((judged[&(8, 0)].0 - rate(9) / rate(4)).abs() < 1e-12);
    assert!(rate(8) / rate(4) > 0.3 && rate(9) / rate(4) < 0.3);
}
