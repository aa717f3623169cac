//! What every sieve promises.

use std::sync::Arc;

use proptest::prelude::*;
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::ScoreRow;
use spfde_data::table::Columns;

use super::{Run, drive, labels, names, policy, right, row};
use crate::sieve::{Classes, SieveContext, SieveState};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_sieve_keeps_its_size_and_decides_at_multiples_of_its_interval(
        seed in any::<u64>(),
        samples in 1u32..200,
        epochs in 1u32..20,
        interval in 2u32..5,
        which in 0..names().len(),
    ) {
        let context = SieveContext { seed, samples, epochs };
        let name = names()[which];
        let policy = policy(name, &context, 0.3, interval).unwrap();
        let outside = policy.initially_outside();
        prop_assert!(outside.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(outside.len() as u32, samples - policy.active_samples(0));
        for epoch in 0..epochs + 10 {
            let multiple = epoch > 0 && epoch < epochs && epoch.is_multiple_of(interval);
            let expected = match name {
                "none" => false,
                // Ends after 7/8 of the epochs with a decision that takes all in.
                "infobatch" => match 7 * epochs / 8 {
                    last if last < interval => false,
                    last => multiple && epoch <= last || epoch == last + 1 && epoch < epochs,
                },
                "one-shot" => epoch < epochs && epoch == ((7 * epochs + 8) / 16).max(1),
                _ => multiple,
            };
            prop_assert_eq!(policy.decides(epoch), expected);
        }
        drive(&*policy, &context, interval, |epoch, active, _| {
            let size = policy.active_samples(epoch);
            match name {
                "infobatch" => assert!(active.len() as u32 <= size && size == samples),
                _ => assert_eq!(active.len() as u32, size),
            }
        });
    }
}

#[test]
fn a_fraction_that_leaves_none_is_a_contradiction() {
    let context = SieveContext { seed: 1, samples: 10, epochs: 8 };
    for name in ["random", "circular", "forgetting", "one-shot", "error-norm", "loss"] {
        let Err(error) = policy(name, &context, 0.96, 2) else { panic!("{name} leaves none") };
        let text = "`sieve.fraction`: 0.96 of 10 samples leaves none to train on; choose less";
        assert_eq!(error, text);
        assert!(policy(name, &context, 0.94, 2).is_ok());
    }
    let Err(error) = policy("circular", &context, 0.1, 1) else {
        panic!("forgetting takes two presentations")
    };
    assert_eq!(error, "`sieve.interval` = 1 is out of range: 2 to 4294967295");
}

#[test]
fn every_state_that_was_saved_goes_on_like_the_one_that_was_not() {
    let context = SieveContext { seed: 5, epochs: 9, samples: 40 };
    for name in names() {
        let policy = policy(name, &context, 0.3, 3).ok().unwrap();
        let mut state = policy.start(40);
        let show = |state: &mut dyn SieveState, slots: &dyn Fn(u32) -> usize, epoch: u32| {
            (0..40).for_each(|sample| {
                state.observe(slots(sample), &row(epoch, sample, right(5, epoch, sample)));
            });
            if policy.decides(epoch + 1) {
                state.clear();
            }
        };
        for epoch in 0..8 {
            show(&mut *state, &|sample| sample as usize, epoch);
            let columns = state.columns();
            // The run that goes on may number the samples differently.
            let other = |sample: u32| (sample * 7 % 40) as usize;
            let mut restored = policy.start(40);
            if !columns.is_empty() {
                assert_eq!((columns[0].name, columns[1].name), ("epoch", "sample"), "{name}");
                let mut rows = Columns::new(&columns);
                (0..40).for_each(|sample| state.save(sample as usize, epoch + 1, sample, &mut rows));
                assert_eq!(rows.rows, 40);
                (0..40).for_each(|sample| restored.restore(other(sample), &rows, sample as usize));
            }
            for sample in 0..40 {
                assert_eq!(state.key(sample as usize), restored.key(other(sample)), "{name}");
            }
            show(&mut *restored, &other, epoch + 1);
            let mut whole = policy.start(40);
            // It must give what the whole history gives.
            (0..=epoch + 1).for_each(|epoch| show(&mut *whole, &|sample| sample as usize, epoch));
            for sample in 0..40 {
                assert_eq!(whole.key(sample as usize), restored.key(other(sample)), "{name}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_state_takes_the_same_decisions(
        seed in any::<u64>(),
        samples in 1u32..80,
        epochs in 2u32..24,
        cut in any::<prop::sample::Index>(),
        interval in 2u32..5,
        which in 0..names().len(),
        by_class in any::<bool>(),
    ) {
        let context = SieveContext { seed, samples, epochs };
        let mut policy = policy(names()[which], &context, 0.3, interval).unwrap();
        if by_class {
            policy = policy.stratified(&Arc::new(Classes::new(&labels(seed, samples, 4)))).unwrap();
        }
        let random = |epoch: u32, sample: u32| {
            let bits = draw(seed, Purpose::User, u64::from(epoch) << 32, u64::from(sample));
            let (correct, loss) = (bits & 1 == 0, (bits >> 40) as f32 / 1e6);
            ScoreRow { loss, trained: bits & 6 != 0, ..row(epoch, sample, correct) }
        };
        let cut = cut.index(epochs as usize) as u32;
        let mut whole = Run::new(&*policy, &context);
        for epoch in 0..cut {
            whole.decide(epoch);
            whole.train(epoch, |sample| random(epoch, sample));
        }
        let mut restored = Run { standings: whole.standings.clone(), ..Run::new(&*policy, &context) };
        let columns = whole.state.columns();
        if !columns.is_empty() {
            let mut rows = Columns::new(&columns);
            (0..samples).for_each(|sample| whole.state.save(sample as usize, cut, sample, &mut rows));
            (0..samples as usize).for_each(|sample| restored.state.restore(sample, &rows, sample));
        }
        for epoch in cut..epochs {
            for run in [&mut whole, &mut restored] {
                run.decide(epoch);
                run.train(epoch, |sample| random(epoch, sample));
            }
            let slots = 0..samples as usize;
            let keys = |run: &Run<'_>| slots.clone().map(|slot| run.state.key(slot)).collect::<Vec<u32>>();
            prop_assert_eq!(&whole.standings, &restored.standings, "epoch {}", epoch);
            prop_assert_eq!(keys(&whole), keys(&restored), "epoch {}", epoch);
        }
    }
}
