//! Who leaves and who enters, recomputed with plain lists from the recorded scores.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use spfde_data::random::{Purpose, draw};
use spfde_data::rows::{ScoreRow, SieveRow};

use crate::support::{Bench, Recorded};

/// A configuration of a sieve and its run.
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) samples: u32,
    pub(crate) epochs: u32,
    pub(crate) fraction: f64,
    pub(crate) interval: u32,
}

/// The samples of a class, or all of them, and how many of them are out and how many are exchanged.
struct Own {
    samples: Vec<u32>,
    out: usize,
    exchanged: usize,
}

/// The largest remainder, of equal ones the first class; a class that has as many as `most` says is passed
/// over.
fn apportioned(count: usize, sizes: &[usize], most: impl Fn(usize) -> usize) -> Vec<usize> {
    let whole: usize = sizes.iter().sum();
    let mut shares: Vec<usize> = sizes.iter().map(|size| count * size / whole).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|class| (std::cmp::Reverse(count * sizes[*class] % whole), *class));
    let left = count - shares.iter().sum::<usize>();
    order.retain(|class| shares[*class] < most(*class));
    order[..left].iter().for_each(|class| shares[*class] += 1);
    assert!((0..sizes.len()).all(|class| shares[class] <= most(class)), "{shares:?}");
    shares
}

impl Case {
    fn run(&self, policy: &str) -> (Bench, Recorded) {
        self.run_on(Bench::new(self.samples as usize), &[&format!("sieve.policy={policy}")])
    }

    fn run_on(&self, bench: Bench, more: &[&str]) -> (Bench, Recorded) {
        let Self { seed, epochs, fraction, interval, .. } = self;
        let words = [
            format!("seed={seed}"),
            format!("train.epochs={epochs}"),
            format!("sieve.fraction={fraction}"),
            format!("sieve.interval={interval}"),
        ];
        let mut all = vec!["model.name=lenet5", "mask.sparsity=0.5", "freeze.policy=none"];
        all.extend(words.iter().map(String::as_str).chain(more.iter().copied()));
        let experiment = bench.experiment(&all);
        let run = bench.record("run", &experiment, 3);
        run.assert_sound(*epochs);
        (bench, run)
    }

    fn hash(&self, purpose: Purpose, epoch: u32, sample: u32) -> u64 {
        draw(self.seed, purpose, u64::from(epoch), u64::from(sample))
    }

    fn count(&self, whole: u32) -> usize {
        (self.fraction * f64::from(whole)).round() as usize
    }

    /// All samples.
    fn all(&self) -> Own {
        let (samples, out) = ((0..self.samples).collect(), self.count(self.samples));
        Own { samples, out, exchanged: self.count(self.samples - out as u32) }
    }

    /// The samples of each class.
    fn classes(&self, labels: &[u16]) -> Vec<Own> {
        let all = self.all();
        let own = |label| all.samples.iter().copied().filter(move |sample| labels[*sample as usize] == label);
        let classes: Vec<Vec<u32>> = (0..10).map(|label| own(label).collect()).collect();
        let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
        let outside = apportioned(all.out, &sizes, |class| sizes[class] - 1);
        let active: Vec<usize> = sizes.iter().zip(&outside).map(|(size, out)| size - out).collect();
        let exchanged = apportioned(all.exchanged, &active, |class| active[class].min(outside[class]));
        let counts = outside.into_iter().zip(exchanged);
        classes
            .into_iter()
            .zip(counts)
            .map(|(samples, (out, exchanged))| Own { samples, out, exchanged })
            .collect()
    }

    /// The update from which on the queue is shuffled: the one that takes the last sample in that started
    /// outside, if all of them are one class.
    fn shuffles_at(&self) -> u32 {
        let all = self.all();
        all.out.div_ceil(all.exchanged.max(1)) as u32 * self.interval
    }
}

/// A change as `(epoch, sample) → (diff, key)`.
pub(crate) type Changes = BTreeMap<(u32, u32), (i8, u32)>;

