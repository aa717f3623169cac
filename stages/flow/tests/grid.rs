//! A grid of sieve policies against one policy at a time with plain lists and sorts, on several numbers of
//! workers.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use spfde_data::random::{Purpose, draw};
use spfde_data::rows::ScoreRow;
use spfde_data::scores::{ScoreColumns, ScoreSource};
use spfde_data::segment::{RecordingError, Segment, SegmentStore, SegmentWriter, StorageError};
use spfde_data::table::{Column, Columns};
use spfde_flow::Tick;
use spfde_flow::grid::{DecisionRow, Found, Grid, KeyRow, MemberRow, grid};
use spfde_policy::sieve::{
    All, Circular, Classes, ErrorNorm, Forgetting, InfoBatch, Loss, OneShot, Random, policy,
};
use spfde_policy::{Cut, Decision, Rank, SieveContext, SievePolicy, SieveState};
use timely::Config;

const SEED: u64 = 11;
const EPOCHS: u32 = 9;

/// The norm of the error of a sample in a step; few values, so that many are equal.
fn error_norm(step: u64, sample: u32) -> f32 {
    (step ^ u64::from(sample)) as f32 % 8.0 / 8.0
}

/// Scores in memory: each part with its rows as (epoch, step, sample, right).
struct Scores {
    samples: u32,
    parts: Vec<Vec<(u32, u64, u32, bool)>>,
}

impl Scores {
    /// Each epoch in three parts whose steps interleave, rows in any order; some samples lack a score here
    /// and there, some have two in an epoch. One more part has rows of many epochs.
    fn new(samples: u32) -> Self {
        let mut parts = vec![Vec::new(); 3 * EPOCHS as usize + 1];
        for epoch in 0..EPOCHS {
            for sample in 0..samples {
                let chance = draw(SEED, Purpose::User, u64::from(epoch), u64::from(sample));
                if chance.is_multiple_of(7) {
                    continue;
                }
                let step = chance >> 8 & 15;
                let ease = draw(SEED, Purpose::User, 1000, u64::from(sample)) % 100;
                let right = (chance >> 16) % 100 < ease;
                let part = match chance >> 40 & 15 {
                    0 => 0,
                    other => 1 + 3 * epoch as usize + other as usize % 3,
                };
                parts[part].push((epoch, step, sample, right));
                if chance.is_multiple_of(11) {
                    // Later in the same epoch, wherever it stands.
                    parts[1 + 3 * epoch as usize].insert(0, (epoch, step + 20, sample, !right));
                }
            }
        }
        parts.sort_by_key(|rows| rows.iter().map(|row| row.0).min());
        Self { samples, parts }
    }

    fn first(&self, part: usize) -> Option<u32> {
        self.parts[part].iter().map(|row| row.0).min()
    }

    /// All rows of an epoch in the order in which they count.
    fn epoch(&self, epoch: u32) -> Vec<(u32, u64, u32, bool)> {
        let mut rows: Vec<_> = self.parts.iter().flatten().copied().filter(|row| row.0 == epoch).collect();
        rows.sort_by_key(|row| row.1);
        rows
    }
}

impl ScoreSource for Scores {
    fn samples(&self) -> u32 {
        self.samples
    }

    /// With gaps.
    fn sample(&self, slot: u32) -> u32 {
        3 * slot + 5
    }

    fn epochs(&self) -> u32 {
        EPOCHS
    }

    fn parts(&self, epoch: u32) -> Range<usize> {
        let of = |part: &usize| self.first(*part) == Some(epoch);
        let parts: Vec<usize> = (0..self.parts.len()).filter(of).collect();
        parts.first().map_or(0..0, |first| *first..first + parts.len())
    }

    fn read(&self, part: usize, visit: &mut dyn FnMut(&ScoreColumns)) -> Result<(), RecordingError> {
        for rows in self.parts[part].chunks(13) {
            visit(&ScoreColumns {
                epochs: rows.iter().map(|row| row.0).collect(),
                steps: rows.iter().map(|row| row.1).collect(),
                slots: rows.iter().map(|row| row.2).collect(),
                correct: rows.iter().map(|row| row.3).collect(),
                losses: rows.iter().map(|row| row.1 as f32).collect(),
                error_norms: rows.iter().map(|row| error_norm(row.1, row.2)).collect(),
                ..ScoreColumns::default()
            });
        }
        Ok(())
    }
}

