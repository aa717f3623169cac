//! Bits that flip and files that are cut, anywhere in a run. `verify`, `resume` and `replay` name every
//! damaged file that they read. What they accept gives the bits of the undamaged run.
//!
//! Each case damages one file of a finished run, or of one that was interrupted: one flipped bit, or in one
//! case of four a cut. File and place are draws from [`SEED`]. By default a sample is tried. Ten thousand:
//!
//! ```text
//! cargo test --release -p spfde-tests --test all -- --ignored --nocapture ten_thousand
//! ```
//!
//! What may pass, because the command does not read it:
//!
//! - `lock`, a note for people.
//! - By `replay`: `environment.json`, checkpoints, and the streams that a replay decides anew (`freezes`,
//!   `sieves`, `epochs`, `timings`).
//! - By `resume`: of a run that goes on the checkpoint before the latest. A damaged `environment.json` does
//!   not keep a run from going on: that is noted, and nothing is taken from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use spfde::{Experiment, Options, Record, Resumed};
use spfde_data::files::manifest::Manifest;
use spfde_data::files::run_directory::RunDirectory;
use spfde_data::random::{Purpose, draw};

use crate::resuming::{begin, open, until};
use crate::support::{Bench, Recorded, assert_same, transcript};

/// The number that every draw is keyed by.
const SEED: u64 = 20_260;
const WORDS: [&str; 6] = [
    "model.name=lenet5",
    "train.epochs=4",
    "mask.sparsity=0.6",
    "sieve.fraction=0.3",
    "freeze.policy=gradient-norm",
    "freeze.flops_reduction=0.1",
];
const SAMPLES: usize = 48;

/// Every file of a run, by its path within.
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn of(run: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut directories = vec![run.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in directory.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    let name = path.strip_prefix(run).unwrap().to_str().unwrap().replace('\\', "/");
                    files.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        Self(files)
    }

    /// Makes the run what it was.
    fn restore(&self, run: &Path) {
        let now = Self::of(run);
        for name in now.0.keys().filter(|name| !self.0.contains_key(*name)) {
            std::fs::remove_file(run.join(name)).unwrap();
        }
        for (name, bytes) in self.0.iter().filter(|(name, bytes)| now.0.get(*name) != Some(bytes)) {
            std::fs::create_dir_all(run.join(name).parent().unwrap()).unwrap();
            std::fs::write(run.join(name), bytes).unwrap();
        }
    }
}

/// What stands beside trace and checkpoints.
const BESIDE: [&str; 4] = ["manifest.json", "config.toml", "environment.json", "architecture.json"];

/// A run to be damaged.
struct Subject {
    path: PathBuf,
    manifest: Manifest,
    files: Files,
    /// What its replay finds.
    replayed: String,
}

impl Subject {
    fn new(path: &Path) -> Self {
        let manifest = Manifest::read(path).unwrap();
        let replayed = replay(path).unwrap();
        Self { path: path.to_owned(), manifest, files: Files::of(path), replayed }
    }

    fn is_named(&self, file: &str) -> bool {
        self.manifest.segments.iter().any(|segment| segment.path == file)
            || self.manifest.checkpoints.iter().any(|checkpoint| checkpoint.path == file)
    }

    /// Whether a file belongs to the latest checkpoint.
    fn is_latest(&self, file: &str) -> bool {
        let latest = self.manifest.last_checkpoint().unwrap();
        self.manifest.checkpoint(latest).any(|checkpoint| checkpoint.path == file)
    }

    fn verify_reads(&self, file: &str) -> bool {
        BESIDE.contains(&file) || self.is_named(file)
    }

    fn replay_reads(&self, file: &str) -> bool {
        let streams = ["trace/scores/", "trace/gradients/", "trace/layers/", "trace/masks/"];
        ["manifest.json", "config.toml", "architecture.json"].contains(&file)
            || streams.iter().any(|stream| file.starts_with(stream))
    }

    fn resume_reads(&self, file: &str) -> bool {
        match self.manifest.finished {
            true => self.verify_reads(file),
            false => BESIDE.contains(&file) || file.starts_with("trace/") || self.is_latest(file),
        }
    }
}

/// What a replay under the run's own policies finds, in words.
fn replay(path: &Path) -> Result<String, spfde::Error> {
    let record = Record::open(path)?;
    let experiment = record.experiment(&[])?;
    let options = Options { workers: 1, ..Options::default() };
    let replayed = spfde::replay(&record, &experiment, options, spfde::wire)?;
    Ok(format!("{:?} {:?}", replayed.epochs, replayed.censored))
}

/// The first finding of a verification.
fn verify(path: &Path) -> Result<(), String> {
    let run = RunDirectory::open(path).map_err(|error| error.to_string())?;
    match spfde::verify::findings(&run).map_err(|error| error.to_string())?.told().first() {
        Some(finding) => Err(finding.clone()),
        None => Ok(()),
    }
}

