//! What the lowest 30 % of a million samples cost to keep up to date, as the share of samples that change
//! goes up: as a differential collection of the samples, by classes of which changes are told, and recomputed
//! from all samples. One worker; the least of three repeats; the figures are in the docs of
//! [`spfde_flow::grid`].
//!
//! ```text
//! cargo run --release -p spfde-flow --example dense_or_arranged
//! ```
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use differential_dataflow::input::Input;
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::ScoreRow;
use spfde_data::scores::{ScoreColumns, ScoreSource};
use spfde_data::segment::RecordingError;
use spfde_flow::grid::{Grid, grid};
use spfde_flow::{Place, Tick, lowest};
use spfde_policy::sieve::{Forgetting, Shared, policy};
use spfde_policy::{Rank, SieveContext, SievePolicy, SieveRule};
use timely::Config;

const SAMPLES: u32 = 1_000_000;
const EPOCHS: u32 = 8;

/// Whether a sample has a score in an epoch, given how many of a million have.
fn changes(epoch: u32, sample: u32, million: u64) -> bool {
    draw(1, Purpose::User, u64::from(epoch), u64::from(sample)) % 1_000_000 < million
}

/// Seconds for each decision of `cuts` cuts: to be told of the changes and to find the cuts. The first is
/// left out.
fn arranged(million: u64, cuts: u32) -> f64 {
    timely::execute_directly(move |worker| {
        let probe = timely::dataflow::ProbeHandle::new();
        let (mut ranked, mut wanted) = worker.dataflow::<Tick, _, _>(|scope| {
            let (ranked_input, ranked) = scope.new_collection();
            let mut inputs = Vec::new();
            for _ in 0..cuts {
                let (wanted_input, wanted) = scope.new_collection();
                lowest(ranked.clone(), wanted).probe_with(&probe);
                inputs.push(wanted_input);
            }
            (ranked_input, inputs)
        });
        let order = |sample: u32, key: u32| {
            let hash = draw(2, Purpose::Tie, 0, u64::from(sample));
            (Place::from(Rank { key, since: 0, hash }), sample)
        };
        let changed: Vec<Vec<u32>> = (0..EPOCHS)
            .map(|epoch| (0..SAMPLES).filter(|sample| changes(epoch, *sample, million)).collect())
            .collect();
        let mut keys = vec![0u32; SAMPLES as usize];
        (0..SAMPLES).for_each(|sample| ranked.update(order(sample, 0), 1));
        for (number, wanted) in wanted.iter_mut().enumerate() {
            wanted.update(SAMPLES / 10 * 3 - number as u32, 1);
        }
        let mut start = Instant::now();
        for epoch in 1..=EPOCHS {
            let tick = Tick::new(epoch, 0);
            ranked.advance_to(tick);
            ranked.flush();
            for wanted in &mut wanted {
                wanted.advance_to(tick);
                wanted.flush();
            }
            while probe.less_than(&tick) {
                worker.step();
            }
            if epoch == 1 {
                start = Instant::now();
            }
            for sample in changed.get(epoch as usize).into_iter().flatten().copied() {
                let key = &mut keys[sample as usize];
                ranked.update(order(sample, *key), -1);
                *key += 1;
                ranked.update(order(sample, *key), 1);
            }
        }
        start.elapsed().as_secs_f64() / f64::from(EPOCHS - 1)
    })
}

/// Scores in memory, one part an epoch; every sample has one in the first.
struct Scores(u64);

