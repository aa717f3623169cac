//! The program as its users meet it: what it prints, where, with which exit code, and what it leaves alone.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use spfde::configuration::{Configuration, Source, core, families};
use spfde_data::files::data_set;
use spfde_data::files::manifest::Manifest;
use spfde_data::random::{Purpose, draw};
use tempfile::TempDir;

/// What a command printed and returned.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Outcome {
    /// Asserts that the command was refused in one line on standard error that starts and ends like this.
    fn refused(&self, code: i32, start: &str, end: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        let message = self.err.strip_prefix("spfde: ").unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
        assert!(message.starts_with(start) && message.trim_end().ends_with(end), "{message}");
    }

    /// Asserts that the command did what it was asked to.
    fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// An empty directory in which commands run.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A place with a small data set in `data`, imported from IDX files in `idx`.
    fn with_data() -> Self {
        let place = Self::new();
        write_idx(&place.path("idx"));
        place.run(&["import", "idx", "idx", "--out", "data"]).done();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spfde"));
        command.args(words).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Outcome {
        let output = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The names of what is here, sorted.
    fn names(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn idx(dimensions: &[u32], bytes: &[u8]) -> Vec<u8> {
    let header = [0, 0, 8, dimensions.len() as u8];
    let sizes = dimensions.iter().flat_map(|size| size.to_be_bytes());
    header.into_iter().chain(sizes).chain(bytes.iter().copied()).collect()
}

/// The four files of a data set of 12 × 12 pixels in ten classes: 120 images to train, 40 to test.
fn write_idx(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    for (part, images) in [("train", 120_u32), ("t10k", 40)] {
        let pixels: Vec<u8> = (0..u64::from(images) * 144)
            .map(|position| {
                let (class, pixel) = (position / 144 % 10, position % 144);
                (draw(0, Purpose::Synthetic, class, pixel) % 200 + position % 50) as u8
            })
            .collect();
        let labels: Vec<u8> = (0..images).map(|image| (image % 10) as u8).collect();
        let write =
            |name: &str, bytes| std::fs::write(directory.join(format!("{part}-{name}")), bytes).unwrap();
        write("images-idx3-ubyte", idx(&[images, 12, 12], &pixels));
        write("labels-idx1-ubyte", idx(&[images], &labels));
    }
}

#[test]
fn settings_that_nothing_knows_or_that_are_out_of_range_are_refused_before_any_work() {
    let place = Place::new();
    std::fs::write(place.path("bad.toml"), "seed = 1\n[train]\nepochs = = 3\n").unwrap();
    std::fs::write(place.path("list.toml"), "[train]\nepochs = [1, 2]\n").unwrap();
    let train = |word: &str| place.run(&["train", word, "--run-dir", "run"]);
    let cases = [
        ("train.epoch=3", "unknown key `train.epoch`; did you mean `train.epochs`?", ""),
        ("mask.sparcity=0.5", "unknown key `mask.sparcity`; did you mean `mask.sparsity`?", ""),
        ("nonsense=1", "unknown key `nonsense`", ""),
        ("train.epochs=0", "`train.epochs` = 0 is out of range: 1 to 100000", ""),
        ("mask.sparsity=1", "`mask.sparsity` = 1 is out of range: 0 to below 1", ""),
        ("mask.sparsity=nan", "`mask.sparsity` = NaN is out of range", ""),
        ("train.epochs=many", "`train.epochs` = \"many\" is out of range", ""),
        ("sieve.interval=1", "`sieve.interval` = 1 is out of range: 2 or more", ""),
        (
            "mask.policy=mest-emss",
            "`mask.policy` = \"mest-emss\" is out of range",
            "did you mean `mest-ems`?",
        ),
        ("model.name=resnet21", "`model.name` = \"resnet21\" is out of range", "did you mean `resnet20`?"),
        ("epochs", "`epochs` is neither a file ending in .toml nor key=value", ""),
        ("bad.toml", "bad.toml, line 3: ", ""),
        ("list.toml", "list.toml: `train.epochs` is a list; settings are numbers and texts", ""),
        ("missing.toml", "missing.toml: cannot read the configuration: ", ""),
    ];
    for (word, start, end) in cases {
        train(word).refused(2, start, end);
    }
    assert_eq!(place.names(), ["bad.toml", "list.toml"]);
}

#[test]
fn contradictions_name_the_key_and_what_would_hold() {
    let place = Place::with_data();
    let train = |words: &[&str]| {
        place.run(&[&["train", "data.path=data", "model.name=lenet5", "--run-dir", "run"], words].concat())
    };
    let unreachable = train(&["mask.sparsity=0.5", "train.epochs=4", "freeze.flops_reduction=0.9"]);
    unreachable.refused(
        2,
        "`freeze.flops_reduction`: 0.9 cannot be reached, the greatest that can is 0.",
        "",
    );
    train(&["mask.sparsity=0.9999"]).refused(2, "`mask.sparsity`: 0.9999 leaves none of the ", "");
    train(&["mask.sparsity=0.5", "sieve.fraction=0.999"]).refused(2, "`sieve.fraction`: ", "");
    assert_eq!(place.names(), ["data", "idx"]);
}

#[test]
fn wrong_usage_ends_with_exit_code_2() {
    let place = Place::new();
    let cases = [
        (&["trian"][..], "unrecognized subcommand 'trian'"),
        (&[], "Usage: spfde"),
        (&["train", "--workers", "0"], "invalid value '0' for '--workers <N>'"),
        (&["train", "--nonsense"], "unexpected argument '--nonsense'"),
        (&["verify"], "<RUN>"),
    ];
    for (words, message) in cases {
        let outcome = place.run(words);
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(2), ""), "{words:?}: {outcome:?}");
        assert!(outcome.err.contains(message), "{outcome:?}");
    }
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn data_that_is_missing_or_damaged_is_refused_before_training() {
    let place = Place::with_data();
    let train = || place.run(&["train", "data.path=data", "model.name=mlp", "--run-dir", "run"]);
    let nowhere = place.run(&["train", "data.path=nowhere", "--run-dir", "run"]);
    nowhere.refused(1, "nowhere", "");
    let file = place.path("data/train.parquet");
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        train().refused(1, "data/train.parquet: ", "");
    }
    let mut changed = whole.clone();
    changed[whole.len() / 3] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    train().refused(1, "data/train.parquet: ", "");
    std::fs::remove_file(&file).unwrap();
    train().refused(1, "data/train.parquet: ", "");
    assert_eq!(place.names(), ["data", "idx"]);
}

#[test]
fn idx_files_that_lie_are_refused_and_nothing_is_written() {
    let place = Place::new();
    write_idx(&place.path("idx"));
    let (images, labels) = ("idx/train-images-idx3-ubyte", "idx/train-labels-idx1-ubyte");
    let (sound_images, sound_labels) =
        (std::fs::read(place.path(images)).unwrap(), std::fs::read(place.path(labels)).unwrap());
    let import = |name: &str, bytes: &[u8]| {
        std::fs::write(place.path(name), bytes).unwrap();
        let outcome = place.run(&["import", "idx", "idx", "--out", "data"]);
        std::fs::write(place.path(images), &sound_images).unwrap();
        std::fs::write(place.path(labels), &sound_labels).unwrap();
        outcome
    };
    let pixels = &sound_images[16..];
    let declares = |count: u32, rows: u32, columns: u32| idx(&[count, rows, columns], pixels);
    import(images, &declares(121, 12, 12)).refused(1, images, "fetch it again");
    import(images, &declares(119, 12, 12)).refused(1, images, "fetch it again");
    import(images, &declares(u32::MAX, 16384, 16384)).refused(1, images, "");
    import(images, &declares(120, 0, 12)).refused(1, images, "");
    import(images, &sound_images[..17]).refused(1, images, "fetch it again");
    import(images, &sound_images[..9]).refused(1, images, "");
    import(images, &[1, 2, 3, 4]).refused(1, images, "");
    import(images, &sound_labels).refused(1, images, "are the files swapped?");
    import(labels, &idx(&[119], &sound_labels[8..127])).refused(1, labels, "");
    assert_eq!(place.names(), ["idx"]);
    place.run(&["import", "idx", "idx", "--out", "data"]).done();
    let again = place.run(&["import", "idx", "idx", "--out", "data"]);
    again.refused(1, "data/train.parquet: exists already and was left as it is", "");
}

#[test]
fn a_run_directory_with_anything_in_it_is_left_as_it_is() {
    let place = Place::with_data();
    std::fs::create_dir(place.path("taken")).unwrap();
    std::fs::write(place.path("taken/thesis.txt"), "years of work").unwrap();
    std::fs::write(place.path("file"), "no directory").unwrap();
    let words = ["train", "data.path=data", "model.name=lenet5", "mask.sparsity=0.5", "train.epochs=2"];
    let train =
        |directory: &str| place.run(&[&words[..], &["freeze.policy=none", "--run-dir", directory]].concat());
    train("taken").refused(1, "taken: is not empty; nothing was overwritten", "");
    assert_eq!(std::fs::read_to_string(place.path("taken/thesis.txt")).unwrap(), "years of work");
    assert_eq!(place.path("taken").read_dir().unwrap().count(), 1);
    train("file").refused(1, "file: ", "");
    assert_eq!(std::fs::read_to_string(place.path("file")).unwrap(), "no directory");

    // The second run into the directory of the first.
    train("run").done();
    let manifest = std::fs::read(place.path("run/manifest.json")).unwrap();
    train("run").refused(1, "run: is not empty; nothing was overwritten", "");
    assert_eq!(std::fs::read(place.path("run/manifest.json")).unwrap(), manifest);
    place.run(&["verify", "run"]).done();
}

#[test]
fn a_dry_run_prints_configuration_and_schedule_and_creates_nothing() {
    let place = Place::with_data();
    let words = ["data.path=data", "model.name=lenet5", "mask.sparsity=0.5", "train.epochs=6", "seed=7"];
    let dry = place.run(&[&["train", "--dry-run"], &words[..]].concat()).done();
    assert_eq!(dry.err, "");
    assert_eq!(place.names(), ["data", "idx"]);
    let (config, schedule) = dry.out.split_at(dry.out.find("\nlayer ").unwrap());
    let parsed = Source::parse_file("config.toml", config).unwrap();
    let given = Source::from_words(&words.map(str::to_owned)).unwrap();
    let [parsed, given] =
        [parsed, given].map(|source| Configuration::resolve(source.entries()).unwrap().values().clone());
    for (key, value) in given.iter().filter(|(key, _)| *key != "train.kernel") {
        assert_eq!(parsed.get(key), Some(value), "{key}");
    }
    for part in ["convolution1", "linear2", "forward FLOPs", "activation bytes", "freezing saves"] {
        assert!(schedule.contains(part), "{part} in {schedule}");
    }
    // The printed configuration is a configuration file.
    std::fs::write(place.path("printed.toml"), config).unwrap();
    let again = place.run(&["train", "--dry-run", "printed.toml"]).done();
    assert_eq!(again.out, dry.out);
}

#[test]
fn a_key_that_the_chosen_policy_does_not_use_is_noted() {
    let place = Place::with_data();
    let words =
        ["train", "--dry-run", "data.path=data", "model.name=mlp", "mask.policy=dense", "mask.soft=0.5"];
    let outcome = place.run(&words).done();
    let note = "note: `mask.soft` has no effect: mask.policy = \"dense\" does not use it\n";
    assert!(outcome.err.contains(note), "{}", outcome.err);
}

#[test]
fn the_list_names_everything_that_can_be_chosen() {
    let place = Place::new();
    let all = place.run(&["list"]).done().out;
    for parameter in core() {
        assert!(all.contains(parameter.key), "{}", parameter.key);
    }
    for family in families() {
        let one = place.run(&["list", family.name]).done().out;
        for member in &family.members {
            for text in [&all, &one] {
                assert!(text.contains(member.name) && text.contains(member.summary), "{}", member.name);
                assert!(member.parameters.iter().all(|parameter| text.contains(parameter.key)));
            }
        }
        assert!(!one.contains("data.batch_size"), "only what was asked for");
    }
    for entry in data_set::registry() {
        assert!(all.contains(entry.name) && all.contains(entry.licence), "{}", entry.name);
    }
    assert_eq!(place.run(&["list", "nonsense"]).code, Some(2));
}

#[test]
fn from_idx_files_to_a_verified_run() {
    let place = Place::new();
    write_idx(&place.path("idx"));
    let imported = place.run(&["import", "idx", "idx", "--out", "data", "--name", "patterns"]).done();
    assert!(imported.out.contains("patterns: 120 training and 40 test images, 1 × 12 × 12, 10 classes"));
    let words = ["train", "data.path=data", "model.name=mlp", "train.epochs=2", "freeze.policy=none"];
    let trained = place.run(&words).done();
    assert_eq!(trained.err, "", "quiet when nobody watches");
    for part in ["test accuracy", "counted", "run directory: runs/mlp-0-1 (verified: 2 of 2 epochs"] {
        assert!(trained.out.contains(part), "{part} in {}", trained.out);
    }
    let verified = place.run(&["verify", "runs/mlp-0-1"]).done();
    assert!(verified.out.starts_with("runs/mlp-0-1: sound: 2 of 2 epochs, "), "{}", verified.out);
    let files = ["config.toml", "environment.json", "manifest.json", "checkpoint/e00002.safetensors"];
    assert!(files.iter().all(|file| place.path("runs/mlp-0-1").join(file).is_file()));
    // The next one gets a directory of its own.
    place.run(&words).done();
    place.run(&["verify", "runs/mlp-0-2"]).done();
    place.run(&["verify", "data"]).refused(
        1,
        "data: has no manifest.json; it is not the directory of a run",
        "",
    );

    let segment = place.path("runs/mlp-0-2/trace/scores/e00001-w00.parquet");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let damaged = place.run(&["verify", "runs/mlp-0-2"]);
    assert_eq!((damaged.code, damaged.out.as_str()), (Some(1), ""));
    assert!(damaged.err.contains("trace/scores/e00001-w00.parquet: BLAKE3 is "), "{}", damaged.err);
}

#[test]
fn a_run_whose_loss_is_not_finite_ends_with_exit_code_3_and_says_what_is_kept() {
    let place = Place::with_data();
    let words = [
        "train",
        "data.path=data",
        "model.name=lenet5",
        "mask.sparsity=0.5",
        "freeze.policy=none",
        "train.learning_rate=1000",
        "--run-dir",
        "run",
    ];
    place.run(&words).refused(3, "stage ", "epochs are committed in run");
    place.run(&["verify", "run"]).done();
}

/// How far a run came; `None` before it has a manifest.
#[cfg(unix)]
fn reached(run: &Path) -> Option<u32> {
    Manifest::read(run).ok().map(|manifest| manifest.epochs_reached)
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_run_with_exit_code_130_and_keeps_what_is_committed() {
    let place = Place::with_data();
    let words = [
        "train",
        "data.path=data",
        "model.name=lenet5",
        "mask.sparsity=0.5",
        "freeze.policy=none",
        "train.epochs=100000",
        "--workers",
        "2",
        "--run-dir",
        "run",
    ];
    let mut child = place.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Far more than it takes; only a run that hangs gets there.
    let deadline = Instant::now() + Duration::from_secs(120);
    let run = place.path("run");
    while reached(&run).is_none_or(|epochs| epochs < 2) {
        assert_eq!(child.try_wait().unwrap(), None, "it trains until it is interrupted");
        assert!(Instant::now() < deadline, "no epoch was committed");
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("the run goes on after the interrupt");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let committed = reached(&run).unwrap();
    assert!(committed >= 2);
    let err = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines[0], "note: stopping after the step in flight; once more to stop at once");
    let kept = format!("; {committed} of 100000 epochs are committed in run");
    assert!(lines[1].starts_with("spfde: interrupted at epoch ") && lines[1].ends_with(&kept), "{err}");
    assert_eq!((lines.len(), output.stdout.len()), (2, 0), "{err}");
    let verified = place.run(&["verify", "run"]).done();
    assert!(verified.out.contains(&format!("sound: {committed} of 100000 epochs")), "{}", verified.out);
}