/// Keeps what is written.
#[derive(Default)]
struct Kept(Mutex<Vec<DecisionRow>>);

struct Open(Arc<Kept>, Segment);

struct Store(Arc<Kept>);

impl SegmentStore for Store {
    fn create(
        &self,
        stream: &str,
        _: &[Column],
        epoch: u32,
        worker: u32,
    ) -> Result<Box<dyn SegmentWriter>, StorageError> {
        let (path, blake3) = (String::new(), String::new());
        let segment = Segment { stream: stream.to_owned(), epoch, worker, path, rows: 0, bytes: 0, blake3 };
        Ok(Box::new(Open(Arc::clone(&self.0), segment)))
    }
}

impl SegmentWriter for Open {
    fn append(&mut self, rows: &Columns) -> Result<(), StorageError> {
        let rows = rows.into_rows::<DecisionRow>();
        assert!(rows.iter().all(|row| row.epoch == self.1.epoch));
        self.0.0.lock().unwrap().extend(rows);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Segment, StorageError> {
        Ok(self.1)
    }
}

/// A policy that ranks by the last loss, lets samples that came lately stay, and weighs some more than
/// others.
struct Lately {
    epochs: u32,
    samples: u32,
    outside: u32,
    cut: fn(u32) -> Cut,
    /// Whether it shares its state, and then its order, with others. When a sample entered counts nothing
    /// then.
    shares: bool,
    classes: Option<Arc<Classes>>,
}

/// More than there are in the queue at one epoch.
fn exchange(epoch: u32) -> Cut {
    Cut::Exchange { count: if epoch == 6 { 40 } else { 9 } }
}

fn outside(epoch: u32) -> Cut {
    Cut::Outside { out: 5 * epoch }
}

/// Every kind of cut after every other.
fn mixed(epoch: u32) -> Cut {
    match epoch {
        1 | 5 | 9 => outside(epoch),
        3 | 8 => Cut::BelowMean { kept: 0.4 },
        _ => exchange(epoch),
    }
}

struct LastLoss(Vec<u32>);

impl SieveState for LastLoss {
    fn observe(&mut self, slot: usize, score: &ScoreRow) {
        self.0[slot] = score.loss as u32;
    }
    fn key(&self, slot: usize) -> u32 {
        self.0[slot]
    }
    fn clear(&mut self) {
        self.0.fill(3);
    }
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }
    fn save(&self, _: usize, _: u32, _: u32, _: &mut Columns) {}
    fn restore(&mut self, _: usize, _: &Columns, _: usize) {}
}

impl SievePolicy for Lately {
    fn name(&self) -> &'static str {
        "lately"
    }
    fn active_samples(&self, epoch: u32) -> u32 {
        let fixed = (1..=epoch).rev().filter(|epoch| self.decides(*epoch));
        let out = fixed.map(|epoch| (self.cut)(epoch)).find_map(|cut| match cut {
            Cut::Outside { out } => Some(out),
            _ => None,
        });
        self.samples - out.unwrap_or(self.outside).min(self.samples)
    }
    fn initially_outside(&self) -> Vec<u32> {
        (0..self.samples.min(self.outside)).collect()
    }
    fn decides(&self, epoch: u32) -> bool {
        (1..self.epochs).contains(&epoch) && epoch != 4
    }
    fn concluding(&self) -> Arc<dyn SievePolicy> {
        unreachable!("its epochs say what it decides")
    }
    fn decision(&self, epoch: u32) -> Decision {
        Decision { cut: (self.cut)(epoch), weight: [1.0, 1.5, 1.5, 0.25][epoch as usize % 4] }
    }
    fn rank(&self, epoch: u32, sample: u32, entered: u32, key: u32) -> Rank {
        let entered = if self.shares { 0 } else { entered };
        Rank { key: key * 1000 + entered, since: epoch - entered, hash: u64::from(sample % 3) }
    }
    fn queue(&self, _: u32, sample: u32, left: u32) -> Rank {
        Rank { key: 0, since: left, hash: u64::from(sample % 5) }
    }
    fn keeps(&self, epoch: u32, sample: u32, share: f64) -> bool {
        f64::from(draw(SEED, Purpose::User, u64::from(epoch), u64::from(sample)) as u32)
            < share * 2f64.powi(32)
    }
    fn alike(&self) -> Option<[u64; 3]> {
        self.shares.then_some([0, 0, 0])
    }
    fn classes(&self) -> Option<&Arc<Classes>> {
        self.classes.as_ref()
    }
    fn reads_losses(&self) -> bool {
        true
    }
    fn start(&self, samples: usize) -> Box<dyn SieveState> {
        Box::new(LastLoss(vec![3; samples]))
    }
}

