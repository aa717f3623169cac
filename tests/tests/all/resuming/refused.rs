//! What cannot be resumed is refused before anything changes, and what is damaged is never used.

use spfde::prelude::{Cut, Decision, Rank, SieveContext, SieveRule};
use spfde_data::files::data_set;
use spfde_data::files::manifest::{DataSetRecord, Manifest};
use spfde_data::files::parquet_store::ParquetStore;
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::{FreezeRow, MaskRow, SieveRow};
use spfde_data::segment::{Checkpoint, Segment, SegmentStore};
use spfde_data::table::{Columns, Row};
use spfde_model::Kernel;
use spfde_tests::segments::read_segment;

use super::*;

const WORDS: [&str; 4] = ["model.name=lenet5", "train.epochs=5", "mask.sparsity=0.6", "sieve.fraction=0.3"];

/// A run that was interrupted in epoch 3.
fn interrupted(bench: &Bench) -> PathBuf {
    let path = bench.path("run");
    begin(&bench.experiment(&WORDS), &path, until(3, 0, 2));
    path
}

fn refusal(bench: &Bench, path: &Path) -> Error {
    open(bench, path).err().expect("it cannot be resumed")
}

#[test]
fn data_that_is_gone_is_told_of_whoever_reads_it() {
    let bench = Bench::new(60);
    let gone = format!("data.path={}", bench.path("gone").display());
    let path = bench.path("run");
    begin(&bench.experiment(&[&WORDS[..], &[&gone]].concat()), &path, until(3, 0, 2));
    let by_itself = |configuration: Configuration| {
        let data = data_set::read(&configuration.data_path())?;
        Experiment::with_data(configuration, Arc::new(data))
    };
    let start = format!("{}: data.path is ", path.join("config.toml").display());
    let registry = Registry::standard();
    let refused = [
        Resumed::open(&registry, &path, by_itself).err(),
        Resumed::open(&registry, &path, Experiment::new).err(),
    ];
    for error in refused {
        let error = error.expect("there is no data").to_string();
        assert!(error.starts_with(&start) && error.contains("there is nothing at "), "{error}");
    }
}

#[test]
fn a_finished_run_has_nothing_left_to_do() {
    let bench = Bench::new(60);
    let run = bench.record("whole", &bench.experiment(&WORDS), 1);
    let before = std::fs::read(run.path.join("manifest.json")).unwrap();
    assert!(matches!(open(&bench, &run.path).unwrap(), Resumed::Finished(5)));
    assert_eq!(std::fs::read(run.path.join("manifest.json")).unwrap(), before);
    let join =
        || Resumed::join(&Registry::standard(), &run.path, |configuration| bench.prepare(configuration));
    assert!(matches!(join().unwrap(), Resumed::Finished(5)));
    // The manifest of a finished run in the place of that of one that is not.
    let path = interrupted(&bench);
    std::fs::write(path.join("manifest.json"), before).unwrap();
    let error = refusal(&bench, &path);
    let parts = ["the run is finished, but is not what it was: ", " findings, the first: "];
    assert!(parts.iter().all(|part| error.to_string().contains(part)), "{error}");
    assert_eq!(error.exit_code(), 1);
    let architecture = run.path.join("architecture.json");
    let network = std::fs::read(&architecture).unwrap();
    std::fs::write(&architecture, "{}").unwrap();
    let error = refusal(&bench, &run.path).to_string();
    assert!(error.contains("architecture.json: is not the architecture that the run began with"), "{error}");
    std::fs::write(&architecture, network).unwrap();
    std::fs::remove_file(run.path.join("trace/scores/e00001-w00.parquet")).unwrap();
    let error = join().err().unwrap().to_string();
    assert!(error.contains("trace/scores/e00001-w00.parquet: cannot open: "), "{error}");
}

