//! Small data, short runs, and their traces read back.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use spfde::configuration::{Configuration, Source};
use spfde::{Error, Experiment, Options, Why};
use spfde_data::files::data_set;
use spfde_data::files::manifest::Manifest;
use spfde_data::files::weights;
use spfde_data::images::{DataSet, Images, Normalization};
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::*;
use spfde_data::segment::Segment;
use spfde_data::table::Row;
use spfde_data::tensor::Tensor;
use spfde_flow::{Fault, Run, Services, Tick};
use spfde_tests::segments::read_segment;
use tempfile::TempDir;
use timely::Config;

/// Rows and columns of an image: as small as `lenet5` takes.
const SIDE: usize = 12;
const CLASSES: usize = 10;

/// A network in TOML with operations that no network by name has, dropout among them, on images of 12 × 12.
pub(crate) const DESCRIBED: [&str; 2] = [
    "model.name=layers",
    // In one line: other processes get a word a line.
    "model.layers=[\
     { convolution = 6, kernel = 3 }, { batch_norm = true }, { relu = true }, { max_pool = true }, \
     { block = \"b1\" }, \
     { convolution = 6, kernel = 3, depthwise = true, name = \"own\" }, { batch_norm = true }, \
     { concatenate = [\"own\", \"block0\"] }, \
     { block = \"b2\" }, \
     { convolution = 18, kernel = 1, name = \"three\" }, { attention = 2 }, { dropout = 0.2 }, \
     { layer_norm = true }, { convolution = 6, kernel = 1 }, { gelu = true }, \
     { block = \"b3\" }, \
     { linear = 20 }, { relu = true }, { dropout = 0.3 }, \
     { linear = 10 }, \
     ]",
];

/// A number from −1 to 1 that depends on nothing but its arguments.
fn noise(stream: u64, sample: u64, position: u64) -> f64 {
    draw(stream, Purpose::Synthetic, sample, position) as f64 / u64::MAX as f64 * 2.0 - 1.0
}

/// Grey images of ten classes in turn: each class has a pattern of its own, each image its own noise.
fn images(stream: u64, count: usize) -> Images {
    let pixel = |sample: usize, position: usize| {
        let pattern = noise(0, (sample % CLASSES) as u64, position as u64);
        let own = noise(stream, sample as u64, position as u64);
        (128.0 + 60.0 * pattern + 60.0 * own) as u8
    };
    let pixels =
        (0..count).flat_map(|sample| (0..SIDE * SIDE).map(move |position| pixel(sample, position))).collect();
    let labels = (0..count).map(|sample| (sample % CLASSES) as u16).collect();
    Images { channels: 1, height: SIDE, width: SIDE, pixels, labels }
}

/// Data, and a place for the runs that are trained on it, which goes away when dropped.
pub(crate) struct Bench {
    directory: TempDir,
    data: Arc<DataSet>,
}

impl Bench {
    /// Data with so many training images, and test images for several chunks.
    pub(crate) fn new(samples: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = data_set::assemble("patterns", CLASSES, images(1, samples), images(2, 200));
        Self { directory, data: Arc::new(data) }
    }

    /// As [`Bench::new`], with data that `change` has changed.
    pub(crate) fn with(samples: usize, change: impl FnOnce(&mut Images, &mut Normalization)) -> Self {
        let mut train = images(1, samples);
        let mut data = data_set::assemble("patterns", CLASSES, train.clone(), images(2, 200));
        change(&mut train, &mut data.normalization);
        data.train = Arc::new(train);
        Self { directory: tempfile::tempdir().unwrap(), data: Arc::new(data) }
    }

    /// As [`Bench::new`], with classes of different sizes, none of them empty.
    pub(crate) fn skewed(samples: usize) -> Self {
        let mut train = images(1, samples);
        let label = |sample: usize| (sample % CLASSES).min(sample / CLASSES % CLASSES) as u16;
        train.labels = (0..samples).map(label).collect();
        train.labels[..CLASSES].copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let data = data_set::assemble("skewed patterns", CLASSES, train, images(2, 200));
        Self { directory: tempfile::tempdir().unwrap(), data: Arc::new(data) }
    }

    /// The setting that leads to the data on disk, to which it is written.
    pub(crate) fn data_word(&self) -> String {
        let path = self.path("data");
        if !path.exists() {
            data_set::write(&self.data, &path).unwrap();
        }
        format!("data.path={}", path.display())
    }

