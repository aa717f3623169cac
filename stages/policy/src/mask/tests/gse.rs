//! `gse` against its description over plain vectors of all weights.

use std::collections::BTreeSet;
use std::f64::consts::PI;

use proptest::prelude::*;
use spfde_data::random::{Purpose, draw};

use super::layers::{Seen, delta, train};
use super::three_layers;
use crate::mask::{Candidates, Gse, MaskDelta, Scope, policy};
use crate::{Spans, example};

/// Ranks together the layers of each group: the steepest candidates come, the least others go.
fn reference(share: f64, seen: &[Seen], groups: &[Vec<usize>]) -> Vec<MaskDelta> {
    let mut changes = vec![(Vec::new(), Vec::new()); seen.len()];
    for group in groups {
        let existing: usize = group.iter().map(|at| seen[*at].existing().count()).sum();
        let mut least: Vec<(f64, usize, u32)> = Vec::new();
        let mut steepest: Vec<(f64, usize, u32)> = Vec::new();
        for at in group {
            let own = seen[*at].by_magnitude();
            least.extend(own[..own.len() - 1].iter().map(|(magnitude, index)| (*magnitude, *at, *index)));
            let steepness = |index: &u32| (-seen[*at].gradients[*index as usize].abs(), *at, *index);
            steepest.extend(seen[*at].candidates.iter().map(steepness));
        }
        least.sort_by(|a, b| a.partial_cmp(b).unwrap());
        steepest.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let count = ((share * existing as f64) as usize).min(steepest.len()).min(least.len());
        least[..count].iter().for_each(|(_, at, index)| changes[*at].0.push(*index));
        steepest[..count].iter().for_each(|(_, at, index)| changes[*at].1.push(*index));
    }
    changes.into_iter().map(|(dropped, grown)| delta(dropped, grown)).collect()
}

/// The number whose share of the sums a place from 0 to below 1 falls into, found one by one; all numbers
/// have the same share if the sums are empty or 0.
fn chosen(sums: &[f32], place: f64, count: u32) -> u32 {
    let all: f64 = sums.iter().map(|sum| f64::from(sum.abs())).sum();
    if all == 0.0 {
        return (place * f64::from(count)).floor() as u32;
    }
    let mut left = place * all;
    for (number, sum) in (0u32..).zip(sums) {
        left -= f64::from(sum.abs());
        if left < 0.0 {
            return number;
        }
    }
    panic!("{place} of {sums:?}")
}

/// The candidates of a layer of so many outputs and inputs, drawn one by one.
fn candidates(of: &Candidates<'_>, [outputs, inputs]: [u32; 2], samples: f64) -> BTreeSet<u32> {
    let absent = |index: &u32| !of.indices.contains(index);
    let (existing, all) = (of.indices.len() as f64, outputs * inputs);
    if existing / f64::from(all) >= 0.5 {
        return (0..all).filter(absent).collect();
    }
    let key = u64::from(of.tick.0) * (1 << 32) + of.layer as u64;
    let one = |number: u64| {
        let drawn = draw(of.seed, Purpose::Candidate, key, u64::from(of.tick.1) * (1 << 32) + number);
        // Two numbers from 0 to below 1.
        let share = |half: u64| half as f64 / 2f64.powi(32);
        let output = chosen(of.sums[1], share(drawn >> 32), outputs);
        let groups: Vec<&[f32]> = of.sums[0].chunks(inputs as usize).collect();
        let own = groups.get(output as usize / (outputs as usize / groups.len().max(1)));
        let input = chosen(own.unwrap_or(&&[][..]), share(drawn & 0xFFFF_FFFF), inputs);
        output * inputs + input
    };
    (0..(samples * existing) as u64).map(one).filter(absent).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn gse_is_its_description(
        seed in any::<u64>(),
        epochs in 1u32..24,
        interval in 1u32..4,
        drop in prop_oneof![Just(0.0), Just(1.0), 0.0f64..1.0],
        samples in 0.0f64..4.0,
        until in 0.0f64..=1.0,
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.97],
        ties in 1u32..12,
        densities in prop::sample::select(vec!["", "linear2=0.97"]),
        misses in 1u32..9,
        global in any::<bool>(),
    ) {
        let context = three_layers(seed, epochs);
        let scope = if global { Scope::Global } else { Scope::Layer };
        let rule = Gse { sparsity, interval, drop, samples, until, scope, ..Gse::default() };
        let rule = Gse { dense_last: false, ..rule };
        let rule = Gse { densities: densities.to_owned(), ..rule };
        let policy = policy(rule, &context).unwrap();
        let takes_part = |layer: usize, epoch: u32| !(epoch + layer as u32).is_multiple_of(misses);
        let counts = train(&*policy, &context, ties, takes_part, |epoch, seen| {
            let end = until * f64::from(epochs);
            let share = drop / 2.0 * (1.0 + (PI * f64::from(epoch) / end).cos());
            let all = || 0..seen.len();
            let groups = if global { vec![all().collect()] } else { all().map(|at| vec![at]).collect() };
            reference(share, seen, &groups)
        });
        prop_assert!(global || counts.iter().all(|epoch| *epoch == counts[0]), "layers keep their own");
    }

    #[test]
    fn candidates_are_drawn_pairs_that_do_not_exist(
        seed in any::<u64>(),
        epoch in 0u32..1000,
        step in 0u32..1000,
        samples in 0.0f64..4.0,
        convolution in any::<bool>(),
        share in 0.0f64..=1.0,
        // The sums of how many groups there are; integers, of which sums are exact.
        groups in prop::sample::select(vec![0usize, 1, 2, 4]),
        greatest in 0u64..4,
    ) {
        // 8 outputs, 4 inputs, kernels of 3 × 3; or 8 outputs, 4 inputs.
        let (architecture, layer, matrix) = match convolution {
            true => (example::residual(&[4, 8], 1, 8), 3, [8, 4 * 9]),
            false => (example::perceptron(&[4, 8, 2]), 0, [8, 4]),
        };
        let context = crate::MaskContext { seed, epochs: 9, architecture };
        let policy = policy(Gse { sparsity: 0.5, samples, ..Gse::default() }, &context).unwrap();
        let units = policy.moment(layer, 0, &Spans::never()).units;
        let exists = |index: &u32| {
            draw(seed, Purpose::User, 0, u64::from(*index)) % 1000 < (share * 1000.0) as u64
        };
        let indices: Vec<u32> = (0..units.weights()).filter(exists).collect();
        let existing = indices.len() as u32;
        let sums = |purpose: u64, count: usize| -> Vec<f32> {
            let one = |place| (draw(seed, Purpose::User, purpose, place) % (2 * greatest + 1)) as f32;
            (0..count as u64).map(|place| one(place) - greatest as f32).collect()
        };
        let (taps, slopes) = (sums(1, groups * matrix[1] as usize), sums(2, groups.min(1) * 8));
        let sums = [&taps[..], &slopes];
        let asked = Candidates { seed, layer, tick: (epoch, step), units, indices: &indices, sums };
        let found = policy.candidates(&asked);
        prop_assert_eq!(&found, &candidates(&asked, matrix, samples).into_iter().collect::<Vec<_>>());
        let billed = policy.candidate_count(layer, existing);
        prop_assert!(found.len() as u32 <= billed);
        if 2 * existing < units.weights() {
            prop_assert!(f64::from(billed) <= samples * f64::from(existing), "linear in what exists");
        } else {
            prop_assert_eq!(billed, units.weights() - existing);
        }
    }
}