#[test]
fn a_run_that_only_lacks_the_last_word_is_finished() {
    let bench = Bench::new(60);
    let run = bench.record("run", &bench.experiment(&WORDS), 1);
    let mut manifest = run.manifest.clone();
    manifest.finished = false;
    manifest.write(&run.path).unwrap();
    assert!(matches!(open(&bench, &run.path).unwrap(), Resumed::Finished(5)));
    assert_eq!(Recorded::open(&run.path).manifest, run.manifest);
    // All processes that would go on with it come to the same conclusion.
    manifest.write(&run.path).unwrap();
    let join = || {
        Resumed::join(&Registry::standard(), &run.path, |configuration| bench.prepare(configuration)).unwrap()
    };
    assert!(matches!(join(), Resumed::Finished(5)));
    let weights = run.path.join(&manifest.checkpoint(5).next().unwrap().path);
    std::fs::write(&weights, b"damaged").unwrap();
    assert!(refusal(&bench, &run.path).to_string().contains("e00005.safetensors"));
    assert!(matches!(join(), Resumed::Unfinished(_)));
}

#[test]
fn another_process_is_refused_while_the_run_is_held() {
    let bench = Bench::new(60);
    let path = interrupted(&bench);
    let held = unfinished(&bench, &path);
    let error = refusal(&bench, &path);
    let expected = format!("is in use by process {}; ", std::process::id());
    assert!(error.to_string().contains(&expected), "{error}");
    assert_eq!(error.exit_code(), 1);
    drop(held);
    unfinished(&bench, &path);
}

#[test]
fn other_data_than_the_runs_is_refused() {
    let bench = Bench::new(60);
    let path = interrupted(&bench);
    let before = Recorded::open(&path).manifest;
    let other = Bench::new(61);
    let error = refusal(&other, &path);
    let parts = [
        "manifest.json: the data is now `patterns` of 61 training images",
        "`patterns` of 60 training images",
    ];
    assert!(parts.iter().all(|part| error.to_string().contains(part)), "{error}");
    // The same images, of which a channel has another deviation.
    let scaled = Bench::with(60, |_, normalization| normalization.scale[0] *= 1.25);
    let error = refusal(&scaled, &path).to_string();
    assert!(error.contains("…) with another mean or deviation; the run began with `patterns`"), "{error}");
    assert_eq!(Recorded::open(&path).manifest.segments, before.segments);
    // Of a run of a time before they were written down nothing is known of them.
    let unstated = DataSetRecord { normalization: None, ..before.data_set.clone() };
    Manifest { data_set: unstated, ..before }.write(&path).unwrap();
    finish(&bench, &path, 1);
}

#[test]
fn a_changed_configuration_is_refused() {
    let bench = Bench::new(60);
    let path = interrupted(&bench);
    let config = path.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("sparsity = 0.6", "sparsity = 0.7")).unwrap();
    let error = refusal(&bench, &path).to_string();
    assert!(error.contains("config.toml: is not the configuration that the run began with"), "{error}");
    std::fs::write(&config, text).unwrap();
    finish(&bench, &path, 1);
}

#[test]
fn a_run_of_a_machine_with_other_kernels_goes_on_with_those_of_this_one_and_says_so() {
    let bench = Bench::new(60);
    let path = interrupted(&bench);
    let here = Kernel::all();
    let lacks = |name: &&str| here.iter().all(|kernel| kernel.name() != *name);
    let other = Kernel::NAMES.into_iter().skip(1).find(lacks).expect("no machine has all");
    // As a program did that did not seal the description of its machine.
    std::fs::write(path.join("environment.json"), format!("{{\"kernel\": \"{other}\"}}")).unwrap();
    let config = std::fs::read_to_string(path.join("config.toml")).unwrap();
    let changed = config.replace(&format!("\"{}\"", here[0].name()), &format!("\"{other}\""));
    assert_ne!(changed, config);
    std::fs::write(path.join("config.toml"), &changed).unwrap();
    let configuration = Some(blake3::hash(changed.as_bytes()).to_hex().to_string());
    let manifest = Manifest { configuration, sealed_environment: false, ..Recorded::open(&path).manifest };
    manifest.write(&path).unwrap();
    let notes = unfinished(&bench, &path).notes().join(" ");
    assert!(notes.contains("bits may differ") && notes.contains(here[0].name()), "{notes}");
    finish(&bench, &path, 2).assert_sound(5);
}

