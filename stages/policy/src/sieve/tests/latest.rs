//! `loss`, `error-norm` and `one-shot` against one sort at every decision.

use proptest::prelude::*;
use spfde_data::parameter::Value;
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::ScoreRow;

use super::{Run, key, right, row, with};
use crate::sieve::SieveContext;

/// What a sample shows in an epoch: few values, so that many are equal.
fn shown(seed: u64, epoch: u32, sample: u32) -> ScoreRow {
    let draw = |part| draw(seed, Purpose::User, u64::from(epoch) << 8 | part, u64::from(sample));
    let (loss, error_norm) = ((draw(1) % 20) as f32 / 7.0, (draw(2) % 16) as f32 / 11.0);
    ScoreRow { loss, error_norm, ..row(epoch, sample, right(seed, epoch, sample)) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_lowest_of_a_sort_are_out(
        seed in any::<u64>(),
        samples in 1u32..120,
        fraction in 0.0f64..0.9,
        interval in 1u32..5,
        warmup in 0u32..6,
        at in 0.0f64..1.0,
        epochs in 1u32..20,
        which in 0usize..3,
    ) {
        let context = SieveContext { seed, samples, epochs };
        let name = ["loss", "error-norm", "one-shot"][which];
        let out = (fraction * f64::from(samples)).round() as usize;
        prop_assume!(out < samples as usize);
        let keys = [
            ("sieve.fraction", Value::Number(fraction)),
            ("sieve.interval", Value::Integer(interval.into())),
            ("sieve.warmup", Value::Integer(warmup.into())),
            ("sieve.at", Value::Number(at)),
        ];
        let policy = with(name, &context, &keys).unwrap();
        let mut run = Run::new(&*policy, &context);
        let mut history: Vec<Vec<ScoreRow>> = vec![Vec::new(); samples as usize];
        let mut expected: Vec<u32> = (0..samples).collect();
        for epoch in 0..epochs {
            let decides = match name {
                "one-shot" => epoch == ((at * f64::from(epochs)).round() as u32).max(1),
                _ => epoch > 0 && epoch >= warmup && (epoch - warmup) % interval == 0,
            };
            if decides {
                let value = |sample: u32| {
                    let rows = &history[sample as usize];
                    let latest = rows.last().expect("all are trained at first");
                    match name {
                        "loss" => f64::from(latest.loss),
                        "error-norm" => f64::from(latest.error_norm),
                        _ => f64::from(key(&rows.iter().map(|row| row.correct).collect::<Vec<bool>>())),
                    }
                };
                let mut all: Vec<u32> = (0..samples).collect();
                let tie = |sample: u32| draw(seed, Purpose::Tie, 0, u64::from(sample));
                all.sort_by(|one, other| {
                    value(*one).total_cmp(&value(*other)).then(tie(*one).cmp(&tie(*other)))
                });
                expected = all.split_off(out);
                expected.sort_unstable();
            }
            run.decide(epoch);
            prop_assert_eq!(run.of(true), expected.clone(), "{} epoch {}", name, epoch);
            run.train(epoch, |sample| shown(seed, epoch, sample));
            expected.iter().for_each(|sample| history[*sample as usize].push(shown(seed, epoch, *sample)));
        }
    }
}

#[test]
fn a_sample_without_a_value_ranks_last_and_one_that_is_only_observed_keeps_its_own() {
    let context = SieveContext { seed: 1, epochs: 8, samples: 3 };
    for name in ["loss", "error-norm"] {
        let policy = with(name, &context, &[]).unwrap();
        let mut state = policy.start(3);
        let of = |value, trained| ScoreRow { loss: value, error_norm: value, trained, ..row(0, 0, true) };
        state.observe(0, &of(0.5, true));
        state.observe(0, &of(0.25, false));
        state.observe(1, &of(1.4, true));
        state.clear();
        assert_eq!(f32::from_bits(state.key(0)), 0.5, "{name}");
        assert!(state.key(0) < state.key(1) && state.key(1) < state.key(2), "{name}");
    }
}