pub(crate) fn recorded(run: &Recorded) -> Changes {
    let rows = run.rows::<SieveRow>();
    assert!(rows.iter().all(|row| row.weight == 1.0), "nobody is weighted");
    let changes: Changes = rows.iter().map(|row| ((row.epoch, row.sample), (row.diff, row.key))).collect();
    assert_eq!(changes.len(), rows.len(), "a sample has at most one row an epoch");
    changes
}

/// What a sample showed in a window: forgetting events, or `u32::MAX` if it was never right.
pub(crate) fn forgotten(presentations: &[bool]) -> u32 {
    match presentations.contains(&true) {
        true => presentations.windows(2).filter(|pair| pair[0] && !pair[1]).count() as u32,
        false => u32::MAX,
    }
}

/// The whole of `circular` with a list for the queue and one sort a window.
pub(crate) fn circulate(case: &Case, scores: &[ScoreRow]) -> Changes {
    circulate_in(case, scores, &case.all(), |_, waiting| waiting.is_empty())
}

/// As [`circulate`], of some of the samples; `shuffles` says whether the queue is shuffled at an epoch, after
/// which these samples have never been in.
fn circulate_in(
    case: &Case,
    scores: &[ScoreRow],
    own: &Own,
    shuffles: impl Fn(u32, &BTreeSet<u32>) -> bool,
) -> Changes {
    let mut changes = Changes::new();
    let mut drawn = own.samples.clone();
    drawn.sort_by_key(|sample| (case.hash(Purpose::Outside, 0, *sample), *sample));
    let mut queue: VecDeque<u32> = drawn[..own.out].iter().copied().collect();
    let mut waiting: BTreeSet<u32> = queue.iter().copied().collect();
    let mut entered: BTreeMap<u32, u32> = drawn[own.out..].iter().map(|sample| (*sample, 0)).collect();
    changes.extend(entered.keys().map(|sample| ((0, *sample), (1, 0))));
    for epoch in (1..case.epochs).filter(|epoch| epoch % case.interval == 0) {
        let window = epoch - case.interval..epoch;
        let mut shown: BTreeMap<u32, Vec<bool>> = BTreeMap::new();
        for row in scores.iter().filter(|row| window.contains(&row.epoch)) {
            shown.entry(row.sample).or_default().push(row.correct);
        }
        let key = |sample: u32| forgotten(shown.get(&sample).map_or(&[], Vec::as_slice));
        let mut ranked: Vec<u32> = entered.keys().copied().collect();
        ranked.sort_by_key(|sample| {
            (key(*sample), entered[sample], case.hash(Purpose::Tie, 0, *sample), *sample)
        });
        let count = own.exchanged;
        let entering: Vec<u32> = queue.drain(..count).collect();
        let mut leaving = ranked[..count].to_vec();
        for sample in &leaving {
            entered.remove(sample);
            changes.insert((epoch, *sample), (-1, key(*sample)));
        }
        for sample in entering {
            waiting.remove(&sample);
            entered.insert(sample, epoch);
            changes.insert((epoch, sample), (1, 0));
        }
        leaving.sort_by_key(|sample| (case.hash(Purpose::Queue, epoch, *sample), *sample));
        queue.extend(leaving);
        if shuffles(epoch, &waiting) {
            queue
                .make_contiguous()
                .sort_by_key(|sample| (case.hash(Purpose::Queue, epoch, *sample), *sample));
        }
    }
    changes
}

/// A fresh subset every window: the lowest draws are out.
fn subsets(case: &Case, own: &Own) -> Changes {
    let mut changes = Changes::new();
    let mut outside: BTreeSet<u32> = own.samples.iter().copied().collect();
    for epoch in (0..case.epochs).filter(|epoch| epoch % case.interval == 0) {
        let mut drawn = own.samples.clone();
        let hash = |sample: u32| case.hash(Purpose::Subset, epoch, sample);
        drawn.sort_by_key(|sample| (hash(*sample), *sample));
        let next: BTreeSet<u32> = drawn[..own.out].iter().copied().collect();
        changes.extend(outside.difference(&next).map(|sample| ((epoch, *sample), (1, 0))));
        let ranked_by = |sample: &u32| (hash(*sample) >> 32) as u32;
        if epoch > 0 {
            changes
                .extend(next.difference(&outside).map(|sample| ((epoch, *sample), (-1, ranked_by(sample)))));
        }
        outside = next;
    }
    changes
}