    /// The data.
    pub(crate) fn data(&self) -> Arc<DataSet> {
        Arc::clone(&self.data)
    }

    /// How many training images there are.
    pub(crate) fn samples(&self) -> usize {
        self.data.train.len()
    }

    /// A path for something new.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A configuration in the words of the command line: small batches of unchanged images, then `words`.
    pub(crate) fn configure(&self, words: &[&str]) -> Result<Experiment, Error> {
        let defaults = ["data.batch_size=32", "data.augment=none", "train.learning_rate=0.1"];
        let words: Vec<String> = defaults.iter().chain(words).map(|word| (*word).to_owned()).collect();
        self.prepare(Configuration::resolve(Source::from_words(&words)?.entries())?)
    }

    /// The experiment of a configuration, on this data.
    pub(crate) fn prepare(&self, configuration: Configuration) -> Result<Experiment, Error> {
        Experiment::with_data(configuration, Arc::clone(&self.data))
    }

    /// As [`Bench::configure`], for words that hold together.
    pub(crate) fn experiment(&self, words: &[&str]) -> Experiment {
        self.configure(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs an experiment to its end with the ready pipeline.
    pub(crate) fn record(&self, name: &str, experiment: &Experiment, workers: usize) -> Recorded {
        let path = self.path(name);
        let options = Options { directory: Some(path.clone()), workers, ..Options::default() };
        match spfde::run(experiment, options, spfde::wire) {
            Ok(found) => assert_eq!(found, path),
            Err(error) => panic!("{name}: {error}"),
        }
        Recorded::open(&path)
    }

    /// As [`Bench::record`] on two workers, from words.
    pub(crate) fn train(&self, name: &str, words: &[&str]) -> (Experiment, Recorded) {
        let experiment = self.experiment(words);
        let recorded = self.record(name, &experiment, 2);
        (experiment, recorded)
    }
}

/// A run on disk.
pub(crate) struct Recorded {
    pub(crate) path: PathBuf,
    pub(crate) manifest: Manifest,
}

impl Recorded {
    pub(crate) fn open(path: &Path) -> Self {
        Self { path: path.to_owned(), manifest: Manifest::read(path).unwrap() }
    }

    /// All rows of a stream, over all epochs and workers, in their order.
    pub(crate) fn rows<R: Row>(&self) -> Vec<R> {
        let segments = self.manifest.segments.iter().filter(|segment| segment.stream == R::STREAM);
        let mut rows: Vec<R> =
            segments.flat_map(|segment| read_segment::<R>(&self.path, segment).unwrap()).collect();
        rows.sort_by_key(Row::order);
        rows
    }

    /// The rows of one epoch.
    pub(crate) fn epoch<R: Row>(&self, epoch: u32) -> Vec<R> {
        self.rows::<R>().into_iter().filter(|row| row.order()[0] == u64::from(epoch)).collect()
    }

    /// The one segment of a stream in an epoch that `worker` wrote.
    pub(crate) fn segment(&self, stream: &str, epoch: u32, worker: u32) -> &Segment {
        let wanted = |segment: &&Segment| {
            (segment.stream.as_str(), segment.epoch, segment.worker) == (stream, epoch, worker)
        };
        self.manifest.segments.iter().find(wanted).unwrap_or_else(|| panic!("{stream} {epoch} {worker}"))
    }

    /// The bytes of the final weights.
    pub(crate) fn final_weights(&self) -> Vec<u8> {
        let last = self.manifest.checkpoints.last().expect("a finished run has its weights");
        assert_eq!(last.epoch, self.manifest.epochs);
        std::fs::read(self.path.join(&last.path)).unwrap()
    }

    /// The final weights, momenta and masks by name.
    pub(crate) fn arrays(&self) -> Vec<Tensor> {
        let last = self.manifest.checkpoints.last().expect("a finished run has its weights");
        weights::read(&self.path.join(&last.path)).unwrap().arrays
    }

    /// What `spfde verify` finds wrong.
    pub(crate) fn findings(&self) -> Vec<String> {
        let run = spfde_data::files::run_directory::RunDirectory::open(&self.path).unwrap();
        let findings = spfde::verify::findings(&run).map(|findings| findings.told().to_vec());
        findings.unwrap_or_else(|error| vec![error.to_string()])
    }

    /// Every file below `trace` and `checkpoint`, relative to the run, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        for directory in ["trace", "checkpoint"] {
            walk(&self.path.join(directory), &mut files);
        }
        let mut files: Vec<String> = files
            .iter()
            .map(|path| path.strip_prefix(&self.path).unwrap().to_str().unwrap().replace('\\', "/"))
            .collect();
        files.sort();
        files
    }