/// Counts only, one after the other.
fn counted(epoch: u32) -> Cut {
    if epoch.is_multiple_of(3) { Cut::Outside { out: epoch } } else { Cut::Exchange { count: 2 } }
}

/// Four classes, the first ones larger; one of them small.
fn classes(samples: u32) -> Arc<Classes> {
    let labels = (0..samples).map(|sample| match draw(SEED, Purpose::User, 77, u64::from(sample)) % 20 {
        0 => 9,
        other => (other % 6 / 2) as u16,
    });
    Arc::new(Classes::new(&labels.collect::<Vec<u16>>()))
}

/// Every kind of policy with several seeds, fractions and intervals, by class and not, and some from outside.
fn members(samples: u32) -> Vec<Arc<dyn SievePolicy>> {
    let mut members: Vec<Arc<dyn SievePolicy>> = Vec::new();
    let classes = classes(samples);
    for (seed, fraction, interval) in
        [(SEED, 0.15, 2), (SEED, 0.3, 2), (SEED, 0.0, 2), (SEED, 0.3, 3), (5, 0.3, 2), (SEED, 0.8, 2)]
    {
        let context = SieveContext { seed, epochs: EPOCHS + 1, samples };
        members.extend([
            policy(All::default(), &context).unwrap(),
            policy(Random { fraction, interval, ..Random::default() }, &context).unwrap(),
            policy(Circular { fraction, interval, ..Circular::default() }, &context).unwrap(),
            policy(Circular { fraction, interval, until: 0.6 }, &context).unwrap(),
            policy(Forgetting { fraction, interval, ..Forgetting::default() }, &context).unwrap(),
            policy(Forgetting { fraction, interval, warmup: 3, until: 0.8 }, &context).unwrap(),
            policy(InfoBatch { fraction, interval, ..InfoBatch::default() }, &context).unwrap(),
            policy(OneShot { fraction, ..OneShot::default() }, &context).unwrap(),
            policy(Loss { fraction, interval, ..Loss::default() }, &context).unwrap(),
            policy(ErrorNorm { fraction, interval, warmup: 1, ..ErrorNorm::default() }, &context).unwrap(),
        ]);
    }
    let by_class = members.iter().filter_map(|member| member.stratified(&classes).ok());
    let by_class: Vec<_> = by_class.filter(|member| member.name() != "none").collect();
    members.extend(by_class);
    type Own = (u32, fn(u32) -> Cut, bool, bool);
    let own: [Own; 9] = [
        (0, outside, false, false),
        (15, exchange, false, false),
        (8, mixed, false, false),
        (8, mixed, true, false),
        (0, mixed, true, false),
        (0, outside, false, true),
        (0, outside, true, true),
        (0, counted, false, true),
        (0, counted, true, true),
    ];
    for (outside, cut, shares, by_class) in own {
        let classes = by_class.then(|| Arc::clone(&classes));
        // The rules above take counts that grow with the epochs; by class the classes have to hold them.
        if by_class && samples < 5 * EPOCHS {
            continue;
        }
        members.push(Arc::new(Lately { epochs: EPOCHS + 1, samples, outside, cut, shares, classes }));
    }
    members
}