/// One sort of all samples by their whole history, at every interval.
fn forgetters(case: &Case, scores: &[ScoreRow], own: &Own) -> Changes {
    let mut changes: Changes = own.samples.iter().map(|sample| ((0, *sample), (1, 0))).collect();
    let mut outside: BTreeSet<u32> = BTreeSet::new();
    for epoch in (1..case.epochs).filter(|epoch| epoch % case.interval == 0) {
        let mut shown: BTreeMap<u32, Vec<bool>> = BTreeMap::new();
        for row in scores.iter().filter(|row| row.epoch < epoch) {
            shown.entry(row.sample).or_default().push(row.correct);
        }
        let rank = |sample: u32| (forgotten(&shown[&sample]), case.hash(Purpose::Tie, 0, sample), sample);
        let mut ranked: Vec<(u32, u64, u32)> = own.samples.iter().copied().map(rank).collect();
        ranked.sort_unstable();
        ranked.truncate(own.out);
        let next: BTreeSet<u32> = ranked.iter().map(|(.., sample)| *sample).collect();
        changes.extend(outside.difference(&next).map(|sample| ((epoch, *sample), (1, 0))));
        let leave = ranked.iter().filter(|(.., sample)| !outside.contains(sample));
        changes.extend(leave.map(|(key, _, sample)| ((epoch, *sample), (-1, *key))));
        outside = next;
    }
    changes
}

/// The active samples of every epoch, from the deltas.
pub(crate) fn active_sets(case: &Case, changes: &Changes) -> Vec<BTreeSet<u32>> {
    let mut active = BTreeSet::new();
    let mut sets = Vec::new();
    for epoch in 0..case.epochs {
        for ((_, sample), (diff, _)) in changes.range((epoch, 0)..(epoch + 1, 0)) {
            let changed = if *diff > 0 { active.insert(*sample) } else { active.remove(sample) };
            assert!(changed, "epoch {epoch}: sample {sample} changes by {diff}");
        }
        sets.push(active.clone());
    }
    sets
}

fn assert_the_size_is_constant(case: &Case, changes: &Changes) {
    let inside = case.samples as usize - case.count(case.samples);
    for (epoch, active) in active_sets(case, changes).iter().enumerate() {
        assert_eq!(active.len(), inside, "epoch {epoch}");
    }
}

pub(crate) fn first_difference(left: &Changes, right: &Changes) -> Option<((u32, u32), String)> {
    let keys: BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let different = keys.into_iter().find(|key| left.get(key) != right.get(key))?;
    Some((*different, format!("{:?} and {:?}", left.get(different), right.get(different))))
}

#[test]
fn circular_exchanges_exactly_whom_a_list_and_a_sort_would() {
    let case = |seed, samples, epochs, fraction, interval| Case { seed, samples, epochs, fraction, interval };
    let cases = [
        case(1, 120, 9, 0.15, 2),
        case(2, 120, 13, 0.3, 3),
        case(3, 101, 11, 0.5, 2),
        case(4, 60, 11, 0.7, 2),
    ];
    for case in cases {
        let (_bench, run) = case.run("circular");
        let (found, scores) = (recorded(&run), run.rows::<ScoreRow>());
        let expected = circulate(&case, &scores);
        assert_eq!(first_difference(&found, &expected), None, "fraction {}", case.fraction);
        assert_the_size_is_constant(&case, &found);
        let keys: BTreeSet<u32> = found.values().filter(|(diff, _)| *diff < 0).map(|(_, key)| *key).collect();
        assert!(keys.len() > 1, "the scores decide, not only the ties: {keys:?}");
    }
}

#[test]
fn random_draws_exactly_the_subset_that_a_sort_would() {
    let case = |seed, fraction, interval| Case { seed, samples: 97, epochs: 7, fraction, interval };
    for case in [case(1, 0.15, 1), case(2, 0.4, 2), case(3, 0.9, 3)] {
        let (_bench, run) = case.run("random");
        let found = recorded(&run);
        assert_eq!(
            first_difference(&found, &subsets(&case, &case.all())),
            None,
            "fraction {}",
            case.fraction
        );
        assert_the_size_is_constant(&case, &found);
    }
}

