//! Every sieve through a driver that cuts as its numbers say; `circular` against a simulation with plain lists.

use std::collections::BTreeSet;

use proptest::prelude::*;
use spfde_data::parameter::Value;
use spfde_data::random::{Purpose, draw};

use super::*;

fn policy(
    name: &str,
    context: &SieveContext,
    fraction: f64,
    interval: u32,
) -> Result<Box<dyn SievePolicy>, ParameterError> {
    let entry = registry().iter().find(|entry| entry.name == name).expect("it is registered");
    let known = (entry.parameters)();
    let mut parameters = Parameters::defaults(&known);
    if !known.is_empty() {
        parameters = parameters.with(&known, "sieve.fraction", Value::Number(fraction))?;
        parameters = parameters.with(&known, "sieve.interval", Value::Integer(i64::from(interval)))?;
    }
    build(name, &parameters, context)
}

/// Whether a sample is right at a presentation: easy samples nearly always, hard ones rarely.
fn right(seed: u64, epoch: u32, sample: u32) -> bool {
    let ease = draw(seed, Purpose::User, u64::MAX, u64::from(sample)) % 100;
    draw(seed, Purpose::User, u64::from(epoch), u64::from(sample)) % 100 < ease
}

fn row(epoch: u32, sample: u32, correct: bool) -> ScoreRow {
    ScoreRow { epoch, step: 0, sample, loss: 1.0, correct, error_norm: 1.0, trained: true }
}

/// What a sample's standing depends on.
#[derive(Clone, Copy)]
struct Standing {
    active: bool,
    /// The epoch of its last entry or leave.
    since: u32,
}

/// Trains with a policy and hands every active set to `visit`, epoch by epoch, with the queue in its order as
/// the next decision will find it.
fn drive(
    policy: &dyn SievePolicy,
    context: &SieveContext,
    interval: u32,
    mut visit: impl FnMut(u32, &[u32], &[u32]),
) {
    let mut standings = vec![Standing { active: true, since: 0 }; context.samples as usize];
    for sample in policy.initially_outside() {
        standings[sample as usize].active = false;
    }
    let of = |standings: &[Standing], active: bool| -> Vec<u32> {
        (0..context.samples).filter(|sample| standings[*sample as usize].active == active).collect()
    };
    let mut state = policy.start(standings.len());
    for epoch in 0..context.epochs {
        if policy.decides(epoch) {
            let rank = |sample: &u32| {
                let since = standings[*sample as usize].since;
                (policy.rank(epoch, *sample, since, state.key(*sample as usize)), *sample)
            };
            let queue =
                |sample: &u32| (policy.queue(epoch, *sample, standings[*sample as usize].since), *sample);
            let (mut leave, mut enter) = (Vec::new(), Vec::new());
            match policy.cut(epoch) {
                Cut::Outside { out } => {
                    let mut all: Vec<u32> = (0..context.samples).collect();
                    all.sort_by_key(rank);
                    let (outside, inside) = all.split_at(out as usize);
                    leave.extend(outside.iter().filter(|sample| standings[**sample as usize].active));
                    enter.extend(inside.iter().filter(|sample| !standings[**sample as usize].active));
                }
                Cut::Exchange { count } => {
                    leave = of(&standings, true);
                    leave.sort_by_key(rank);
                    leave.truncate(count as usize);
                    enter = of(&standings, false);
                    enter.sort_by_key(queue);
                    enter.truncate(count as usize);
                }
            }
            leave
                .iter()
                .for_each(|sample| standings[*sample as usize] = Standing { active: false, since: epoch });
            enter
                .iter()
                .for_each(|sample| standings[*sample as usize] = Standing { active: true, since: epoch });
            state.clear();
        }
        let active = of(&standings, true);
        for sample in &active {
            state.observe(*sample as usize, &row(epoch, *sample, right(context.seed, epoch, *sample)));
        }
        let mut waiting = of(&standings, false);
        let next = (epoch / interval + 1) * interval;
        waiting
            .sort_by_key(|sample| (policy.queue(next, *sample, standings[*sample as usize].since), *sample));
        visit(epoch, &active, &waiting);
    }
}

/// `circular` as it is described, with a list for the queue and one for the active samples.
struct Lists {
    context: SieveContext,
    fraction: f64,
    /// Sample and epoch of its last entry.
    active: Vec<(u32, u32)>,
    queue: Vec<u32>,
    never_in: BTreeSet<u32>,
    /// What each sample showed in the current window.
    window: Vec<Vec<bool>>,
}

