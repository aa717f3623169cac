//! `deep-r` against its description over plain vectors of all weights.

use proptest::prelude::*;
use spfde_data::random::{Purpose, draw};

use super::layers::{Seen, delta, train};
use super::three_layers;
use crate::mask::{DeepR, MaskDelta, MaskUpdate, policy};

/// The sign that a weight keeps: that of its draw as a number with a sign, 0 counting as positive.
fn sign(seed: u64, layer: usize, index: u32) -> f64 {
    if draw(seed, Purpose::Sign, layer as u64, u64::from(index)) as i64 >= 0 { 1.0 } else { -1.0 }
}

/// Drops what has the wrong sign, and grows as many of all absent weights by draw.
fn reference(seed: u64, epoch: u32, seen: &[Seen]) -> Vec<MaskDelta> {
    let mut crossed: Vec<(f64, usize, u32)> = Vec::new();
    for (at, seen) in seen.iter().enumerate() {
        let value = |index: u32| seen.weights[index as usize].unwrap();
        let wrong = |index: &u32| value(*index) * sign(seed, seen.layer, *index) < 0.0;
        let own: Vec<u32> = seen.existing().filter(wrong).collect();
        // One stays in any case.
        let spared = usize::from(own.len() == seen.existing().count());
        crossed.extend(own[spared..].iter().map(|index| (value(*index).abs(), at, *index)));
    }
    let mut absent: Vec<(u64, usize, u32)> = Vec::new();
    for (at, seen) in seen.iter().enumerate() {
        absent.extend(seen.by_draw(seed, epoch).into_iter().map(|(draw, index)| (draw, at, index)));
    }
    // Where there is no room for all, the farthest go.
    crossed.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    crossed.truncate(absent.len());
    absent.sort_unstable();
    absent.truncate(crossed.len());
    let change = |at: usize| {
        let dropped = crossed.iter().filter(|weight| weight.1 == at).map(|weight| weight.2);
        let grown = absent.iter().filter(|weight| weight.1 == at).map(|weight| weight.2);
        delta(dropped.collect(), grown.collect())
    };
    (0..seen.len()).map(change).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn deep_r_is_its_description(
        seed in any::<u64>(),
        epochs in 1u32..24,
        interval in 1u32..4,
        until in 0.0f64..=1.0,
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.97],
        ties in 1u32..12,
        densities in prop::sample::select(vec!["", "linear2=0.97"]),
        misses in 1u32..9,
    ) {
        let context = three_layers(seed, epochs);
        let rule = DeepR { sparsity, interval, until, dense_last: false, ..DeepR::default() };
        let rule = DeepR { densities: densities.to_owned(), ..rule };
        let policy = policy(rule, &context).unwrap();
        prop_assert!(policy.fixes_signs());
        let takes_part = |layer: usize, epoch: u32| !(epoch + layer as u32).is_multiple_of(misses);
        train(&*policy, &context, ties, takes_part, |epoch, seen| reference(seed, epoch, seen));
    }
}

#[test]
fn a_weight_that_keeps_its_sign_stays_however_small() {
    let context = three_layers(7, 100);
    let policy = policy(DeepR { sparsity: 0.5, ..DeepR::default() }, &context).unwrap();
    let mask: Vec<u32> = (0..21).collect();
    let mut values: Vec<f32> = mask.iter().map(|index| 1e-30 * sign(7, 0, *index) as f32).collect();
    values[3] = 0.0;
    let decide = |values: &[f32]| {
        let update: MaskUpdate<'_> = super::update(&*policy, 0, 2, &mask, values);
        super::decide(&*policy, &update)
    };
    assert_eq!(decide(&values), MaskDelta::default());
    values[5] *= -1.0;
    assert_eq!((decide(&values).dropped, decide(&values).grown.len()), (vec![5], 1));
}