    /// Every file that the manifest names, sorted.
    pub(crate) fn named(&self) -> Vec<String> {
        self.manifest.files().into_iter().map(str::to_owned).collect()
    }

    /// Asserts what holds of every run, however it ended: `committed` epochs count, their sums are right, and
    /// no file is left over.
    pub(crate) fn assert_sound(&self, committed: u32) {
        assert_eq!(self.manifest.epochs_reached, committed, "{}", self.path.display());
        assert_eq!(self.manifest.finished, self.manifest.stopped.is_none(), "{}", self.path.display());
        assert_eq!(self.findings(), [""; 0], "{}", self.path.display());
        assert_eq!(self.files(), self.named(), "{}", self.path.display());
    }
}

/// This test program again, as a process of its own that runs one test only, which is ignored otherwise.
pub(crate) fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads", "1"]);
    command
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = directory.read_dir() else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => walk(&path, files),
            false => files.push(path),
        }
    }
}

/// All deterministic streams of a run as text, one line a row: for comparisons.
pub(crate) fn transcript(run: &Recorded) -> Vec<String> {
    fn lines<R: Row + std::fmt::Debug>(run: &Recorded) -> Vec<String> {
        run.rows::<R>().iter().map(|row| format!("{row:?}")).collect()
    }
    [
        lines::<ScoreRow>(run),
        lines::<GradientRow>(run),
        lines::<LayerRow>(run),
        lines::<MaskRow>(run),
        lines::<FreezeRow>(run),
        lines::<FreezeEvidenceRow>(run),
        lines::<SieveRow>(run),
        lines::<SimilarityRow>(run),
        run.rows::<EpochRow>()
            .into_iter()
            .map(|row| format!("{:?}", EpochRow { seconds: None, cached_flops: None, ..row }))
            .collect(),
    ]
    .concat()
}

/// Asserts that two transcripts are the same, showing the first difference only.
pub(crate) fn assert_same(left: &[String], right: &[String], what: &str) {
    let different = left.iter().zip(right).find(|(left, right)| left != right);
    assert_eq!(different, None, "{what}");
    assert_eq!(left.len(), right.len(), "{what}: rows");
}

/// The fault with which a run stopped.
pub(crate) fn stopped(result: Result<PathBuf, Error>) -> (Fault, u8) {
    match result {
        Err(error) => {
            let code = error.exit_code();
            match error {
                Error::Stopped { why, .. } => match *why {
                    Why::Fault(fault) => (fault, code),
                    other => panic!("{other}"),
                },
                other => panic!("{other}"),
            }
        }
        Ok(path) => panic!("{} ran to its end", path.display()),
    }
}

/// Runs the ready pipeline over services of its own; the fault that each worker saw.
pub(crate) fn execute(experiment: &Experiment, services: Services, workers: usize) -> Vec<Option<Fault>> {
    let settings = Arc::clone(experiment.settings());
    let guards = timely::execute(Config::process(workers), move |worker| {
        let finished = worker.dataflow::<Tick, _, _>(|scope| {
            let run = Run::new(scope, Arc::clone(&settings), services.clone());
            spfde::pipeline(&run);
            run.finish()
        });
        while worker.has_dataflows() {
            worker.step_or_park(Some(Duration::from_millis(50)));
        }
        finished.fault()
    });
    guards.unwrap().join().into_iter().map(Result::unwrap).collect()
}

/// Wires the ready pipeline and gives its training streams to `more`.
pub(crate) fn pipeline_with<'s>(run: &Run<'s>, more: impl FnOnce(&Run<'s>, &spfde_flow::Trained<'s>)) {
    use spfde_flow::{freeze, load, mask, sieve, train};
    let loops = run.loops();
    let batches = load(run, loops.active.stream());
    let trained = train(run, batches, loops.frozen.stream(), loops.masked.stream());
    let policies = run.policies();
    let frozen_now = freeze(run, &trained.gradients, &trained.layers, &trained.similarity, &policies.freeze);
    let masks = mask(run, &trained.weights, &frozen_now, &policies.mask);
    let sieved = sieve(run, &trained.scores, loops.active.stream(), &policies.sieve);
    loops.masked.close(masks);
    loops.frozen.close(frozen_now);
    loops.active.close(sieved);
    more(run, &trained);
    run.trace(&trained);
}
