//! How a sieve scales, on synthetic scores and without training: scores a second through forgetting counts,
//! the first cut and later ones, memory, and workers.
//!
//! ```text
//! cargo run --release -p spfde-flow --example sieve_scale [-- SAMPLES [REPEATS]]
//! ```
//!
//! The machine may be busy with other things. So a time is that which the busiest worker had of a core (on
//! Linux; elsewhere the time that passed), and of several repeats the least counts. Memory is the greatest
//! resident set so far.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use spfde_data::random::{Purpose, draw};
use spfde_data::scores::{ScoreColumns, ScoreSource};
use spfde_data::segment::RecordingError;
use spfde_flow::Tick;
use spfde_flow::grid::{Grid, grid};
use spfde_policy::SieveContext;
use spfde_policy::sieve::{Forgetting, policy};
use timely::Config;

/// Rows that are handed over at a time.
const ROWS: u32 = 1 << 16;
/// Parts of an epoch: so that several workers have something to read.
const PARTS: u32 = 8;
const FRACTION: f64 = 0.3;

/// Scores of so many samples, made while they are read. In the first `full` epochs every sample has one; in
/// each of the others one in a hundred has two that are one forgetting event.
#[derive(Clone, Copy)]
struct Scores {
    samples: u32,
    full: u32,
    epochs: u32,
}

impl Scores {
    /// Right or wrong: about half of the presentations of a sample, for most of them in the same epochs.
    fn right(epoch: u32, sample: u32) -> bool {
        let ease = sample.wrapping_mul(0x9E37_79B9) >> 29;
        !(epoch + (sample & 1)).is_multiple_of(ease + 2)
    }
}

impl ScoreSource for Scores {
    fn samples(&self) -> u32 {
        self.samples
    }
    fn sample(&self, slot: u32) -> u32 {
        slot
    }
    fn epochs(&self) -> u32 {
        self.epochs
    }
    fn parts(&self, epoch: u32) -> Range<usize> {
        let of = |epoch| (epoch * PARTS) as usize;
        of(epoch)..of(epoch + 1)
    }
    fn read(&self, part: usize, visit: &mut dyn FnMut(&ScoreColumns)) -> Result<(), RecordingError> {
        let (epoch, part) = (part as u32 / PARTS, part as u32 % PARTS);
        let all = self.samples / PARTS * part..if part + 1 == PARTS {
            self.samples
        } else {
            self.samples / PARTS * (part + 1)
        };
        let mut rows = ScoreColumns::default();
        for from in all.clone().step_by(ROWS as usize) {
            let slots = from..all.end.min(from + ROWS);
            rows.slots.clear();
            rows.correct.clear();
            if epoch < self.full {
                rows.slots.extend(slots.clone());
                rows.correct.extend(slots.map(|sample| Self::right(epoch, sample)));
            } else {
                let change = |sample: &u32| {
                    draw(1, Purpose::User, u64::from(epoch), u64::from(*sample)).is_multiple_of(100)
                };
                rows.slots.extend(slots.filter(change).flat_map(|sample| [sample, sample]));
                rows.correct.extend((0..rows.slots.len()).map(|row| row % 2 == 0));
            }
            rows.epochs.resize(rows.slots.len(), epoch);
            rows.epochs.fill(epoch);
            rows.steps.resize(rows.slots.len(), 0);
            visit(&rows);
        }
        Ok(())
    }
}

/// Seconds that it takes to show `scores` to a sieve on so many workers, and to decide up to an epoch.
fn seconds(scores: Scores, decisions: u32, workers: usize) -> f64 {
    let context = SieveContext { seed: 1, epochs: scores.epochs + 1, samples: scores.samples };
    let rule = Forgetting { fraction: FRACTION, interval: 1, ..Forgetting::default() };
    let sieve = policy(rule, &context).unwrap_or_else(|error| panic!("{error}"));
    let asked = Arc::new(Grid::new(Arc::new(scores), vec![sieve], decisions, None, Arc::default()));
    let guards = timely::execute(Config::process(workers), move |worker| {
        let start = (busy(), Instant::now());
        worker.dataflow::<Tick, _, _>(|scope| grid(scope, &asked));
        while worker.has_dataflows() {
            worker.step_or_park(None);
        }
        match (start.0, busy()) {
            (Some(before), Some(after)) => after - before,
            _ => start.1.elapsed().as_secs_f64(),
        }
    });
    let seconds = guards.unwrap_or_else(|error| panic!("{error}")).join().into_iter();
    seconds.map(|seconds| seconds.unwrap_or_else(|error| panic!("{error}"))).fold(0.0, f64::max)
}

/// Seconds that this thread has had of a core, where Linux says it.
fn busy() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(told.split(' ').next()?.parse::<u64>().ok()? as f64 / 1e9)
}

/// The greatest resident set so far, in MB; 0 where Linux does not say it.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) / 1000
}

fn main() {
    let words = std::env::args().skip(1);
    let mut numbers = words.map(|word| word.parse().unwrap_or_else(|_| panic!("{word} is no number")));
    let (samples, repeats) = (numbers.next().unwrap_or(10_000_000), numbers.next().unwrap_or(3));
    let least = |scores: Scores, decisions: u32, workers: usize| {
        (0..repeats).map(|_| seconds(scores, decisions, workers)).fold(f64::INFINITY, f64::min)
    };
    let of = |full, epochs| Scores { samples, full, epochs };
    println!("{samples} samples, {FRACTION} removed, 1 % of the counts changed in a window");
    println!("| workers | million scores a second | first cut, s | each new cut, s | MB |");
    println!("|---:|---:|---:|---:|---:|");
    for workers in [1, 2] {
        let (short, long) = (least(of(1, 1), 0, workers), least(of(9, 9), 0, workers));
        let rate = 8.0 * f64::from(samples) / (long - short) / 1e6;
        let first = least(of(1, 1), 1, workers) - short;
        let (without, with) = (least(of(1, 11), 1, workers), least(of(1, 11), 11, workers));
        println!("| {workers} | {rate:.0} | {first:.3} | {:.3} | {} |", (with - without) / 10.0, memory());
    }
    let before = memory();
    seconds(Scores { samples, full: 1, epochs: 101 }, 101, 1);
    println!("after 100 more windows {} MB, before {before} MB", memory());
}