impl ScoreSource for Scores {
    fn samples(&self) -> u32 {
        SAMPLES
    }
    fn sample(&self, slot: u32) -> u32 {
        slot
    }
    fn epochs(&self) -> u32 {
        EPOCHS
    }
    fn parts(&self, epoch: u32) -> Range<usize> {
        epoch as usize..epoch as usize + 1
    }
    fn read(&self, part: usize, visit: &mut dyn FnMut(&ScoreColumns)) -> Result<(), RecordingError> {
        let epoch = part as u32;
        // Right, then wrong: one forgetting event more.
        let presentations = if epoch == 0 { 1 } else { 2 };
        let slots: Vec<u32> = (0..SAMPLES)
            .filter(|sample| epoch == 0 || changes(epoch, *sample, self.0))
            .flat_map(|sample| std::iter::repeat_n(sample, presentations))
            .collect();
        let len = slots.len();
        visit(&ScoreColumns {
            epochs: vec![epoch; len],
            steps: vec![0; len],
            correct: (0..len).map(|row| row % presentations == 0).collect(),
            losses: vec![f32::NAN; len],
            slots,
            ..ScoreColumns::default()
        });
        Ok(())
    }
}

spfde_data::parameters! {
    /// As `forgetting`, without the promise that ranks follow from keys.
    pub struct Recomputed in "sieve" {
        /// share of the samples that is out of training
        pub fraction: f64 = 0.3, 0.0..1.0;
    }
}

spfde_data::state! {
    /// The latest answer, and the number of forgetting events.
    pub struct Seen { right: bool = false, forgotten: u32 = 0, }
}

impl SieveRule for Recomputed {
    const NAME: &'static str = "recomputed";
    const SUMMARY: &'static str = "the samples with the fewest forgetting events of the whole run are out";
    const READS_LOSSES: bool = false;
    type State = Seen;

    fn shared(&self, _: &SieveContext) -> Option<Shared> {
        Some(Shared { fraction: self.fraction, interval: 1, warmup: 0, until: 1.0 })
    }
    fn alike(&self, _: &SieveContext) -> Option<[u64; 3]> {
        Some([0; 3])
    }
    fn observe(&self, seen: &mut Seen, score: &ScoreRow) {
        seen.forgotten += u32::from(seen.right && !score.correct);
        seen.right = score.correct;
    }
    fn key(&self, seen: &Seen) -> u32 {
        seen.forgotten
    }
}

/// The same for a grid of as many members: the pass over the states, the cuts, and who changes.
fn by_classes(million: u64, cuts: u32, recomputed: bool) -> f64 {
    let member = |number: u32| -> Arc<dyn SievePolicy> {
        let fraction = 0.3 - f64::from(number) * 1e-6;
        let context = SieveContext { seed: 1, epochs: EPOCHS + 1, samples: SAMPLES };
        let member = match recomputed {
            true => policy(Recomputed { fraction }, &context),
            false => policy(Forgetting { fraction, interval: 1, ..Forgetting::default() }, &context),
        };
        member.unwrap_or_else(|error| panic!("{error}"))
    };
    let run = |epochs: u32| {
        let members = (0..cuts).map(member).collect();
        let asked = Arc::new(Grid::new(Arc::new(Scores(million)), members, epochs, None, Arc::default()));
        let start = Instant::now();
        let guards = timely::execute(Config::thread(), move |worker| {
            worker.dataflow::<Tick, _, _>(|scope| grid(scope, &asked));
        });
        drop(guards);
        start.elapsed().as_secs_f64()
    };
    // The first decision left out: by the difference to a grid that takes that one only.
    let least = |epochs: u32| (0..3).map(|_| run(epochs)).fold(f64::INFINITY, f64::min);
    (least(EPOCHS) - least(1)) / f64::from(EPOCHS - 1)
}

fn main() {
    println!("seconds a decision, {SAMPLES} samples");
    println!("| cuts | samples that change | arranged | by classes | recomputed |");
    println!("|---:|---:|---:|---:|---:|");
    let cases: [(u32, &[u64]); 2] = [(1, &[1_000, 10_000, 100_000, 1_000_000]), (20, &[10_000, 100_000])];
    for (cuts, changing) in cases {
        for &million in changing {
            let share = million as f64 / 1e4;
            let arranged = (0..3).map(|_| arranged(million, cuts)).fold(f64::INFINITY, f64::min);
            let [classes, anew] = [false, true].map(|recomputed| by_classes(million, cuts, recomputed));
            println!("| {cuts} | {share} % | {arranged:.4} | {classes:.4} | {anew:.4} |");
        }
    }
}