/// Whether a note of a resumed run is about a damaged file.
fn is_damage(note: &str) -> bool {
    ["cannot be used", "is unknown"].iter().any(|words| note.contains(words))
}

/// How many cases a command reported, and how many passed.
#[derive(Debug, Default)]
struct Count {
    reported: usize,
    passed: usize,
}

impl Count {
    /// Asserts that a damaged file is named if it is read, and accepted if not.
    fn add(&mut self, result: Result<(), String>, reads: bool, file: &str, what: &str) {
        match result {
            Ok(()) => {
                assert!(!reads, "{what} passed");
                self.passed += 1;
            }
            Err(error) => {
                assert!(reads && error.contains(file), "{what}: {error}");
                self.reported += 1;
            }
        }
    }
}

/// The runs, and what they lead to.
struct Sweep {
    bench: Bench,
    subjects: [Subject; 2],
    rows: Vec<String>,
    weights: Vec<u8>,
    verified: Count,
    replayed: Count,
    resumed: Count,
}

impl Sweep {
    fn new() -> Self {
        let bench = Bench::new(SAMPLES);
        let experiment: Experiment = bench.experiment(&WORDS);
        let whole = bench.record("whole", &experiment, 2);
        let path = bench.path("interrupted");
        begin(&experiment, &path, until(2, 0, 2));
        let subjects = [Subject::new(&whole.path), Subject::new(&path)];
        let interrupted = &subjects[1].manifest;
        assert!(!interrupted.finished && interrupted.checkpoint_epochs().len() == 2);
        assert_eq!(
            interrupted.last_checkpoint(),
            Some(interrupted.epochs_reached),
            "all of the trace is kept"
        );
        let (rows, weights) = (transcript(&whole), whole.final_weights());
        let (verified, replayed, resumed) = Default::default();
        Self { bench, subjects, rows, weights, verified, replayed, resumed }
    }

    /// Damages a file and tries every command.
    fn case(&mut self, number: u64) {
        let chance =
            |what, below: usize| (draw(SEED, Purpose::Synthetic, number, what) % below as u64) as usize;
        let Self { bench, subjects, .. } = self;
        let subject = &subjects[chance(0, 2)];
        let (file, good) = subject.files.0.iter().nth(chance(1, subject.files.0.len())).unwrap();
        let mut bytes = good.clone();
        let what = if chance(2, 4) == 0 {
            bytes.truncate(chance(3, bytes.len()));
            format!("case {number}: {file} cut to {} of {} bytes", bytes.len(), good.len())
        } else {
            let bit = chance(3, 8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            format!("case {number}: {file} with bit {bit} flipped")
        };
        std::fs::write(subject.path.join(file), &bytes).unwrap();

        self.verified.add(
            verify(&subject.path),
            subject.verify_reads(file),
            file,
            &format!("{what}: verify"),
        );
        let replayed = replay(&subject.path).map_err(|error| error.to_string());
        let replayed = replayed.map(|found| assert_eq!(found, subject.replayed, "{what}: another replay"));
        self.replayed.add(replayed, subject.replay_reads(file), file, &format!("{what}: replay"));

        let resumed = match open(bench, &subject.path) {
            Err(error) => Err(error.to_string()),
            Ok(Resumed::Finished(_)) => {
                assert!(subject.manifest.finished, "{what}");
                Ok(())
            }
            Ok(Resumed::Unfinished(run)) => {
                let noted = run.notes().iter().find(|note| is_damage(note)).cloned();
                let options = Options { workers: 1, ..Options::default() };
                run.run(options, spfde::wire).unwrap_or_else(|error| panic!("{what}: {error}"));
                let run = Recorded::open(&subject.path);
                assert_same(&self.rows, &transcript(&run), &what);
                assert!(self.weights == run.final_weights(), "{what}: the weights differ");
                noted.map_or(Ok(()), Err)
            }
        };
        self.resumed.add(resumed, subject.resume_reads(file), file, &format!("{what}: resume"));
        subject.files.restore(&subject.path);
    }

    fn cases(mut self, numbers: std::ops::Range<u64>) {
        let count = (numbers.end - numbers.start) as usize;
        numbers.for_each(|number| self.case(number));
        for (command, Count { reported, passed }) in
            [("verify", self.verified), ("replay", self.replayed), ("resume", self.resumed)]
        {
            eprintln!("{command}: {reported} reported by name, {passed} damaged what is not read");
            assert_eq!(reported + passed, count);
            assert!(reported > count / 10 && passed > 0, "{command}: both happen");
        }
    }
}

#[test]
fn damaged_files_are_named_or_not_read() {
    Sweep::new().cases(0..300);
}

#[test]
#[ignore = "minutes: see the module's documentation"]
fn ten_thousand_flips_and_cuts() {
    Sweep::new().cases(0..10_000);
}
