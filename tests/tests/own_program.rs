//! A program of one's own: a data set, a network, a sieve and a stage that `spfde` does not know, with every
//! command of it.
//!
//! This is that program, and its test: without a command in the environment it runs itself with each command
//! in turn, as its user would, and as `spfde`, which knows nothing of it, where that has to work.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;

use spfde::prelude::*;
use spfde_data::files::manifest::Manifest;
use spfde_tests::segments::read_segment;

/// Which program is meant: `own`, or `plain` for `spfde` itself.
const PROGRAM: &str = "SPFDE_TESTS_PROGRAM";
/// If it is set, the stage fails in this epoch.
const FAILS: &str = "SPFDE_TESTS_FAILS";

parameters! {
    /// The samples with the lowest latest loss are out.
    pub struct LowestLoss in "sieve" {
        /// share of the samples that is out of training
        pub share: f64 = 0.1, 0.0..1.0;
    }
}

state! {
    /// The latest loss of a sample.
    pub struct Latest { loss: f32 = 100.0, }
}

impl SieveRule for LowestLoss {
    const NAME: &'static str = "lowest-loss";
    const SUMMARY: &'static str = "the samples with the lowest latest loss are out";
    type State = Latest;

    fn active_samples(&self, run: &SieveContext, epoch: u32) -> u32 {
        if epoch == 0 { run.samples } else { run.samples - share_of(self.share, run.samples) }
    }

    fn decides(&self, _: &SieveContext, _: u32) -> bool {
        true
    }

    fn decision(&self, run: &SieveContext, epoch: u32) -> Decision {
        Cut::Outside { out: run.samples - self.active_samples(run, epoch) }.into()
    }

    fn observe(&self, state: &mut Latest, score: &ScoreRow) {
        state.loss = score.loss;
    }

    fn key(&self, state: &Latest) -> u32 {
        state.loss.to_bits()
    }
}

parameters! {
    /// Samples with a loss below the mean are out, if a draw says so.
    pub struct Easy in "sieve" {
        /// share of them, in percent
        pub fraction: f64 = 50.0, 1.0..=100.0;
        /// whether it is asked for something
        pub flag: bool = false, ..;
    }
}

impl SieveRule for Easy {
    const NAME: &'static str = "easy";
    const SUMMARY: &'static str = "samples with a loss below the mean are out";
    type State = Latest;

    fn decides(&self, _: &SieveContext, _: u32) -> bool {
        true
    }

    fn decision(&self, _: &SieveContext, _: u32) -> Decision {
        Cut::BelowMean { kept: 1.0 - self.fraction / 100.0 }.into()
    }

    fn observe(&self, state: &mut Latest, score: &ScoreRow) {
        state.loss = score.loss;
    }

    fn key(&self, state: &Latest) -> u32 {
        state.loss.to_bits()
    }
}

/// The rate halves with every epoch.
struct Halving;

impl LearningRate for Halving {
    fn rate(&self, base: f64, epoch: u32, _step: u32, _steps: u32, _ends_at: u32) -> f64 {
        base * 0.5f64.powi(epoch as i32)
    }
}

row! {
    /// How many samples were right in one epoch.
    pub struct RightRow in "right" by (epoch) {
        /// Epoch.
        pub epoch: u32,
        /// How many.
        pub samples: u32,
    }
}

fn right<'s>(run: &Run<'s>, scores: &StreamVec<'s, Tick, ScoreRow>) -> StreamVec<'s, Tick, RightRow> {
    let fails = std::env::var(FAILS).ok().map(|epoch| epoch.parse::<u32>().unwrap());
    per_epoch(
        run,
        "right",
        scores,
        |_| 0,
        move |epoch, scores| {
            assert!(fails != Some(epoch), "the stage fails");
            let samples = scores.iter().filter(|score| score.correct).count() as u32;
            (!scores.is_empty()).then_some(RightRow { epoch, samples }).into_iter().collect()
        },
    )
}

/// Images of 12 × 12 pixels: horizontal and vertical stripes, and noise.
fn stripes() -> Result<DataSet, Error> {
    let pixel = |sample: u64, place: u64| {
        let along = if sample.is_multiple_of(2) { place / 12 } else { place % 12 };
        let noise = draw(1, Purpose::User, sample, place) % 200;
        if along % 3 == 0 { 55 + noise as u8 } else { noise as u8 }
    };
    let images = |samples: std::ops::Range<u64>| Images {
        channels: 1,
        height: 12,
        width: 12,
        labels: samples.clone().map(|sample| (sample % 2) as u16).collect(),
        pixels: samples.flat_map(|sample| (0..144).map(move |place| pixel(sample, place))).collect(),
    };
    Ok(assemble("stripes", 2, images(0..120), images(120..160)))
}

fn main() -> ExitCode {
    match std::env::var(PROGRAM).as_deref() {
        Ok("own") => spfde::app()
            .data("stripes", stripes)
            .model("small", |net| {
                let x = net.convolution(8, 3).batch_norm().relu();
                let x = net.block().convolution(16, 3).stride(2).batch_norm().relu().after(x);
                net.classifier(net.average_pool(x))
            })
            .sieve::<LowestLoss>()
            .sieve::<Easy>()
            .seams(|seams| Seams { learning_rate: Arc::new(Halving), ..seams })
            .stage(|run, trained| run.table(right(run, &trained.scores)))
            .main(),
        Ok(_) => spfde::app().main(),
        Err(_) => {
            test();
            ExitCode::SUCCESS
        }
    }
}