#[test]
fn a_damaged_checkpoint_is_not_used_but_the_one_before_it() {
    let bench = Bench::new(60);
    let experiment = bench.experiment(&WORDS);
    let whole = bench.record("whole", &experiment, 1);
    let path = interrupted(&bench);
    let manifest = Recorded::open(&path).manifest;
    let epochs: Vec<u32> = manifest.checkpoint_epochs().into_iter().collect();
    assert_eq!(epochs.len(), 2, "two checkpoints are kept");
    let files: Vec<_> = manifest.checkpoint(epochs[1]).map(|file| path.join(&file.path)).collect();
    assert!(files.len() >= 5, "{files:?}");
    let flip = |file: &Path| {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(file, bytes).unwrap();
    };
    // If both are damaged, `resume` refuses the run, and trains nothing again that the user did not ask for.
    let before: Vec<_> = manifest.checkpoint(epochs[0]).map(|file| path.join(&file.path)).collect();
    for file in &files {
        flip(file);
        flip(&before[0]);
        let error = refusal(&bench, &path).to_string();
        assert!(error.contains("none of its checkpoints can be used: "), "{error}");
        for file in [file, &before[0]] {
            assert!(error.contains(file.file_name().unwrap().to_str().unwrap()), "{error}");
        }
        flip(file);
        flip(&before[0]);
    }
    flip(&files[1]);
    let run = unfinished(&bench, &path);
    assert_eq!(run.epoch(), epochs[0]);
    assert!(run.notes()[0].contains(&format!("the checkpoint after epoch {} cannot be used", epochs[1])));
    run.run(Options { workers: 2, ..Options::default() }, spfde::wire).unwrap();
    assert_equal(&Recorded::open(&path), &whole, "from the checkpoint before");
}

/// Rewrites what worker 0 has of a table of the latest checkpoint, and lets the manifest name it as if it had
/// always been so.
fn forge<R: Row>(path: &Path, change: impl FnOnce(&mut Vec<R>)) {
    let mut manifest = Manifest::read(path).unwrap();
    let epoch = manifest.last_checkpoint().unwrap();
    let named = manifest
        .checkpoints
        .iter()
        .position(|file| file.path.ends_with(&format!("{}/e{epoch:05}-w00.parquet", R::STREAM)));
    let read = |at: usize| {
        let Checkpoint { epoch, path: file, bytes, blake3, rows } = manifest.checkpoints[at].clone();
        let (stream, rows) = (R::STREAM.to_owned(), rows.unwrap());
        read_segment::<R>(path, &Segment { stream, epoch, worker: 0, path: file, rows, bytes, blake3 })
            .unwrap()
    };
    let mut rows = named.map(read).unwrap_or_default();
    change(&mut rows);
    let tables = ParquetStore::of_checkpoints(path);
    let mut writer = tables.create(R::STREAM, &R::columns(), epoch, 0).unwrap();
    writer.append(&Columns::from_rows(rows)).unwrap();
    let forged = Checkpoint::from(writer.finish().unwrap());
    match named {
        Some(at) => manifest.checkpoints[at] = forged,
        None => manifest.checkpoints.push(forged),
    }
    manifest.checkpoints.sort();
    manifest.write(path).unwrap();
}

