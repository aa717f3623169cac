//! A sieve and a stage of your own: samples of the lowest loss leave, and accuracy by class becomes a table.
//!
//! `cargo run --release --example own_sieve -- model.name=mlp train.epochs=5`
//!
//! Then, with DuckDB: `SELECT label, max(correct / presented) FROM 'runs/mlp-0-1/trace/classes/*' GROUP BY label`.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde::prelude::*;

/// Every second epoch the tenth of the active samples that had the lowest loss makes room for as many others.
struct LowestLoss {
    seed: u64,
    epochs: u32,
    samples: u32,
}

impl LowestLoss {
    fn outside(&self) -> u32 {
        self.samples / 10
    }

    fn hash(&self, sample: u32) -> u64 {
        draw(self.seed, Purpose::User, 0, u64::from(sample))
    }
}

impl SievePolicy for LowestLoss {
    fn name(&self) -> &'static str {
        "lowest-loss"
    }

    fn active_samples(&self, _epoch: u32) -> u32 {
        self.samples - self.outside()
    }

    fn initially_outside(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.samples).collect();
        order.sort_by_key(|sample| self.hash(*sample));
        order.truncate(self.outside() as usize);
        order.sort_unstable();
        order
    }

    fn decides(&self, epoch: u32) -> bool {
        epoch > 0 && epoch.is_multiple_of(2) && epoch < self.epochs
    }

    fn cut(&self, _epoch: u32) -> Cut {
        Cut::Exchange { count: self.active_samples(0) / 10 }
    }

    fn rank(&self, _epoch: u32, sample: u32, entered: u32, key: u32) -> Rank {
        Rank { key, since: entered, hash: self.hash(sample) }
    }

    fn queue(&self, _epoch: u32, sample: u32, left: u32) -> Rank {
        Rank { key: 0, since: left, hash: self.hash(sample) }
    }

    fn start(&self, samples: usize) -> Box<dyn SieveState> {
        Box::new(Losses(vec![0.0; samples]))
    }
}

/// The sum of each sample's losses in the window.
struct Losses(Vec<f32>);

impl SieveState for Losses {
    fn observe(&mut self, slot: usize, score: &ScoreRow) {
        self.0[slot] += score.loss;
    }

    fn key(&self, slot: usize) -> u32 {
        // Bits of floats that are not negative are in the order of their values.
        self.0[slot].to_bits()
    }

    fn clear(&mut self) {
        self.0.fill(0.0);
    }

    fn columns(&self) -> Option<Vec<Column>> {
        Some(LossRow::columns())
    }

    fn save(&self, slot: usize, epoch: u32, sample: u32, rows: &mut Columns) {
        LossRow { epoch, sample, loss: self.0[slot] }.push(rows);
    }

    fn restore(&mut self, slot: usize, rows: &Columns, row: usize) {
        self.0[slot] = LossRow::get(rows, row).loss;
    }
}

row! {
    /// The state of a sample in a checkpoint, from which `own_sieve resume RUN` goes on.
    struct LossRow in "lowest-loss" by (epoch, sample) {
        epoch: u32,
        sample: u32,
        loss: f32,
    }
}

row! {
    /// How often the samples of one class were right in one epoch.
    pub struct ClassRow in "classes" by (epoch, label) {
        /// Epoch.
        pub epoch: u32,
        /// The class.
        pub label: u16,
        /// Presentations.
        pub presented: u32,
        /// Presentations that were right.
        pub correct: u32,
    }
}

/// Counts the scores of an epoch by class.
fn by_class(epoch: u32, scores: &[ScoreRow], labels: &[u16]) -> Vec<ClassRow> {
    let mut classes: BTreeMap<u16, (u32, u32)> = BTreeMap::new();
    for score in scores {
        let (presented, correct) = classes.entry(labels[score.sample as usize]).or_default();
        *presented += 1;
        *correct += u32::from(score.correct);
    }
    let row = |(label, (presented, correct))| ClassRow { epoch, label, presented, correct };
    classes.into_iter().map(row).collect()
}

fn main() -> std::process::ExitCode {
    let prepare = |configuration| {
        let experiment = Experiment::new(configuration)?;
        let settings = experiment.settings();
        let (seed, epochs, samples) = (settings.seed, settings.epochs, settings.data.train.len() as u32);
        experiment.with_sieve(Arc::new(LowestLoss { seed, epochs, samples }))
    };
    spfde::main(prepare, |run| {
        let loops = run.loops();
        let batches = load(run, loops.active.stream());
        let trained = train(run, batches, loops.frozen.stream(), loops.masked.stream());
        let frozen_now = freeze(run, &trained.gradients, loops.masked.stream());
        let masks = mask(run, &trained.weights, &frozen_now);
        let sieved = sieve(run, &trained.scores, loops.active.stream());
        loops.masked.close(masks);
        loops.frozen.close(frozen_now);
        loops.active.close(sieved);

        // All scores of one class meet on one worker, which counts them when the epoch is over.
        let data = Arc::clone(&run.settings().data);
        let label = {
            let data = Arc::clone(&data);
            move |score: &ScoreRow| u64::from(data.train.labels[score.sample as usize])
        };
        let classes = per_epoch(run, "classes", &trained.scores, label, move |epoch, scores| {
            by_class(epoch, &scores, &data.train.labels)
        });
        run.table(classes);
        run.trace(&trained);
    })
}
