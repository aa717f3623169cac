//! `dsr` against its description over plain vectors of all weights.

use proptest::prelude::*;

use super::layers::{Seen, deal, delta, train};
use super::three_layers;
use crate::mask::{Dsr, MaskDelta, MaskUpdate, policy};

/// Drops below the threshold, the greatest of each layer excepted, and grows by draw where most is left.
fn reference(
    drop: f64,
    threshold: &mut Option<f64>,
    seen: &[Seen],
    draws: &dyn Fn(&Seen) -> Vec<(u64, u32)>,
) -> Vec<MaskDelta> {
    let mut weights: Vec<(f64, usize, u32)> = Vec::new();
    for (at, seen) in seen.iter().enumerate() {
        let own = seen.by_magnitude();
        weights.extend(own[..own.len() - 1].iter().map(|(magnitude, index)| (*magnitude, at, *index)));
    }
    weights.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let existing: usize = seen.iter().map(|seen| seen.existing().count()).sum();
    let room: Vec<u64> = seen.iter().map(|seen| seen.absent().count() as u64).collect();
    let most = weights.len().min(room.iter().sum::<u64>() as usize);
    let wanted = ((drop * existing as f64) as usize).min(most);
    let count = match *threshold {
        None => wanted,
        Some(threshold) => weights.iter().filter(|(magnitude, ..)| *magnitude < threshold).count().min(most),
    };
    *threshold = match *threshold {
        None => Some(weights.get(count).map_or(f64::from(f32::MAX), |(magnitude, ..)| *magnitude)),
        Some(threshold) if (count as f64) < 0.9 * wanted as f64 => Some(threshold * 2.0),
        Some(threshold) if count as f64 > 1.1 * wanted as f64 => Some(threshold / 2.0),
        same => same,
    };
    threshold.take_if(|threshold| *threshold == 0.0);
    let mut dropped = vec![Vec::new(); seen.len()];
    weights[..count].iter().for_each(|(_, at, index)| dropped[*at].push(*index));
    let left: Vec<u64> = (seen.iter().zip(&dropped))
        .map(|(seen, dropped)| (seen.existing().count() - dropped.len()) as u64)
        .collect();
    let grown = deal(count as u64, &left, &room);
    let grown = seen
        .iter()
        .zip(grown)
        .map(|(seen, count)| draws(seen)[..count].iter().map(|(_, index)| *index).collect());
    dropped.into_iter().zip(grown).map(|(dropped, grown)| delta(dropped, grown)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn dsr_is_its_description(
        seed in any::<u64>(),
        epochs in 1u32..24,
        interval in 1u32..4,
        drop in prop_oneof![Just(0.0), Just(1.0), 0.0f64..1.0],
        until in 0.0f64..=1.0,
        sparsity in prop_oneof![Just(0.0), 0.0f64..0.97],
        ties in 1u32..12,
        densities in prop::sample::select(vec!["", "linear2=0.97"]),
        freezing in 1u32..24,
    ) {
        let context = three_layers(seed, epochs);
        let rule = Dsr { sparsity, interval, drop, until, dense_last: false, ..Dsr::default() };
        let rule = Dsr { densities: densities.to_owned(), ..rule };
        let policy = policy(rule, &context).unwrap();
        let mut threshold = None;
        // The front freezes for good.
        train(&*policy, &context, ties, |layer, epoch| layer > 0 || epoch < freezing, |epoch, seen| {
            reference(drop, &mut threshold, seen, &|seen| seen.by_draw(seed, epoch))
        });
    }
}

#[test]
fn the_threshold_follows_what_it_drops() {
    let context = three_layers(1, 100);
    let rule = Dsr { sparsity: 0.5, drop: 0.5, until: 1.0, ..Dsr::default() };
    let policy = policy(rule, &context).unwrap();
    let mask: Vec<u32> = (0..20).collect();
    let mut state = policy.start();
    let mut dropped = |values: Vec<f32>| {
        let update: MaskUpdate<'_> = super::update(&*policy, 0, 2, &mask, &values);
        state.decide(&[update])[0].dropped.len()
    };
    let rising = |scale: f32| (1..=20).map(|value| value as f32 * scale).collect::<Vec<_>>();
    // Half of 20: the first threshold is the eleventh magnitude, 11.
    assert_eq!(dropped(rising(1.0)), 10);
    assert_eq!(dropped(rising(1.0)), 10, "as many as wanted: it stays");
    // Of 2, 4, … 40 five lie below 11, fewer than 9: it doubles. Ten lie below 22.
    assert_eq!(dropped(rising(2.0)), 5);
    assert_eq!(dropped(rising(2.0)), 10);
    // All but the greatest lie below 22, more than 11: it halves. Ten lie below 11.
    assert_eq!(dropped(rising(1.0)), 19);
    assert_eq!(dropped(rising(1.0)), 10);
}