/// What a program makes of a command in `directory`.
fn output(directory: &Path, program: &str, words: &str, fails: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(words.split(' ')).current_dir(directory).env(PROGRAM, program).env_remove(FAILS);
    command.envs(fails.map(|epoch| (FAILS, epoch))).output().unwrap()
}

/// As [`output`], of a command that ends with `code`; all that it printed.
fn ends(directory: &Path, program: &str, words: &str, code: i32) -> String {
    let output = output(directory, program, words, None);
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert_eq!(output.status.code(), Some(code), "{program}: {words}\n{printed}");
    printed
}

fn rows<R: Row>(run: &Path) -> Vec<R> {
    let manifest = Manifest::read(run).unwrap();
    let segments = manifest.segments.iter().filter(|segment| segment.stream == R::STREAM);
    let mut rows: Vec<R> = segments.flat_map(|segment| read_segment::<R>(run, segment).unwrap()).collect();
    rows.sort_by_key(Row::order);
    rows
}

fn test() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path();
    let own = |words: &str| ends(at, "own", words, 0);
    let plain = |words: &str| ends(at, "plain", words, 0);

    // It is listed with its key, and helps to find it.
    let listed = own("list sieve");
    let line = format!("\n  {:<16} {}\n", LowestLoss::NAME, LowestLoss::SUMMARY);
    assert!(listed.contains(&line), "{listed}");
    assert!(listed.contains("sieve.share") && !plain("list sieve").contains("lowest-loss"), "{listed}");
    assert!(own("list").contains("\n  small ") && own("list data").contains("\n  stripes "));
    let words = "train data.path=stripes model.name=small sieve.policy=lowest-loss sieve.share=0.25 \
                 train.epochs=5 data.batch_size=20 mask.sparsity=0.5 freeze.policy=none --workers 2 \
                 --run-dir";
    let typo = ends(at, "own", &format!("{words} typo sieve.shaer=0.2"), 2);
    assert!(typo.contains("did you mean `sieve.share`?"), "{typo}");
    let range = ends(at, "own", &format!("{words} range sieve.share=1"), 2);
    assert!(range.contains("`sieve.share`"), "{range}");
    ends(at, "plain", &format!("{words} plain"), 2);

    // It trains, and goes on after a fault as if there had been none.
    own(&format!("{words} whole"));
    let failed = output(at, "own", &format!("{words} cut"), Some("3"));
    assert_eq!(failed.status.code(), Some(3), "{}", String::from_utf8_lossy(&failed.stderr));
    own("resume cut");
    let [whole, cut] = ["whole", "cut"].map(|name| at.join(name));
    assert_eq!(rows::<RightRow>(&whole).len(), 5);
    assert!(rows::<RightRow>(&whole) == rows::<RightRow>(&cut));
    assert!(rows::<SieveRow>(&whole) == rows::<SieveRow>(&cut));
    assert!(rows::<ScoreRow>(&whole) == rows::<ScoreRow>(&cut));
    let active: Vec<u32> = rows::<EpochRow>(&whole).iter().map(|row| row.active_samples).collect();
    assert_eq!(active, [120, 90, 90, 90, 90]);
    let rates: Vec<f64> = rows::<EpochRow>(&whole).iter().map(|row| row.learning_rate).collect();
    assert!(rates.windows(2).all(|pair| pair[1] == pair[0] / 2.0), "{rates:?}");

    // It replays, its own policy and others; its key is an axis of a grid.
    own("replay whole --out own");
    assert!(rows::<SieveRow>(&whole) == rows::<SieveRow>(&at.join("own")));
    own("replay whole sieve.share=0.5 --out half");
    assert_eq!(rows::<EpochRow>(&at.join("half"))[1].active_samples, 60);
    let axes = "--grid sieve.share=0.1,0.25,0.5 --grid sieve.policy=lowest-loss,random";
    let grid = own(&format!("replay whole {axes} --out grid"));
    assert!(grid.contains("sieve.share"), "{grid}");

    // The classes of what it holds out are in its own data set.
    let mix = own("analyse whole --view class-mix --json");
    let mut held_out = BTreeMap::new();
    for line in mix.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
        held_out.insert(line["class"].to_string(), line["samples"].as_u64().unwrap());
    }
    assert_eq!(held_out.values().sum::<u64>(), 30, "{mix}");
    let unknown = ends(at, "plain", "analyse whole --view class-mix", 1);
    assert!(unknown.contains("whole: the class of every sample is in the data set"), "{unknown}");

    // What needs no more than the run directory needs no name: `spfde` does it.
    for run in ["whole", "cut", "own", "half"] {
        own(&format!("verify {run}"));
        plain(&format!("verify {run}"));
    }
    // How its own sieve cuts classes only the program knows. Its keys may take what those of others do not.
    own(&format!("{} by-class", words.replace("lowest-loss sieve.share=0.25", "easy sieve.stratify=true")));
    let config = std::fs::read_to_string(at.join("by-class/config.toml")).unwrap();
    assert!(config.contains("\nstratify = true\n") && config.contains("\nflag = false\n"), "{config}");
    own("replay by-class --out by-class-again");
    for run in ["by-class", "by-class-again"] {
        let verified = plain(&format!("verify {run}"));
        let note = "not checked: the sizes of classes: the sieve \"easy\" is unknown here";
        assert!(verified.contains(note), "{verified}");
    }
    let unknown = ends(at, "plain", "replay whole", 2);
    assert!(unknown.contains("`sieve.policy`: the run's policy \"lowest-loss\""), "{unknown}");
    plain("replay whole sieve.policy=random --out random");
    plain("verify random");
    ends(at, "plain", "resume cut", 0);
}