#[test]
fn every_update_draws_anew_and_all_absent_weights_alike() {
    let context = crate::MaskContext { seed: 3, epochs: 9, architecture: example::perceptron(&[40, 50, 2]) };
    let policy = policy(Gse { samples: 10.0, ..Gse::default() }, &context).unwrap();
    let indices = policy.initial(0, &Spans::never());
    let units = policy.moment(0, 0, &Spans::never()).units;
    let found = |seed: u64, layer: usize, tick: (u32, u32)| {
        policy.candidates(&Candidates { seed, layer, tick, units, indices: &indices, sums: [&[]; 2] })
    };
    let first = found(3, 0, (2, 0));
    assert_eq!(first, found(3, 0, (2, 0)));
    let others = [found(4, 0, (2, 0)), found(3, 1, (2, 0)), found(3, 0, (4, 0)), found(3, 0, (2, 1))];
    assert!(others.iter().all(|other| *other != first));
    // 2000 draws of 2000 weights, of which 200 exist: an absent one is missed with probability 1/e. Five
    // standard deviations are less than 5 · √(1800/4).
    for found in [first].iter().chain(&others) {
        let expected = 1800.0 * (1.0 - (-1f64).exp());
        assert!((found.len() as f64 - expected).abs() < 5.0 * 450f64.sqrt(), "{}", found.len());
        for rows in 0..5 {
            let own = found.iter().filter(|index| **index / 400 == rows).count() as f64;
            assert!((own - expected / 5.0).abs() < 5.0 * 90f64.sqrt(), "{own}");
        }
    }
}

#[test]
fn pairs_are_drawn_as_often_as_the_product_of_their_shares_says() {
    let context = crate::MaskContext { seed: 3, epochs: 9, architecture: example::perceptron(&[4, 3, 2]) };
    let policy = policy(Gse::default(), &context).unwrap();
    let units = policy.moment(0, 0, &Spans::never()).units;
    // One weight exists: one pair is drawn, and that one is no candidate. Signs say nothing.
    let (indices, taps, slopes) = ([11], [3.0, -1.0, 0.0, 4.0], [-2.0, 0.0, 6.0]);
    let draws = 20_000;
    let mut found = [0u32; 12];
    for number in 0..draws {
        let (tick, sums) = ((number / 100, number % 100), [&taps[..], &slopes]);
        let asked = Candidates { seed: 3, layer: 0, tick, units, indices: &indices, sums };
        for index in policy.candidates(&asked) {
            found[index as usize] += 1;
        }
    }
    // 1/4, 0 and 3/4 of an output, 3/8, 1/8, 0 and 1/2 of an input, in 32nds.
    let shares = [3, 1, 0, 4, 0, 0, 0, 0, 9, 3, 0, 0].map(|share| f64::from(share) / 32.0);
    for (index, share) in shares.into_iter().enumerate() {
        let deviation = (f64::from(draws) * share * (1.0 - share)).sqrt();
        let off = f64::from(found[index]) - f64::from(draws) * share;
        assert!(off.abs() <= 5.0 * deviation, "weight {index}: {} of {draws}, not {share}", found[index]);
    }
}