impl Lists {
    fn new(context: SieveContext, fraction: f64) -> Self {
        let mut all: Vec<u32> = (0..context.samples).collect();
        all.sort_by_key(|sample| draw(context.seed, Purpose::Outside, 0, u64::from(*sample)));
        let queue: Vec<u32> = all.drain(..(fraction * f64::from(context.samples)).round() as usize).collect();
        let never_in = queue.iter().copied().collect();
        let active = all.into_iter().map(|sample| (sample, 0)).collect();
        Self {
            context,
            fraction,
            active,
            queue,
            never_in,
            window: vec![Vec::new(); context.samples as usize],
        }
    }

    fn key(presentations: &[bool]) -> u32 {
        if !presentations.contains(&true) {
            return u32::MAX;
        }
        presentations.windows(2).filter(|pair| pair[0] && !pair[1]).count() as u32
    }

    fn update(&mut self, epoch: u32) {
        let tie = |sample: u32| draw(self.context.seed, Purpose::Tie, 0, u64::from(sample));
        self.active.sort_by_key(|(sample, entered)| {
            (Self::key(&self.window[*sample as usize]), *entered, tie(*sample))
        });
        let count = (self.fraction * self.active.len() as f64).round() as usize;
        let entering: Vec<u32> = self.queue.drain(..count).collect();
        let mut leaving: Vec<u32> = self.active.drain(..count).map(|(sample, _)| sample).collect();
        assert!(entering.iter().all(|sample| !leaving.contains(sample)), "nobody leaves and enters at once");
        let shuffle =
            |sample: &u32| draw(self.context.seed, Purpose::Queue, u64::from(epoch), u64::from(*sample));
        leaving.sort_by_key(shuffle);
        self.queue.extend(leaving);
        self.never_in.retain(|sample| !entering.contains(sample));
        if self.never_in.is_empty() {
            self.queue.sort_by_key(shuffle);
        }
        self.active.extend(entering.into_iter().map(|sample| (sample, epoch)));
        self.window.iter_mut().for_each(Vec::clear);
    }