#[test]
fn a_checkpoint_that_was_forged_with_its_hash_is_not_used() {
    let bench = Bench::new(60);
    let experiment = bench.experiment(&WORDS);
    let whole = bench.record("whole", &experiment, 1);
    type Forgery = (fn(&Path), &'static str);
    let forgeries: [Forgery; 3] = [
        (|path| forge::<MaskRow>(path, |rows| rows.push(rows[0].clone())), "masks: weight"),
        (
            |path| {
                forge::<FreezeRow>(path, |rows| {
                    let reason = "forged".to_owned();
                    rows.push(FreezeRow { epoch: 2, step: 0, layer: 4, diff: 1, reason });
                });
            },
            "freezes: layer is 4, which is in no block",
        ),
        (|path| forge::<SieveRow>(path, |rows| rows.push(rows[0].clone())), "sieves: sample"),
    ];
    for (number, (forged, expected)) in forgeries.into_iter().enumerate() {
        let path = bench.path(&number.to_string());
        begin(&experiment, &path, until(2, 0, 1));
        forged(&path);
        let run = unfinished(&bench, &path);
        assert!(run.epoch() < 2 && run.notes()[0].contains(expected), "{:?}", run.notes());
        run.run(Options::default(), spfde::wire).unwrap();
        assert_equal(&Recorded::open(&path), &whole, expected);
    }
}

/// A link, or a directory, in the place of a file of the latest checkpoint is damage like any other.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_no_checkpoint() {
    let bench = Bench::new(60);
    let whole = bench.record("whole", &bench.experiment(&WORDS), 1);
    let aside = bench.path("aside");
    for is_link in [true, false] {
        let path = interrupted(&bench);
        let manifest = Recorded::open(&path).manifest;
        let latest = manifest.last_checkpoint().unwrap();
        for file in manifest.checkpoint(latest).map(|file| path.join(&file.path)) {
            std::fs::rename(&file, &aside).unwrap();
            match is_link {
                true => std::os::unix::fs::symlink(&aside, &file).unwrap(),
                false => std::fs::create_dir(&file).unwrap(),
            }
        }
        // A file with a name that a run does not give is the user's.
        let copy = path.join("checkpoint/copy-of-e00002.safetensors");
        std::fs::write(&copy, b"somebody's").unwrap();
        let run = unfinished(&bench, &path);
        assert!(run.epoch() < latest);
        assert!(run.notes()[0].contains(&format!("the checkpoint after epoch {latest} cannot be used")));
        run.run(Options { workers: 1, ..Options::default() }, spfde::wire).unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), b"somebody's");
        std::fs::remove_file(&copy).unwrap();
        assert_equal(&Recorded::open(&path), &whole, "without the latest checkpoint");
        std::fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_damaged_trace_is_refused_before_training_goes_on() {
    let bench = Bench::new(60);
    let path = interrupted(&bench);
    for file in ["trace/scores/e00000-w00.parquet", "trace/masks/e00001-w00.parquet"] {
        let whole = std::fs::read(path.join(file)).unwrap();
        std::fs::write(path.join(file), &whole[..whole.len() - 9]).unwrap();
        let error = refusal(&bench, &path).to_string();
        assert!(error.contains(file), "{error}");
        std::fs::remove_file(path.join(file)).unwrap();
        let error = refusal(&bench, &path).to_string();
        assert!(error.contains(file), "{error}");
        std::fs::write(path.join(file), whole).unwrap();
    }
    finish(&bench, &path, 1);
}

#[test]
fn leftovers_are_swept_and_a_run_without_a_manifest_begins_again() {
    let bench = Bench::new(60);
    let experiment = bench.experiment(&WORDS);
    let whole = bench.record("whole", &experiment, 1);
    let path = interrupted(&bench);
    for name in
        ["trace/scores/e00004-w00.parquet.part", "checkpoint/e00009.safetensors", "manifest.json.part"]
    {
        std::fs::write(path.join(name), "left over").unwrap();
    }
    std::fs::write(path.join("notes.txt"), "the user's").unwrap();
    let run = finish(&bench, &path, 2);
    assert!(path.join("notes.txt").is_file() && !path.join("manifest.json.part").exists());
    assert_equal(&run, &whole, "with leftovers");

    // The manifest of a run that has a trace was lost: nothing tells what counts, and nothing is removed.
    let (files, manifest) = (run.files(), std::fs::read(path.join("manifest.json")).unwrap());
    std::fs::remove_file(path.join("manifest.json")).unwrap();
    let error = refusal(&bench, &path).to_string();
    assert!(
        error.contains("has no manifest.json, but ") && error.contains("restore manifest.json"),
        "{error}"
    );
    std::fs::write(path.join("manifest.json"), manifest).unwrap();
    assert_eq!(run.files(), files);
    assert_equal(&run, &whole, "with its manifest again");
    // Without a trace it never had one.
    for name in ["trace", "checkpoint"] {
        std::fs::remove_dir_all(path.join(name)).unwrap();
    }
    std::fs::remove_file(path.join("manifest.json")).unwrap();
    let run = finish(&bench, &path, 1);
    assert_equal(&run, &whole, "without a manifest");
    let error = refusal(&bench, &bench.path("nothing")).to_string();
    assert!(error.contains("there is nothing of that name"), "{error}");
}

