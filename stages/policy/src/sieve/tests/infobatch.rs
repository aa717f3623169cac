//! `infobatch` against a loop over samples with plain numbers, and the share and the weights of what is kept.

use std::sync::Arc;

use proptest::prelude::*;
use spfde_data::rows::ScoreRow;

use super::{Run, labels, row};
use crate::sieve::{Classes, InfoBatch, SieveContext, policy};

/// The loss that a sample shows in an epoch: mostly small, so that few lie above the mean; often equal.
fn loss(seed: u64, epoch: u32, sample: u32) -> f32 {
    let bits = spfde_data::random::mix(seed ^ u64::from(epoch) << 32 ^ u64::from(sample));
    ((bits % 40) as f32 / 8.0).powi(2)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn infobatch_is_its_description(
        seed in any::<u64>(),
        samples in 1u32..150,
        epochs in 1u32..25,
        fraction in 0.0f64..0.95,
        interval in 1u32..4,
        until in 0.0f64..=1.0,
        count in 0u64..4,
    ) {
        let context = SieveContext { seed, epochs, samples };
        let rule = InfoBatch { fraction, interval, until, ..InfoBatch::default() };
        let mut policy = policy(rule, &context).unwrap();
        // Without classes there is one mean.
        let labels = labels(seed, samples, count.max(1));
        if count > 0 {
            policy = policy.stratified(&Arc::new(Classes::new(&labels))).unwrap();
        }
        let mut run = Run::new(&*policy, &context);
        let mut latest = vec![3.0f64; samples as usize];
        let mut weights = vec![Some(1.0f32); samples as usize];
        for epoch in 0..epochs {
            let (at, end) = (f64::from(epoch), until * f64::from(epochs));
            if epoch > 0 && at <= end && epoch.is_multiple_of(interval) {
                let mean = |class: u16| {
                    let own = latest.iter().zip(&labels).filter(|(_, label)| **label == class);
                    own.clone().map(|(loss, _)| loss).sum::<f64>() / own.count() as f64
                };
                for (sample, weight) in (0..samples).zip(&mut weights) {
                    let kept = policy.keeps(epoch, sample, 1.0 - fraction);
                    *weight = match latest[sample as usize] < mean(labels[sample as usize]) {
                        true => kept.then_some((1.0 / (1.0 - fraction)) as f32),
                        false => Some(1.0),
                    };
                }
            } else if at > end {
                weights.fill(Some(1.0));
            }
            run.decide(epoch);
            let found: Vec<Option<f32>> = run.standings.iter().map(|standing| standing.weight).collect();
            prop_assert_eq!(&found, &weights, "epoch {}", epoch);
            run.train(epoch, |sample| {
                ScoreRow { loss: loss(seed, epoch, sample), ..row(epoch, sample, true) }
            });
            for sample in run.of(true) {
                latest[sample as usize] = f64::from(loss(seed, epoch, sample));
            }
        }
    }
}

#[test]
fn a_loss_that_is_only_observed_counts_nothing() {
    let context = SieveContext { seed: 1, epochs: 8, samples: 2 };
    let policy = policy(InfoBatch::default(), &context).unwrap();
    let mut state = policy.start(2);
    let shown = |loss, trained| ScoreRow { loss, trained, ..row(0, 0, true) };
    assert_eq!(f32::from_bits(state.key(0)), 3.0);
    state.observe(0, &shown(0.5, true));
    state.observe(0, &shown(0.25, false));
    state.clear();
    assert_eq!([0, 1].map(|slot| f32::from_bits(state.key(slot))), [0.5, 3.0]);
}

#[test]
fn nothing_is_thinned_in_the_first_epoch_nor_while_all_losses_are_equal() {
    let context = SieveContext { seed: 1, epochs: 8, samples: 100 };
    let policy = policy(InfoBatch::default(), &context).unwrap();
    assert!(policy.initially_outside().is_empty() && !policy.decides(0));
    let mut run = Run::new(&*policy, &context);
    for epoch in 0..8 {
        run.decide(epoch);
        assert_eq!(run.of(true).len(), 100, "epoch {epoch}");
        run.train(epoch, |sample| ScoreRow { loss: 0.1, ..row(epoch, sample, true) });
    }
}

#[test]
fn the_share_kept_is_one_less_the_fraction_and_the_expected_weight_is_one() {
    let (samples, epochs) = (20_000, 12);
    let context = SieveContext { seed: 11, epochs, samples };
    for fraction in [0.1, 0.5, 0.9] {
        let policy = policy(InfoBatch { fraction, ..InfoBatch::default() }, &context).unwrap();
        let mut run = Run::new(&*policy, &context);
        // The lower half always has the lower loss. Each of its samples is kept or not by a draw in each
        // epoch.
        let shown = |sample: u32| ScoreRow {
            loss: if sample < samples / 2 { 0.1 } else { 2.0 },
            ..row(0, sample, true)
        };
        run.train(0, shown);
        let mut kept_by_epoch = Vec::new();
        for epoch in 1..=10 {
            run.decide(epoch);
            let (low, high) = run.standings.split_at(samples as usize / 2);
            assert!(high.iter().all(|standing| standing.weight == Some(1.0)));
            let kept: Vec<f32> = low.iter().filter_map(|standing| standing.weight).collect();
            let (n, p) = (low.len() as f64, 1.0 - fraction);
            let deviation = (n * p * fraction).sqrt();
            assert!((kept.len() as f64 - n * p).abs() < 5.0 * deviation, "{} of {n} at {p}", kept.len());
            // Σ weight has the mean n and the deviation of the number kept, each times 1 / p.
            let total: f64 = kept.iter().map(|weight| f64::from(*weight)).sum();
            assert!((total - n).abs() < 5.0 * deviation / p + 1e-3 * n, "{total} of {n}");
            kept_by_epoch.push(low.iter().map(|standing| standing.weight.is_some()).collect::<Vec<_>>());
            run.train(epoch, shown);
        }
        assert!(kept_by_epoch.windows(2).all(|pair| pair[0] != pair[1]), "every epoch draws anew");
        // 0.875 · 12 = 10.5: from epoch 11 on the whole set is active.
        run.decide(11);
        assert!(run.standings.iter().all(|standing| standing.weight == Some(1.0)));
    }
}