/// One policy with plain lists: what is written, what is said of each epoch, the final keys.
fn by_hand(
    scores: &Scores,
    policy: &dyn SievePolicy,
    member: u32,
) -> (Vec<DecisionRow>, Vec<MemberRow>, Vec<KeyRow>) {
    let mut weights: BTreeMap<u32, Option<f32>> =
        (0..scores.samples).map(|sample| (sample, Some(1.0))).collect();
    let mut moved: BTreeMap<u32, u32> = (0..scores.samples).map(|sample| (sample, 0)).collect();
    policy.initially_outside().iter().for_each(|sample| *weights.get_mut(sample).unwrap() = None);
    let row = |epoch, slot, diff, key, weight| DecisionRow {
        epoch,
        member,
        sample: scores.sample(slot),
        diff,
        key,
        weight,
    };
    let active = |weights: &BTreeMap<u32, Option<f32>>| -> BTreeSet<u32> {
        weights.iter().filter(|(_, weight)| weight.is_some()).map(|(sample, _)| *sample).collect()
    };
    let mut written: Vec<DecisionRow> =
        active(&weights).into_iter().map(|sample| row(0, sample, 1, 0, 1.0)).collect();
    let (mut rows, mut keys) = (Vec::new(), Vec::new());
    let mut state = policy.start(scores.samples as usize);
    let (mut entered, mut left) = (0, 0);
    for epoch in 0..=EPOCHS {
        let shown = scores.epoch(epoch);
        for (epoch, step, sample, correct) in &shown {
            let score = ScoreRow {
                epoch: *epoch,
                step: *step as u32,
                sample: *sample,
                loss: *step as f32,
                correct: *correct,
                error_norm: error_norm(*step, *sample),
                trained: policy.alike().is_some() || weights[sample].is_some(),
            };
            state.observe(*sample as usize, &score);
        }
        let now = active(&weights);
        let scored: BTreeSet<u32> = shown.iter().map(|row| row.2).collect();
        let unscored = if epoch < EPOCHS { now.difference(&scored).count() as u32 } else { 0 };
        rows.push(MemberRow {
            epoch,
            member,
            active: now.len() as u32,
            entered,
            left,
            unscored,
            as_recorded: 0,
        });
        if epoch + 1 == EPOCHS {
            let mut counts = BTreeMap::<u32, u32>::new();
            (0..scores.samples)
                .for_each(|sample| *counts.entry(state.key(sample as usize)).or_default() += 1);
            keys = counts.into_iter().map(|(key, samples)| KeyRow { member, key, samples }).collect();
        }
        (entered, left) = (0, 0);
        let next = epoch + 1;
        if next > EPOCHS || !policy.decides(next) {
            continue;
        }
        let key = |sample: u32| state.key(sample as usize);
        let rank = |sample: u32| {
            let entered = if now.contains(&sample) { moved[&sample] } else { 0 };
            (policy.rank(next, sample, entered, key(sample)), sample)
        };
        let lowest = |mut ranked: Vec<(Rank, u32)>, count: u32| {
            ranked.sort_unstable();
            ranked.truncate(count as usize);
            ranked
        };
        // By what they were ranked, of those that are out or leave.
        let mut ranked: BTreeMap<u32, u32> = BTreeMap::new();
        let mut after = weights.clone();
        let decision = policy.decision(next);
        if let Cut::Outside { .. } = decision.cut {
            after.values_mut().for_each(|weight| *weight = Some(decision.weight));
        }
        let counts = policy.classes().map(|classes| classes.cut(policy, next));
        for class in 0..policy.classes().map_or(1, |classes| classes.sizes().len() as u16) {
            let is_own = |sample: &u32| policy.classes().is_none_or(|classes| classes.of(*sample) == class);
            let own: Vec<u32> = (0..scores.samples).filter(is_own).collect();
            let count = |all: u32| counts.as_ref().map_or(all, |counts| counts[usize::from(class)]);
            match decision.cut {
                Cut::Outside { out } => {
                    for (rank, sample) in lowest(own.into_iter().map(rank).collect(), count(out)) {
                        ranked.insert(sample, rank.key);
                        after.insert(sample, None);
                    }
                }
                Cut::Exchange { count: all } => {
                    let (active, queue): (Vec<u32>, Vec<u32>) =
                        own.into_iter().partition(|sample| now.contains(sample));
                    for (rank, sample) in lowest(active.into_iter().map(rank).collect(), count(all)) {
                        ranked.insert(sample, rank.key);
                        after.insert(sample, None);
                    }
                    let place = |sample: u32| (policy.queue(next, sample, moved[&sample]), sample);
                    for (_, sample) in lowest(queue.into_iter().map(place).collect(), count(all)) {
                        after.insert(sample, Some(decision.weight));
                    }
                }
                Cut::BelowMean { kept } => {
                    let value = |sample: u32| f64::from(f32::from_bits(key(sample)));
                    let mean = own.iter().map(|sample| value(*sample)).sum::<f64>() / own.len() as f64;
                    for sample in own {
                        ranked.insert(sample, key(sample));
                        let weight = match value(sample) < mean {
                            true => policy.keeps(next, sample, kept).then_some(decision.weight),
                            false => Some(1.0),
                        };
                        after.insert(sample, weight);
                    }
                }
                Cut::AboveMean { .. } => unreachable!("no policy does"),
            }
        }
        for (sample, weight) in after {
            let before = weights.insert(sample, weight).unwrap();
            if before == weight {
                continue;
            }
            let key = ranked.get(&sample).copied().unwrap_or(0);
            written.extend(before.map(|weight| row(next, sample, -1, key, weight)));
            written.extend(weight.map(|weight| row(next, sample, 1, 0, weight)));
            if before.is_some() != weight.is_some() {
                moved.insert(sample, next);
                *(if weight.is_some() { &mut entered } else { &mut left }) += 1;
            }
        }
        state.clear();
    }
    (written, rows, keys)
}

