//! `snfs` against its description over plain vectors of all weights.

use std::f64::consts::PI;

use proptest::prelude::*;

use super::layers::{Seen, deal, delta, train};
use super::three_layers;
use crate::mask::{MaskDelta, Snfs, policy};

/// Every layer drops its least weights; what grows is dealt by the mean momentum of the existing ones.
fn reference(share: f64, seen: &[Seen]) -> Vec<MaskDelta> {
    let room: Vec<u64> = seen.iter().map(|seen| seen.absent().count() as u64).collect();
    let dropped: Vec<Vec<u32>> = (seen.iter().zip(&room))
        .map(|(seen, room)| {
            let existing = seen.by_magnitude();
            let count = ((share * existing.len() as f64) as usize).min(existing.len() - 1);
            existing[..count.min(*room as usize)].iter().map(|(_, index)| *index).collect()
        })
        .collect();
    let mean = |seen: &Seen| {
        let momenta: Vec<f64> = seen.existing().map(|index| seen.gradients[index as usize].abs()).collect();
        momenta.iter().sum::<f64>() / momenta.len() as f64
    };
    let means: Vec<f64> = seen.iter().map(mean).collect();
    let whole: f64 = means.iter().sum();
    // Parts of 2^30; layers without any momentum are alike.
    let part = |mean: &f64| if whole == 0.0 { 1 } else { (mean / whole * 2f64.powi(30)).floor() as u64 };
    let count = dropped.iter().map(Vec::len).sum::<usize>() as u64;
    let counts = deal(count, &means.iter().map(part).collect::<Vec<_>>(), &room);
    let grown = seen.iter().zip(counts).map(|(seen, count)| seen.steepest(seen.absent(), count));
    dropped.into_iter().zip(grown).map(|(dropped, grown)| delta(dropped, grown)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn snfs_is_its_description(
        seed in any::<u64>(),
        epochs in 1u32..24,
        interval in 1u32..4,
        drop in prop_oneof![Just(0.0), Just(1.0), 0.0f64..1.0],
        until in 0.0f64..=1.0,
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.97],
        ties in 1u32..12,
        densities in prop::sample::select(vec!["", "linear2=0.97"]),
        misses in 1u32..9,
    ) {
        let context = three_layers(seed, epochs);
        let rule = Snfs { sparsity, interval, drop, until, dense_last: false, ..Snfs::default() };
        let rule = Snfs { densities: densities.to_owned(), ..rule };
        let policy = policy(rule, &context).unwrap();
        let takes_part = |layer: usize, epoch: u32| !(epoch + layer as u32).is_multiple_of(misses);
        train(&*policy, &context, ties, takes_part, |epoch, seen| {
            let end = until * f64::from(epochs);
            reference(drop / 2.0 * (1.0 + (PI * f64::from(epoch) / end).cos()), seen)
        });
    }
}

#[test]
fn weights_move_to_the_layer_with_the_greatest_momentum() {
    use crate::mask::MaskUpdate;
    // Half of 21 and of 17 weights go, and nine tenths of 18 come back in the second layer.
    let context = three_layers(1, 100);
    let rule = Snfs { sparsity: 0.5, drop: 1.0, until: 1.0, ..Snfs::default() };
    let policy = policy(rule, &context).unwrap();
    let masks: [Vec<u32>; 2] = [(0..21).collect(), (0..17).collect()];
    let values: [Vec<f32>; 2] = [vec![1.0; 21], vec![1.0; 17]];
    let momenta: [Vec<f32>; 2] = [vec![-1.0; 42], vec![9.0; 35]];
    let update = |layer: usize| MaskUpdate {
        dense_gradients: &momenta[layer],
        ..super::update(&*policy, layer, 50, &masks[layer], &values[layer])
    };
    let deltas = policy.start().decide(&[update(0), update(1)]);
    let counts: Vec<(usize, usize)> =
        deltas.iter().map(|delta| (delta.dropped.len(), delta.grown.len())).collect();
    assert_eq!(counts, [(10, 2), (8, 16)]);
}
