//! `grades` against a literal reference over random records, and by hand.

use proptest::prelude::*;
use spfde_data::FrozenBlocks;
use spfde_data::rows::GradientRow;

use super::norms::{BLOCKS, STEPS, Shown, records, run_anywhere};
use super::plan_of;
use crate::example;
use crate::freeze::{self, Change, Grades, Measure};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn grades_stops_layers_for_good_after_its_grace_period(
        record in records(), threshold in 0.001..0.02, grace_period in 0.0..0.9, which in 0..3_usize,
    ) {
        let name = [Measure::Gradient, Measure::Change, Measure::WeightChange];
        let measure = || name[which];
        let rule = Grades { measure: measure(), threshold, grace_period, interval: 1, anywhere: true };
        let (frozen, judged) = run_anywhere(rule, &record);
        let mut stopped = [false; BLOCKS];
        let mut previous = [None::<f64>; BLOCKS];
        for (epoch, shown) in record.iter().enumerate() {
            let judges = epoch as f64 + 1.0 >= grace_period * 12.0;
            for block in 0..BLOCKS {
                let evidence = judged.get(&(epoch as u32, block as u16));
                if stopped[block] {
                    prop_assert_eq!(evidence, None, "a frozen block is not judged");
                    continue;
                }
                let norms: Vec<f64> = shown[block].l1.iter().map(|l1| f64::from(*l1)).collect();
                let before = previous[block].into_iter().chain(norms.iter().copied());
                let steps: Vec<f64> = match measure() {
                    Measure::Gradient => norms.clone(),
                    Measure::WeightChange => vec![shown[block].change],
                    Measure::Change => {
                        let all: Vec<f64> = before.collect();
                        all.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect()
                    }
                };
                previous[block] = norms.last().copied();
                let mean = steps.iter().map(|step| step / 36.0).sum::<f64>() / steps.len() as f64;
                prop_assert_eq!(evidence.is_some(), judges);
                prop_assert!(evidence.is_none_or(|found| (found.0 - mean).abs() < 1e-12));
                stopped[block] = judges && mean < threshold;
            }
            let expected: FrozenBlocks = stopped.into_iter().collect();
            prop_assert_eq!(&frozen[epoch], &expected, "after epoch {}", epoch);
        }
    }
}

#[test]
fn grades_by_hand_freezes_a_block_in_the_middle_and_then_the_front_one() {
    let of = |norms: [f32; BLOCKS]| -> Vec<Shown> {
        let shown = |l1: f32| Shown { l1: vec![l1; STEPS as usize], sum_l1: 1.0, sum_l2: 1.0, change: 1.0 };
        norms.into_iter().chain([0.0]).map(shown).collect()
    };
    // Of 36 weights, the norm is to be below 0.36.
    let record = [
        of([9.0, 9.0, 0.1, 9.0, 9.0]),
        of([0.5, 9.0, 9.0, 9.0, 0.4]),
        of([0.3, 0.5, 9.0, 9.0, 9.0]),
        of([9.0, 0.3, 9.0, 9.0, 0.3]),
        of([9.0, 9.0, 9.0, 0.3, 9.0]),
    ];
    let rule = Grades { threshold: 0.01, grace_period: 0.0, ..Grades::default() };
    let (frozen, judged) = run_anywhere(rule, &record);
    let frozen: Vec<String> = frozen.iter().map(FrozenBlocks::to_string).collect();
    assert_eq!(frozen, ["0+2", "0+2", "1+2", "3+4", "5"]);
    let blocks = |of: u32| -> Vec<u16> {
        judged.keys().filter(|(epoch, _)| *epoch == of).map(|(_, block)| *block).collect()
    };
    let judged = (0..5).map(blocks).collect::<Vec<_>>();
    assert_eq!(judged, [vec![0, 1, 2, 3, 4], vec![0, 1, 3, 4], vec![0, 1, 3, 4], vec![1, 3, 4], vec![3]]);
}

#[test]
fn under_grades_a_block_waits_for_all_its_layers() {
    let rule = Grades { threshold: 0.5, grace_period: 0.0, ..Grades::default() };
    let architecture = example::residual(&[2, 2, 2], 1, 4);
    let (plan, policy) = plan_of(architecture, "dense", 2, |run| freeze::policy(rule, run).unwrap());
    let mut state = policy.start(&plan);
    // Those of block 1 stop one after the other, for good; of block 2 only one does.
    let small: [&[u16]; 4] = [&[4], &[3, 7], &[5, 7], &[3]];
    let mut changes = Vec::new();
    for (epoch, small) in (0..).zip(small) {
        for layer in 0..plan.architecture.layers.len() as u16 {
            let l1 = if small.contains(&layer) { 0.1 } else { 1.0 };
            let row = GradientRow { epoch, step: 0, layer, l2: l1, l1, trained: true, nonzero: 1 };
            state.observe(&row);
        }
        changes.extend(state.decide(epoch + 1).into_iter().map(|change| (epoch + 1, change)));
    }
    let [(epoch, Change { block, frozen, reason })] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((*epoch, *block, *frozen), (3, 1, true));
    assert_eq!(reason, "all layers have been below 0.5");
}
