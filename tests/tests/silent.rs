//! Time goes on and nothing changes: differential collections whose input falls silent for 10 000 epochs keep
//! no more than before.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use differential_dataflow::input::Input;
use spfde_data::Extent;
use spfde_data::random::mix;
use spfde_data::scores::{ScoreColumns, ScoreSource};
use spfde_data::segment::RecordingError;
use spfde_flow::grid::{Grid, MemberRow, grid};
use spfde_flow::{Place, Tick, lowest};
use spfde_policy::sieve::{Forgetting, policy};
use spfde_policy::{Rank, SieveContext};
use spfde_tests::fuzz::memory::held_memory;
use timely::Config;

const SAMPLES: u32 = 60;
const EPOCHS: u32 = 10_000;

/// Counts of bytes are those of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn an_arrangement_whose_input_is_silent_does_not_grow() {
    let _alone = ALONE.lock().unwrap();
    let (before, after) = timely::execute_directly(|worker| {
        let probe = timely::dataflow::ProbeHandle::new();
        let (mut ranked, mut wanted) = worker.dataflow::<Tick, _, _>(|scope| {
            let (ranked_input, ranked) = scope.new_collection();
            let (wanted_input, wanted) = scope.new_collection();
            lowest(ranked, wanted).probe_with(&probe);
            (ranked_input, wanted_input)
        });
        for sample in 0..SAMPLES {
            let (key, hash) = (sample % 7, mix(u64::from(sample)));
            ranked.update((Place::from(Rank { key, since: 0, hash }), sample), 1);
        }
        wanted.update(SAMPLES / 3, 1);
        let mut held = Vec::new();
        for epoch in 1..=EPOCHS {
            let tick = Tick::new(epoch, 0);
            ranked.advance_to(tick);
            ranked.flush();
            wanted.advance_to(tick);
            wanted.flush();
            while probe.less_than(&tick) {
                worker.step();
            }
            held.extend(epoch.is_multiple_of(EPOCHS / 10).then(held_memory));
        }
        (held[0], held[held.len() - 1])
    });
    assert!(after <= before + (16 << 10), "{before} bytes after a tenth of the epochs, {after} in the end");
}

/// Scores of all samples in epoch 0, and of none later. It notes how many bytes are held after a tenth of the
/// epochs and in the end.
#[derive(Default)]
struct Silent {
    looks: AtomicUsize,
    held: [AtomicUsize; 2],
}

impl ScoreSource for Silent {
    fn samples(&self) -> u32 {
        SAMPLES
    }
    fn sample(&self, slot: u32) -> u32 {
        slot
    }
    fn epochs(&self) -> u32 {
        EPOCHS
    }
    fn extent(&self) -> Extent {
        Extent { epochs: EPOCHS, complete: self.held[1].load(Ordering::Relaxed) > 0 }
    }
    fn look(&self) -> Result<Extent, RecordingError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        Ok(self.extent())
    }
    fn parts(&self, epoch: u32) -> Range<usize> {
        match epoch {
            0 => return 0..1,
            epoch if epoch == EPOCHS / 10 => self.held[0].store(held_memory(), Ordering::Relaxed),
            epoch if epoch == EPOCHS - 1 => self.held[1].store(held_memory(), Ordering::Relaxed),
            _ => (),
        }
        1..1
    }
    fn read(&self, _: usize, visit: &mut dyn FnMut(&ScoreColumns)) -> Result<(), RecordingError> {
        let rows = 3 * SAMPLES as usize;
        visit(&ScoreColumns {
            epochs: vec![0; rows],
            steps: (0..rows as u64).map(|row| row / u64::from(SAMPLES)).collect(),
            slots: (0..rows as u32).map(|row| row % SAMPLES).collect(),
            correct: (0..rows as u64).map(|row| mix(row).is_multiple_of(3)).collect(),
            losses: vec![f32::NAN; rows],
            ..ScoreColumns::default()
        });
        Ok(())
    }
}

#[test]
fn a_sieve_that_decides_every_epoch_without_new_scores_does_not_grow() {
    let _alone = ALONE.lock().unwrap();
    for (follows, workers) in [(false, 1), (true, 2)] {
        let source = Arc::new(Silent::default());
        let context = SieveContext { seed: 1, epochs: EPOCHS + 1, samples: SAMPLES };
        let rule = Forgetting { fraction: 0.3, interval: 1, ..Forgetting::default() };
        let sieve = policy(rule, &context).unwrap();
        let scores = Arc::clone(&source) as Arc<dyn ScoreSource>;
        let asked = Grid::new(scores, vec![sieve], EPOCHS, None, Arc::default());
        let asked = Arc::new(Grid { follows, ..asked });
        let built = Arc::clone(&asked);
        let guards = timely::execute(Config::process(workers), move |worker| {
            worker.dataflow::<Tick, _, _>(|scope| grid(scope, &built));
        });
        guards.unwrap().join().into_iter().for_each(|result| result.unwrap());
        let rows = asked.take().rows;
        assert_eq!(rows.len(), EPOCHS as usize + 1);
        let out = (0.3 * f64::from(SAMPLES)).round() as u32;
        assert!(rows[1..].iter().all(|row| row.active == SAMPLES - out) && rows[1].left == out);
        assert!(rows[2..].iter().all(|row| row.left == 0 && row.entered == 0));
        let held = source.held.each_ref().map(|held| held.load(Ordering::Relaxed));
        // What is found grows, by a row an epoch: twice that while it is moved.
        let found = 2 * rows.len().next_power_of_two() * size_of::<MemberRow>();
        let what = format!("{held:?} bytes, {follows}, {workers} workers");
        assert!(held[0] > 0 && held[1] <= held[0] + found + (64 << 10), "{what}");
        eprintln!("{what}; {found} of what is found");
    }
}