spfde_data::parameters! {
    /// Another half of the samples every other epoch: no registry knows it.
    struct Halves in "sieve" {}
}

impl SieveRule for Halves {
    const NAME: &'static str = "halves";
    const SUMMARY: &'static str = "another half every other epoch";
    type State = ();

    fn active_samples(&self, run: &SieveContext, epoch: u32) -> u32 {
        if epoch < 2 { run.samples } else { run.samples - run.samples / 2 }
    }

    fn decides(&self, _: &SieveContext, epoch: u32) -> bool {
        epoch.is_multiple_of(2)
    }

    fn decision(&self, run: &SieveContext, _: u32) -> Decision {
        Cut::Outside { out: run.samples / 2 }.into()
    }

    fn rank(&self, run: &SieveContext, epoch: u32, sample: u32, _: u32, _: u32) -> Rank {
        Rank { key: 0, since: 0, hash: draw(run.seed, Purpose::User, u64::from(epoch), u64::from(sample)) }
    }
}

#[test]
fn a_pipeline_of_its_own_goes_on_with_its_own_policies_only() {
    let bench = Bench::new(60);
    let renamed = |experiment: Experiment| experiment.with_sieve(Halves {});
    let by_class = bench.experiment(&[&WORDS[..], &["sieve.stratify=true"]].concat());
    let error = renamed(by_class).err().unwrap().to_string();
    assert!(error.starts_with("`sieve.stratify`: a sieve that is handed over"), "{error}");
    let experiment = renamed(bench.experiment(&WORDS)).unwrap();
    let whole = bench.record("whole", &experiment, 1);
    let path = bench.path("run");
    begin(&experiment, &path, until(2, 1, 1));
    let error = refusal(&bench, &path).to_string();
    assert!(error.contains("`sieve.policy`: the run has \"halves\""), "{error}");
    let options = Options { workers: 2, ..Options::default() };
    let prepare = |configuration: Configuration| renamed(bench.prepare(configuration)?);
    spfde::resume(&path, prepare, options, spfde::wire).unwrap();
    assert_equal(&Recorded::open(&path), &whole, "with its own policy");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let copied = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &copied),
            false => drop(std::fs::copy(&path, &copied).unwrap()),
        }
    }
}

#[test]
fn of_damaged_files_every_one_that_matters_is_named() {
    let bench = Bench::new(60);
    let whole = interrupted(&bench);
    let run = Recorded::open(&whole);
    let newest = run.manifest.last_checkpoint().unwrap();
    let is_newest = |file: &str| run.manifest.checkpoint(newest).any(|named| named.path == file);
    // The checkpoint before the newest one is not looked at.
    let named = run.named().into_iter().filter(|file| file.starts_with("trace") || is_newest(file));
    let beside = ["manifest.json", "config.toml", "architecture.json"].map(str::to_owned);
    let files: Vec<String> = named.chain(beside).collect();
    for (number, file) in files.iter().enumerate() {
        for cut in [false, true] {
            let path = bench.path(&format!("{number}-{cut}"));
            copy(&whole, &path);
            let mut bytes = std::fs::read(path.join(file)).unwrap();
            let place = draw(u64::from(cut), Purpose::Synthetic, number as u64, 0) as usize % bytes.len();
            match cut {
                false => bytes[place] ^= 1 << (number % 7),
                true => bytes.truncate(place),
            }
            std::fs::write(path.join(file), &bytes).unwrap();
            let name = file.rsplit('/').next().unwrap();
            match open(&bench, &path) {
                // A damaged manifest may be noticed by what does not fit it.
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(name) || file == "manifest.json", "{file}: {text}");
                }
                Ok(Resumed::Unfinished(run)) if is_newest(file) => {
                    assert!(run.epoch() < newest, "{file}");
                    assert!(run.notes().iter().any(|note| note.contains(name)), "{file}: {:?}", run.notes());
                }
                // Not every letter of a manifest matters, such as the name of the program that wrote it.
                Ok(_) => assert!(file == "manifest.json" && !cut, "{file}, byte {place}"),
            }
        }
    }
    assert!(files.len() > 30, "{files:?}");
}