fn run(scores: &Arc<Scores>, follows: bool, workers: usize) -> (Found, Vec<DecisionRow>) {
    let kept = Arc::new(Kept::default());
    let store = Arc::new(Store(Arc::clone(&kept)));
    let source = Arc::clone(scores) as Arc<dyn ScoreSource>;
    let asked =
        Grid { follows, ..Grid::new(source, members(scores.samples), EPOCHS, Some(store), Arc::default()) };
    let shared = Arc::new(asked);
    let built = Arc::clone(&shared);
    let guards = timely::execute(Config::process(workers), move |worker| {
        worker.dataflow::<Tick, _, _>(|scope| grid(scope, &built));
    });
    guards.unwrap().join().into_iter().for_each(|result| result.unwrap());
    let mut written = std::mem::take(&mut *kept.0.lock().unwrap());
    written.sort_by_key(|row| (row.member, row.epoch, row.sample, row.diff));
    (shared.take(), written)
}

#[test]
fn every_member_decides_what_lists_and_sorts_would() {
    for samples in [3, 40, 301] {
        let scores = Arc::new(Scores::new(samples));
        let policies = members(samples);
        let (mut written, mut rows, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for (member, policy) in policies.iter().enumerate() {
            let (decisions, epochs, counts) = by_hand(&scores, &**policy, member as u32);
            written.extend(decisions);
            rows.extend(epochs);
            keys.extend(counts);
        }
        rows.sort_unstable();
        // A finished record, and one that may go on.
        for (follows, workers) in [(false, 1), (false, 2), (false, 4), (true, 1), (true, 2), (true, 4)] {
            let (found, decided) = run(&scores, follows, workers);
            assert_eq!(found.failed, None);
            assert_eq!(found.rows, rows, "{samples} samples, {workers} workers, {follows}");
            assert_eq!(found.keys, keys, "{samples} samples, {workers} workers, {follows}");
            let different = decided.iter().zip(&written).find(|(left, right)| left != right);
            assert_eq!(different, None, "{samples} samples, {workers} workers, {follows}");
            assert_eq!(decided.len(), written.len());
        }
    }
}