    fn train(&mut self, epoch: u32) {
        for (sample, _) in &self.active {
            self.window[*sample as usize].push(right(self.context.seed, epoch, *sample));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn circular_is_its_description(
        seed in any::<u64>(),
        samples in 1u32..120,
        fraction in 0.0f64..0.9,
        interval in 2u32..6,
        updates in 0u32..25,
    ) {
        let context = SieveContext { seed, samples, epochs: interval * updates + 1 };
        prop_assume!(((fraction * f64::from(samples)).round() as u32) < samples);
        let policy = policy("circular", &context, fraction, interval).unwrap_or_else(|error| panic!("{error}"));
        let mut lists = Lists::new(context, fraction);
        let mut used = BTreeSet::new();
        drive(&*policy, &context, interval, |epoch, active, queue| {
            if epoch > 0 && epoch.is_multiple_of(interval) {
                lists.update(epoch);
            }
            lists.train(epoch);
            let mut expected: Vec<u32> = lists.active.iter().map(|(sample, _)| *sample).collect();
            expected.sort_unstable();
            assert_eq!(active, expected, "active in epoch {epoch}");
            assert_eq!(queue, lists.queue, "queue after epoch {epoch}");
            assert_eq!(active.len() as u32, policy.active_samples(epoch));
            used.extend(active.iter().copied());
        });
        // Who never started comes first: after out / count updates everybody has been in.
        let Cut::Exchange { count } = policy.cut(1) else { panic!("circular exchanges") };
        let out = samples - policy.active_samples(0);
        if count > 0 && updates >= out.div_ceil(count) {
            prop_assert_eq!(used.len() as u32, samples);
        }
    }

    #[test]
    fn every_sieve_keeps_its_size_and_decides_at_multiples_of_its_interval(
        seed in any::<u64>(),
        samples in 1u32..200,
        epochs in 1u32..20,
        interval in 2u32..5,
        which in 0..registry().len(),
    ) {
        let context = SieveContext { seed, samples, epochs };
        let name = registry()[which].name;
        let policy = policy(name, &context, 0.3, interval).unwrap_or_else(|error| panic!("{error}"));
        let outside = policy.initially_outside();
        prop_assert!(outside.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(outside.len() as u32, samples - policy.active_samples(0));
        for epoch in 0..epochs + 10 {
            let expected = name != "none" && epoch > 0 && epoch < epochs && epoch.is_multiple_of(interval);
            prop_assert_eq!(policy.decides(epoch), expected);
        }
        drive(&*policy, &context, interval, |epoch, active, _| {
            assert_eq!(active.len() as u32, policy.active_samples(epoch));
        });
    }
}

#[test]
fn keys_count_what_was_forgotten_in_the_window() {
    let context = SieveContext { seed: 1, samples: 7, epochs: 20 };
    let policy = policy("circular", &context, 0.2, 4).unwrap_or_else(|error| panic!("{error}"));
    let sequences = ["rrrr", "rwrw", "wrwr", "wwww", "wwwr", "rwww", ""];
    let expected = [0, 2, 1, u32::MAX, 0, 1, u32::MAX];
    let mut state = policy.start(7);
    for (slot, (sequence, expected)) in sequences.iter().zip(expected).enumerate() {
        for (epoch, letter) in sequence.chars().enumerate() {
            let score = ScoreRow { trained: epoch % 2 == 0, ..row(epoch as u32, slot as u32, letter == 'r') };
            state.observe(slot, &score);
        }
        assert_eq!(state.key(slot), expected, "{sequence}");
    }
    // A new window knows nothing of the one before: wrong after right counts only within it.
    state.clear();
    state.observe(0, &row(4, 0, false));
    assert_eq!(state.key(0), u32::MAX);
    state.observe(0, &row(5, 0, true));
    assert_eq!(state.key(0), 0);
}

#[test]
fn events_of_the_whole_run_count_across_decisions() {
    let context = SieveContext { seed: 1, samples: 5, epochs: 20 };
    let policy = policy("forgetting", &context, 0.2, 1).unwrap_or_else(|error| panic!("{error}"));
    let sequences = ["rwrwrw", "wwwwww", "wwwwwr", "rrrrrr", ""];
    let expected = [3, u32::MAX, 0, 0, u32::MAX];
    let mut state = policy.start(5);
    for epoch in 0..6 {
        for (slot, sequence) in sequences.iter().enumerate() {
            if let Some(letter) = sequence.chars().nth(epoch) {
                state.observe(slot, &row(epoch as u32, slot as u32, letter == 'r'));
            }
        }
        state.clear();
    }
    assert_eq!([0, 1, 2, 3, 4].map(|slot| state.key(slot)), expected);
    assert!(policy.initially_outside().is_empty());
    assert_eq!([policy.cut(0), policy.cut(3)], [Cut::Outside { out: 0 }, Cut::Outside { out: 1 }]);
    let rank = |key| policy.rank(3, 1, 2, key);
    assert!(rank(0) < rank(3) && rank(3) < rank(u32::MAX), "who was never right comes last");
    assert_eq!(rank(3), Rank { key: 3, since: 0, hash: draw(1, Purpose::Tie, 0, 1) });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn forgetting_is_one_sort_of_the_whole_history(
        seed in any::<u64>(),
        samples in 1u32..120,
        fraction in 0.0f64..0.9,
        interval in 1u32..5,
        epochs in 1u32..20,
    ) {
        let context = SieveContext { seed, samples, epochs };
        let out = (fraction * f64::from(samples)).round() as usize;
        prop_assume!(out < samples as usize);
        let policy = policy("forgetting", &context, fraction, interval).unwrap_or_else(|error| panic!("{error}"));
        let mut shown: Vec<Vec<bool>> = vec![Vec::new(); samples as usize];
        let mut expected: Vec<u32> = (0..samples).collect();
        drive(&*policy, &context, interval, |epoch, active, _| {
            if epoch > 0 && epoch.is_multiple_of(interval) {
                let mut all: Vec<u32> = (0..samples).collect();
                let tie = |sample: u32| draw(seed, Purpose::Tie, 0, u64::from(sample));
                all.sort_by_key(|sample| (Lists::key(&shown[*sample as usize]), tie(*sample)));
                expected = all.split_off(out);
                expected.sort_unstable();
            }
            assert_eq!(active, expected, "epoch {epoch}");
            active.iter().for_each(|sample| shown[*sample as usize].push(right(seed, epoch, *sample)));
        });
    }
}

#[test]
fn ranks_go_by_key_then_entry_then_draw() {
    let context = SieveContext { seed: 5, samples: 100, epochs: 20 };
    let policy = policy("circular", &context, 0.2, 2).unwrap_or_else(|error| panic!("{error}"));
    assert!(policy.rank(8, 1, 6, 0) < policy.rank(8, 2, 0, 1), "fewer events first");
    assert!(policy.rank(8, 1, 2, 1) < policy.rank(8, 2, 4, 1), "then the earlier entry");
    assert!(policy.rank(8, 1, 0, 7) < policy.rank(8, 2, 0, u32::MAX), "who never was right comes last");
    let (one, two) = (policy.rank(8, 1, 4, 1), policy.rank(8, 2, 4, 1));
    let tie = |sample| draw(5, Purpose::Tie, 0, sample);
    assert_eq!(one < two, tie(1) < tie(2));
    // 20 wait, 16 are exchanged: the second update takes the last of them in, the queue is shuffled from then on.
    assert!(policy.queue(2, 1, 0) < policy.queue(4, 2, 2), "first in, first out");
    assert_eq!(policy.queue(4, 1, 2).since, 2);
    assert_eq!(policy.queue(6, 1, 2), Rank { key: 0, since: 0, hash: draw(5, Purpose::Queue, 4, 1) });
}

#[test]
fn a_random_subset_is_drawn_anew_at_every_interval() {
    let context = SieveContext { seed: 9, samples: 400, epochs: 200 };
    let policy = policy("random", &context, 0.25, 1).unwrap_or_else(|error| panic!("{error}"));
    let hash = draw(9, Purpose::Subset, 3, 5);
    assert_eq!(policy.rank(3, 5, 2, 7), Rank { key: (hash >> 32) as u32, since: 0, hash });
    let mut outside = vec![0u32; 400];
    let mut previous = Vec::new();
    drive(&*policy, &context, 1, |epoch, active, _| {
        let mut drawn: Vec<u32> = (0..400).collect();
        drawn.sort_by_key(|sample| draw(9, Purpose::Subset, u64::from(epoch), u64::from(*sample)));
        let mut expected = drawn[100..].to_vec();
        expected.sort_unstable();
        assert_eq!(active, expected);
        assert_ne!(active, previous);
        drawn[..100].iter().for_each(|sample| outside[*sample as usize] += 1);
        previous = active.to_vec();
    });
    // 200 subsets, each sample out of a quarter: 50 ± five standard deviations of a binomial.
    assert!(outside.iter().all(|out| (f64::from(*out) - 50.0).abs() < 5.0 * 37.5f64.sqrt()), "{outside:?}");
}

#[test]
fn a_fraction_that_leaves_nobody_is_a_contradiction() {
    let context = SieveContext { seed: 1, samples: 10, epochs: 8 };
    for name in ["random", "circular", "forgetting"] {
        let Err(error) = policy(name, &context, 0.96, 2) else { panic!("{name} leaves nobody") };
        let text = "`sieve.fraction`: 0.96 of 10 samples leaves none to train on; choose less";
        assert_eq!(error.to_string(), text);
        assert!(policy(name, &context, 0.94, 2).is_ok());
    }
    let Err(error) = policy("circular", &context, 0.1, 1) else {
        panic!("forgetting takes two presentations")
    };
    assert_eq!(error.to_string(), "`sieve.interval` = 1 is out of range: 2 to 4294967295");
}

#[test]
fn every_state_that_was_saved_goes_on_like_the_one_that_was_not() {
    let context = SieveContext { seed: 5, epochs: 9, samples: 40 };
    for entry in registry() {
        let policy = policy(entry.name, &context, 0.3, 3).ok().unwrap();
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
            let columns = state.columns().expect("registered policies can be saved");
            // Whoever goes on may number the samples differently.
            let other = |sample: u32| (sample * 7 % 40) as usize;
            let mut restored = policy.start(40);
            if !columns.is_empty() {
                assert_eq!((columns[0].name, columns[1].name), ("epoch", "sample"), "{}", entry.name);
                let mut rows = Columns::new(&columns);
                (0..40).for_each(|sample| state.save(sample as usize, epoch + 1, sample, &mut rows));
                assert_eq!(rows.rows, 40);
                (0..40).for_each(|sample| restored.restore(other(sample), &rows, sample as usize));
            }
            for sample in 0..40 {
                assert_eq!(state.key(sample as usize), restored.key(other(sample)), "{}", entry.name);
            }
            show(&mut *restored, &other, epoch + 1);
            let mut whole = policy.start(40);
            // Nothing but the whole history gives what goes on must give.
            (0..=epoch + 1).for_each(|epoch| show(&mut *whole, &|sample| sample as usize, epoch));
            for sample in 0..40 {
                assert_eq!(whole.key(sample as usize), restored.key(other(sample)), "{}", entry.name);
            }
        }
    }
}