#[test]
fn forgetting_takes_out_exactly_whom_a_sort_of_all_scores_would() {
    let case = |seed, fraction, interval| Case { seed, samples: 97, epochs: 8, fraction, interval };
    for case in [case(1, 0.3, 1), case(2, 0.15, 2), case(3, 0.6, 3)] {
        let (_bench, run) = case.run("forgetting");
        let found = recorded(&run);
        let expected = forgetters(&case, &run.rows::<ScoreRow>(), &case.all());
        assert_eq!(first_difference(&found, &expected), None, "fraction {}", case.fraction);
        for (epoch, active) in active_sets(&case, &found).iter().enumerate() {
            let out = if (epoch as u32) < case.interval { 0 } else { case.count(case.samples) };
            assert_eq!(active.len(), case.samples as usize - out, "epoch {epoch}");
        }
    }
}

#[test]
fn every_sample_is_trained_in_the_end_and_each_active_one_once_an_epoch() {
    let case = Case { seed: 5, samples: 90, epochs: 10, fraction: 0.2, interval: 2 };
    let (_bench, run) = case.run("circular");
    let active = active_sets(&case, &recorded(&run));
    let scores = run.rows::<ScoreRow>();
    let mut trained: BTreeSet<u32> = BTreeSet::new();
    for (epoch, active) in active.iter().enumerate() {
        let mut presented: Vec<u32> =
            scores.iter().filter(|row| row.epoch == epoch as u32).map(|row| row.sample).collect();
        presented.sort_unstable();
        assert!(presented.iter().eq(active), "epoch {epoch}: each active sample once");
        trained.extend(presented);
    }
    assert_eq!(trained.len(), 90);
    assert!(active[0].len() < 90 && active[9] != active[0]);
}

#[test]
fn a_sieve_that_keeps_everyone_changes_nothing() {
    let case = Case { seed: 1, samples: 50, epochs: 5, fraction: 0.0, interval: 2 };
    for policy in ["circular", "random", "forgetting"] {
        let (_bench, run) = case.run(policy);
        let found = recorded(&run);
        assert!(found.keys().map(|(epoch, _)| *epoch).eq([0; 50]), "{policy}: everyone enters at the start");
    }
}

#[test]
fn by_class_every_class_is_cut_as_a_list_and_a_sort_of_it_would() {
    let case = |seed, fraction, interval| Case { seed, samples: 170, epochs: 9, fraction, interval };
    for case in [case(1, 0.15, 2), case(2, 0.3, 2), case(3, 0.6, 3)] {
        for policy in ["circular", "random", "forgetting"] {
            let bench = Bench::skewed(case.samples as usize);
            let (data, policy_word) = (bench.data_word(), format!("sieve.policy={policy}"));
            let (bench, run) = case.run_on(bench, &[&data, &policy_word, "sieve.stratify=true"]);
            let (found, scores, labels) =
                (recorded(&run), run.rows::<ScoreRow>(), bench.data().train.labels.clone());
            let mut expected = Changes::new();
            for own in case.classes(&labels) {
                expected.extend(match policy {
                    "circular" => circulate_in(&case, &scores, &own, |epoch, _| epoch >= case.shuffles_at()),
                    "random" => subsets(&case, &own),
                    _ => forgetters(&case, &scores, &own),
                });
            }
            let what = format!("{policy}, fraction {}", case.fraction);
            assert_eq!(first_difference(&found, &expected), None, "{what}");
            for (epoch, active) in active_sets(&case, &found).iter().enumerate() {
                let all_in = policy == "forgetting" && (epoch as u32) < case.interval;
                for own in case.classes(&labels) {
                    let inside = own.samples.iter().filter(|sample| active.contains(sample)).count();
                    let out = if all_in { 0 } else { own.out };
                    assert_eq!(inside, own.samples.len() - out, "{what}: epoch {epoch}");
                }
            }
        }
    }
}
