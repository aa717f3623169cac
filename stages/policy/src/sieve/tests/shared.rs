//! The keys that rules share, against the epochs and sizes that their sentences say.

use proptest::prelude::*;
use spfde_data::parameter::Value;

use super::{Run, names, right, row, with};
use crate::Registry;
use crate::sieve::SieveContext;

#[test]
fn every_rule_has_the_shared_keys_with_one_meaning() {
    for entry in Registry::default().sieve.entries {
        let parameters = (entry.parameters)();
        let of = |key: &str| parameters.iter().find(|parameter| parameter.key == key);
        let lacks: Vec<&str> = ["fraction", "interval", "warmup", "until", "stratify"]
            .into_iter()
            .filter(|key| of(&format!("sieve.{key}")).is_none())
            .collect();
        let expected: &[&str] = match entry.name {
            "none" => &["fraction", "interval", "warmup", "until", "stratify"],
            "circular" => &["warmup"],
            "one-shot" => &["interval", "warmup"],
            _ => &[],
        };
        assert_eq!(lacks, expected, "{}", entry.name);
        let until = of("sieve.until").map(|parameter| parameter.default.clone());
        let never = Value::Number(if entry.name == "infobatch" { 0.875 } else { 1.0 });
        assert!(until.is_none_or(|until| until == never), "{}", entry.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_whole_set_is_active_in_the_warm_up_and_after_the_end(
        seed in any::<u64>(),
        samples in 2u32..120,
        epochs in 1u32..24,
        interval in 2u32..5,
        warmup in 0u32..26,
        sixteenths in 0u32..=16,
        which in 0..names().len(),
    ) {
        let (context, name) = (SieveContext { seed, samples, epochs }, names()[which]);
        let keys = [
            ("sieve.fraction", Value::Number(0.4)),
            ("sieve.interval", Value::Integer(interval.into())),
            ("sieve.warmup", Value::Integer(warmup.into())),
            ("sieve.until", Value::Number(f64::from(sixteenths) / 16.0)),
            ("sieve.at", Value::Number(0.3)),
        ];
        let policy = with(name, &context, &keys).unwrap();
        let warmup = match name {
            "circular" => 0,
            "one-shot" => ((0.3 * f64::from(epochs)).round() as u32).max(1),
            _ => warmup,
        };
        let interval = if name == "one-shot" { 1000 } else { interval };
        // Epochs 0 to `last` may be cut; none if that is the first alone.
        let last = sixteenths * epochs / 16;
        let is_cut = |epoch: u32| name != "none" && last > 0 && epoch <= last && epoch >= warmup;
        let starts_cut = ["random", "circular"].contains(&name);
        let first = if starts_cut || warmup > 0 { warmup } else { interval };
        let out = (0.4 * f64::from(samples)).round() as usize;
        let mut run = Run::new(&*policy, &context);
        for epoch in 0..epochs {
            let at_interval = is_cut(epoch) && (epoch - warmup).is_multiple_of(interval);
            let takes_all_in = last > 0 && epoch == last + 1 && is_cut(last) && first <= last;
            let decides = epoch > 0 && (at_interval || takes_all_in);
            prop_assert_eq!(policy.decides(epoch), decides, "{} {}", name, epoch);
            prop_assert_eq!(policy.concluding().decides(epoch), decides, "{} {}", name, epoch);
            run.decide(epoch);
            let outside = run.of(false).len();
            let expected = if is_cut(epoch) && epoch >= first { out } else { 0 };
            match name {
                "infobatch" => prop_assert!(expected > 0 || outside == 0, "{epoch}"),
                _ => prop_assert_eq!(outside, expected, "{} {}", name, epoch),
            }
            if !is_cut(epoch) {
                prop_assert!(run.standings.iter().all(|standing| standing.weight == Some(1.0)));
            }
            run.train(epoch, |sample| row(epoch, sample, right(seed, epoch, sample)));
        }
    }
}
