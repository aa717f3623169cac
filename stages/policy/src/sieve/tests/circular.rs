//! `circular` against a simulation with plain lists, its keys and ranks by hand.

use std::collections::BTreeSet;

use proptest::prelude::*;
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::ScoreRow;

use super::{drive, key, policy, right, row};
use crate::sieve::{Cut, Rank, SieveContext};

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

    fn update(&mut self, epoch: u32) {
        let tie = |sample: u32| draw(self.context.seed, Purpose::Tie, 0, u64::from(sample));
        self.active
            .sort_by_key(|(sample, entered)| (key(&self.window[*sample as usize]), *entered, tie(*sample)));
        let count = (self.fraction * self.active.len() as f64).round() as usize;
        let entering: Vec<u32> = self.queue.drain(..count).collect();
        let mut leaving: Vec<u32> = self.active.drain(..count).map(|(sample, _)| sample).collect();
        assert!(entering.iter().all(|sample| !leaving.contains(sample)), "none leaves and enters at once");
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
        let policy = policy("circular", &context, fraction, interval).unwrap();
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
        // What started outside comes first: after out / count updates every sample has been in.
        let Cut::Exchange { count } = policy.decision(1).cut else { panic!("circular exchanges") };
        let out = samples - policy.active_samples(0);
        if count > 0 && updates >= out.div_ceil(count) {
            prop_assert_eq!(used.len() as u32, samples);
        }
    }
}

#[test]
fn keys_count_what_was_forgotten_in_the_window() {
    let context = SieveContext { seed: 1, samples: 7, epochs: 20 };
    let policy = policy("circular", &context, 0.2, 4).unwrap();
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
fn ranks_go_by_key_then_entry_then_draw() {
    let context = SieveContext { seed: 5, samples: 100, epochs: 20 };
    let policy = policy("circular", &context, 0.2, 2).unwrap();
    assert!(policy.rank(8, 1, 6, 0) < policy.rank(8, 2, 0, 1), "fewer events first");
    assert!(policy.rank(8, 1, 2, 1) < policy.rank(8, 2, 4, 1), "then the earlier entry");
    assert!(policy.rank(8, 1, 0, 7) < policy.rank(8, 2, 0, u32::MAX), "what never was right comes last");
    let (one, two) = (policy.rank(8, 1, 4, 1), policy.rank(8, 2, 4, 1));
    let tie = |sample| draw(5, Purpose::Tie, 0, sample);
    assert_eq!(one < two, tie(1) < tie(2));
    // 20 wait, 16 are exchanged: the second update takes the last of them in, the queue is shuffled from then
    // on.
    assert!(policy.queue(2, 1, 0) < policy.queue(4, 2, 2), "first in, first out");
    assert_eq!(policy.queue(4, 1, 2).since, 2);
    assert_eq!(policy.queue(6, 1, 2), Rank { key: 0, since: 0, hash: draw(5, Purpose::Queue, 4, 1) });
}
