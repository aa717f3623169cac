//! Creation, locks, commits, and what is left over.

use serde_json::json;

use super::*;
use crate::files::checkpoint::Checkpoints;
use crate::files::data_set;
use crate::files::manifest::{Checkpoint, MANIFEST_NAME};
use crate::files::verify;
use crate::images::Images;
use crate::rows::MaskRow;
use crate::segment::{Commit, Segment, SegmentStore};
use crate::table::{Columns, Row};

fn manifest(epochs: u32) -> Manifest {
    let images = Images { channels: 1, height: 1, width: 1, pixels: vec![1, 2], labels: vec![0, 1] };
    Manifest::new(&data_set::assemble("tiny", 2, images.clone(), images), epochs)
}

/// The first manifest as a run with the configuration of [`create`] has it.
fn begun(epochs: u32) -> Manifest {
    let configuration = Some(blake3::hash(b"seed = 1\n").to_hex().to_string());
    Manifest { configuration, sealed_environment: true, ..manifest(epochs) }
}

fn checkpoint(run: &RunDirectory, epoch: u32) -> Checkpoint {
    Checkpoints::new(run.path()).write_weights(epoch, &[], &std::collections::BTreeMap::new()).unwrap()
}

fn create(path: &Path) -> Result<RunDirectory> {
    RunDirectory::create(path, "seed = 1\n", &json!({"version": "test"}), manifest(2))
}

fn write_segment(run: &RunDirectory, epoch: u32) -> Segment {
    let mut writer = run.store().create("masks", &MaskRow::columns(), epoch, 0).unwrap();
    writer.append(&Columns::from_rows([MaskRow { epoch, step: 0, layer: 1, index: 2, diff: 1 }])).unwrap();
    writer.finish().unwrap()
}

/// All files below a directory, sorted, with `/` between the parts.
fn files(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in directory.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            names.extend(files(&path).iter().map(|below| format!("{name}/{below}")));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

#[test]
fn a_run_is_created_committed_and_read() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("runs/mlp-1-1");
    let run = create(&path).unwrap();
    assert_eq!(files(&path), ["config.toml", "environment.json", "lock", "manifest.json"]);
    assert_eq!(RunDirectory::open(&path).unwrap().manifest(), &begun(2));

    let segments = [0, 1].map(|epoch| write_segment(&run, epoch));
    assert_eq!(RunDirectory::open(&path).unwrap().manifest().segments, []);
    run.commit(0, vec![segments[0].clone()]).unwrap();
    assert_eq!(RunDirectory::open(&path).unwrap().manifest().epochs_reached, 1);
    let weights = checkpoint(&run, 2);
    run.commit_checkpoint(1, vec![segments[1].clone()], vec![weights.clone()]).unwrap();
    run.finish(None).unwrap();

    let recorded = RunDirectory::open(&path).unwrap();
    assert_eq!(recorded.config().unwrap(), "seed = 1\n");
    assert_eq!(recorded.environment().unwrap(), json!({"version": "test"}));
    let expected = Manifest {
        epochs_reached: 2,
        finished: true,
        segments: segments.to_vec(),
        checkpoints: vec![weights],
        ..begun(2)
    };
    assert_eq!(recorded.manifest(), &expected);
    assert_eq!(run.manifest(), expected);
}

#[test]
fn a_directory_with_anything_in_it_is_refused_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("notes.txt"), b"precious").unwrap();
    let message = format!(
        "{}: is not empty; nothing was overwritten; choose another run directory or remove this one",
        root.path().display()
    );
    assert_eq!(create(root.path()).unwrap_err().to_string(), message);
    assert_eq!(files(root.path()), ["notes.txt"]);

    let path = root.path().join("run");
    drop(create(&path).unwrap());
    let before: Vec<Vec<u8>> =
        files(&path).iter().map(|name| std::fs::read(path.join(name)).unwrap()).collect();
    let error = create(&path).unwrap_err();
    assert!(matches!(error, DataError::RunThere { .. }), "{error}");
    let after: Vec<Vec<u8>> =
        files(&path).iter().map(|name| std::fs::read(path.join(name)).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn of_a_run_that_is_in_the_way_it_is_told_how_far_it_is_and_never_to_remove_it() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    let run = create(&path).unwrap();
    run.commit(0, vec![write_segment(&run, 0)]).unwrap();
    let told = |state: &str, remedy: &str| {
        let start = format!(
            "{}: is the directory of a run, which {state}; nothing was overwritten; ",
            path.display()
        );
        assert_eq!(refuse_taken(&path).unwrap_err().to_string(), format!("{start}{remedy}"));
    };
    let go_on = "resume it, or choose another run directory";
    told(&format!("is in use by process {}", std::process::id()), "choose another run directory");
    drop(run);
    told("has 1 of 2 epochs", go_on);
    let run = RunDirectory::resume(&path).unwrap();
    run.commit(1, vec![write_segment(&run, 1)]).unwrap();
    run.finish(None).unwrap();
    drop(run);
    told("is finished (2 epochs)", "choose another run directory");

    // What cannot be read is no run.
    std::fs::write(path.join(MANIFEST_NAME), "{}").unwrap();
    let error = refuse_taken(&path).unwrap_err().to_string();
    assert!(error.contains(": is not empty; nothing was overwritten; "), "{error}");
}

#[test]
fn an_empty_directory_is_taken() {
    let root = tempfile::tempdir().unwrap();
    assert!(create(root.path()).is_ok());
}

#[test]
fn a_run_that_cannot_be_created_leaves_nothing_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    // In the way of the temporary file, and of a name that counts as left over.
    std::fs::create_dir(root.path().join("config.toml.part")).unwrap();
    let error = create(root.path()).unwrap_err().to_string();
    assert!(error.contains("config.toml.part: cannot create the file: "), "{error}");
    let names: Vec<_> = root.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["config.toml.part"]);
    std::fs::remove_dir(root.path().join("config.toml.part")).unwrap();
    drop(create(root.path()).unwrap());
    assert_eq!(files(root.path()), ["config.toml", "environment.json", "lock", "manifest.json"]);
}

#[test]
fn a_run_in_use_is_refused_with_the_process_that_holds_it() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path()).unwrap();
    let message = format!(
        "{}: is in use by process {}; wait for it to end (if it is stopped, wake it up), or choose another run directory",
        root.path().display(),
        std::process::id()
    );
    assert_eq!(create(root.path()).unwrap_err().to_string(), message);
    assert_eq!(RunDirectory::resume(root.path()).unwrap_err().to_string(), message);
    // Reading needs no lock.
    assert!(RunDirectory::open(root.path()).is_ok());
    drop(run);
    assert!(RunDirectory::resume(root.path()).is_ok());
}

#[test]
#[cfg(unix)]
fn a_run_whose_directory_goes_away_commits_nothing_more() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    let gone = format!("{}: was removed, moved or replaced while the run was written; ", path.display());
    let refused = |run: &RunDirectory| {
        // As if nothing had happened: the directories come back.
        let segment = write_segment(run, 0);
        let before = files(&path);
        let error = run.commit(0, vec![segment]).unwrap_err().to_string();
        assert!(error.contains(": was removed, moved or replaced while the run was written; "), "{error}");
        assert_eq!(run.manifest().epochs_reached, 0);
        let error = run.finish(None).unwrap_err().to_string();
        assert!(error.starts_with(&gone), "{error}");
        let error = run.discard().unwrap_err().to_string();
        assert!(error.starts_with(&gone), "{error}");
        assert_eq!(files(&path), before);
    };
    let run = create(&path).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    refused(&run);
    std::fs::remove_dir_all(&path).unwrap();

    let run = create(&path).unwrap();
    std::fs::rename(&path, root.path().join("moved")).unwrap();
    refused(&run);
    std::fs::remove_dir_all(&path).unwrap();
    // What stands there now is somebody else's.
    let _other = create(&path).unwrap();
    refused(&run);
}

#[test]
#[cfg(unix)]
fn a_run_whose_lock_file_goes_away_commits_nothing_more_and_can_be_resumed() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    let run = create(&path).unwrap();
    run.commit(0, vec![write_segment(&run, 0)]).unwrap();
    std::fs::remove_file(path.join("lock")).unwrap();
    let segment = write_segment(&run, 1);
    let before = files(&path);
    let lock = format!("{}: ", path.join("lock").display());
    let commit = run.commit(1, vec![segment]).unwrap_err().to_string();
    for error in [commit, run.finish(None).unwrap_err().to_string(), run.discard().unwrap_err().to_string()] {
        let gone = error.contains("was removed or replaced while the run was written");
        assert!(gone && error.starts_with(&lock), "{error}");
    }
    assert_eq!(files(&path), before);
    // Now it is another's.
    let other = RunDirectory::resume(&path).unwrap();
    assert!(run.finish(None).is_err());
    other.commit(1, vec![write_segment(&other, 1)]).unwrap();
    other.finish(None).unwrap();
}

#[test]
fn epochs_are_committed_in_order_and_nothing_changes_otherwise() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path()).unwrap();
    let path = root.path().display();
    let fail = |epoch, segments| run.commit(epoch, segments).unwrap_err().to_string();
    assert_eq!(
        fail(1, vec![]),
        format!("{path}: cannot commit epoch 1: 0 of 2 epochs are committed, in order")
    );
    let segment = write_segment(&run, 1);
    assert_eq!(
        fail(0, vec![segment]),
        format!("{path}: cannot commit epoch 0: trace/masks/e00001-w00.parquet is of epoch 1")
    );
    assert_eq!(run.manifest(), begun(2));
    run.commit(0, vec![]).unwrap();
    assert_eq!(
        fail(0, vec![]),
        format!("{path}: cannot commit epoch 0: 1 of 2 epochs is committed, in order")
    );
    run.commit(1, vec![]).unwrap();
    assert_eq!(
        fail(2, vec![]),
        format!("{path}: cannot commit epoch 2: 2 of 2 epochs are committed, in order")
    );
}

#[test]
fn a_commit_that_cannot_be_written_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path()).unwrap();
    let before = std::fs::read(root.path().join(MANIFEST_NAME)).unwrap();
    // In the way of the temporary file.
    std::fs::create_dir(root.path().join("manifest.json.part")).unwrap();
    let error = run.commit(0, vec![write_segment(&run, 0)]).unwrap_err();
    assert_eq!(error.path, root.path().join("manifest.json.part").display().to_string());
    assert_eq!(error.action, "create the file");
    assert_eq!(std::fs::read(root.path().join(MANIFEST_NAME)).unwrap(), before);
    assert_eq!(run.manifest(), begun(2));
    std::fs::remove_dir(root.path().join("manifest.json.part")).unwrap();
    run.commit(0, vec![write_segment(&run, 0)]).unwrap();
}

#[test]
fn what_no_manifest_names_is_removed_at_the_end_and_before_going_on() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path()).unwrap();
    run.commit(0, vec![write_segment(&run, 0)]).unwrap();
    write_segment(&run, 1);
    let leave = || {
        std::fs::create_dir_all(root.path().join("checkpoint")).unwrap();
        std::fs::write(root.path().join("trace/masks/e00001-w01.parquet.part"), b"half").unwrap();
        std::fs::write(root.path().join("checkpoint/e00001.safetensors"), b"unnamed").unwrap();
        std::fs::create_dir_all(root.path().join("checkpoint/masks")).unwrap();
        std::fs::write(root.path().join("checkpoint/masks/e00001-w01.parquet"), b"unnamed").unwrap();
        std::fs::write(root.path().join("report.html"), b"the user's").unwrap();
        // Somebody's copies have the same names, elsewhere.
        for copy in [
            "checkpoint/old/e00001.safetensors",
            "checkpoint/old/masks/e00001-w01.parquet",
            "trace/e00001-w01.parquet",
            "trace/masks.old/e00001-w01.parquet",
            "trace/masks/old/e00001-w01.parquet",
        ] {
            std::fs::create_dir_all(root.path().join(copy).parent().unwrap()).unwrap();
            std::fs::write(root.path().join(copy), b"a copy").unwrap();
        }
    };
    let kept = [
        "checkpoint/old/e00001.safetensors",
        "checkpoint/old/masks/e00001-w01.parquet",
        "config.toml",
        "environment.json",
        "lock",
        "manifest.json",
        "report.html",
        "trace/e00001-w01.parquet",
        "trace/masks.old/e00001-w01.parquet",
        "trace/masks/e00000-w00.parquet",
        "trace/masks/old/e00001-w01.parquet",
    ];
    leave();
    run.finish(Some("the loss is not a number".to_owned())).unwrap();
    assert_eq!(files(root.path()), kept);
    let manifest = run.manifest();
    assert_eq!((manifest.finished, manifest.stopped.as_deref()), (false, Some("the loss is not a number")));
    drop(run);
    leave();
    let run = RunDirectory::resume(root.path()).unwrap();
    assert_eq!(files(root.path()), kept);
    assert_eq!(run.manifest(), Manifest { stopped: None, ..manifest });
    run.commit(1, vec![]).unwrap();
    run.finish(None).unwrap();
    let manifest = RunDirectory::open(root.path()).unwrap().manifest().clone();
    assert_eq!((manifest.finished, manifest.stopped, manifest.epochs_reached), (true, None, 2));
}

#[test]
fn a_checkpoint_counts_with_its_epoch_and_the_last_two_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let run =
        RunDirectory::create(root.path(), "seed = 1\n", &json!({"version": "test"}), manifest(5)).unwrap();
    for epoch in 0..4 {
        let written = vec![checkpoint(&run, epoch + 1)];
        run.commit_checkpoint(epoch, vec![write_segment(&run, epoch)], written).unwrap();
        let kept: Vec<u32> = (0..=epoch + 1).filter(|kept| *kept > 0 && kept + 2 > epoch + 1).collect();
        assert_eq!(run.manifest().checkpoint_epochs().into_iter().collect::<Vec<_>>(), kept);
        let names: Vec<String> = kept.iter().map(|epoch| format!("e{epoch:05}.safetensors")).collect();
        assert_eq!(files(&root.path().join("checkpoint")), names);
    }
    let wrong = vec![checkpoint(&run, 4)];
    let error = run.commit_checkpoint(4, vec![], wrong).unwrap_err().to_string();
    assert!(error.ends_with("checkpoint/e00004.safetensors is of epoch 4"), "{error}");
    let last = vec![checkpoint(&run, 5)];
    run.commit_checkpoint(4, vec![write_segment(&run, 4)], last).unwrap();
    assert_eq!(files(&root.path().join("checkpoint")), ["e00005.safetensors"], "the end needs no other");
}

#[test]
fn a_run_goes_back_to_the_start_of_an_epoch() {
    let root = tempfile::tempdir().unwrap();
    let run =
        RunDirectory::create(root.path(), "seed = 1\n", &json!({"version": "test"}), manifest(5)).unwrap();
    for epoch in 0..4 {
        let written = if epoch < 2 { vec![checkpoint(&run, epoch + 1)] } else { vec![] };
        run.commit_checkpoint(epoch, vec![write_segment(&run, epoch)], written).unwrap();
    }
    run.rewind(1).unwrap();
    let manifest = RunDirectory::open(root.path()).unwrap().manifest().clone();
    assert_eq!((manifest.epochs_reached, manifest.last_checkpoint()), (1, Some(1)));
    assert_eq!(files(&root.path().join("trace/masks")), ["e00000-w00.parquet"]);
    assert_eq!(files(&root.path().join("checkpoint")), ["e00001.safetensors"]);
    run.commit(1, vec![write_segment(&run, 1)]).unwrap();
}

#[test]
fn a_run_that_ended_before_its_manifest_begins_again() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    // Before the configuration: nothing that counts, so the directory counts as empty.
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("lock"), "1").unwrap();
    std::fs::write(path.join("config.toml.part"), "se").unwrap();
    drop(create(&path).unwrap());
    let whole = files(&path);
    // After it.
    std::fs::remove_file(path.join("manifest.json")).unwrap();
    std::fs::write(path.join("manifest.json.part"), "{").unwrap();
    assert!(matches!(RunDirectory::resume(&path).unwrap_err(), DataError::NotARun { .. }));
    let run = RunDirectory::begin_again(&path, &json!({"version": "test"}), manifest(2)).unwrap();
    assert_eq!(files(&path), whole);
    run.commit(0, vec![write_segment(&run, 0)]).unwrap();
    drop(run);
    let error = RunDirectory::begin_again(&path, &json!({"version": "test"}), manifest(2)).unwrap_err();
    assert!(matches!(error, DataError::Exists { .. }), "{error}");
}

#[test]
fn a_configuration_that_was_changed_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    drop(create(root.path()).unwrap());
    let run = RunDirectory::open(root.path()).unwrap();
    assert_eq!(run.config_unchanged().unwrap(), "seed = 1\n");
    std::fs::write(root.path().join("config.toml"), "seed = 2\n").unwrap();
    let error = run.config_unchanged().unwrap_err().to_string();
    assert!(error.contains("config.toml: is not the configuration that the run began with"), "{error}");
}

#[test]
fn descriptions_of_a_time_before_seals_are_read_and_get_one() {
    let root = tempfile::tempdir().unwrap();
    drop(create(root.path()).unwrap());
    let before = Manifest { sealed_environment: false, ..begun(2) };
    let unsealed = || {
        before.write(root.path()).unwrap();
        std::fs::write(root.path().join(ENVIRONMENT_NAME), "{\"version\": \"old\"}").unwrap();
    };
    let read = || RunDirectory::open(root.path()).unwrap().environment();
    unsealed();
    assert_eq!(read().unwrap(), json!({"version": "old"}));
    let run = RunDirectory::resume(root.path()).unwrap();
    run.write_environment(&json!({"version": "new"})).unwrap();
    // The process may end before the next manifest.
    assert_eq!(read().unwrap(), json!({"version": "new"}));
    let sealed = std::fs::read_to_string(root.path().join(ENVIRONMENT_NAME)).unwrap();
    std::fs::write(root.path().join(ENVIRONMENT_NAME), sealed.replace("new", "old")).unwrap();
    assert!(matches!(read().unwrap_err(), DataError::Hash { .. }));
    run.commit(0, vec![]).unwrap();
    assert!(run.manifest().sealed_environment);
    std::fs::write(root.path().join(ENVIRONMENT_NAME), "{\"version\": \"old\"}").unwrap();
    assert!(matches!(read().unwrap_err(), DataError::Unsealed { .. }));
}

#[test]
fn the_default_directory_is_the_first_free_one() {
    let root = tempfile::tempdir().unwrap();
    let next = || default_directory(root.path(), "resnet20", 42);
    assert_eq!(next(), root.path().join("resnet20-42-1"));
    std::fs::create_dir(next()).unwrap();
    std::fs::write(next(), b"").unwrap();
    assert_eq!(next(), root.path().join("resnet20-42-3"));
}

#[test]
fn a_run_that_is_given_up_leaves_nothing_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/run");
    let run = create(&path).unwrap();
    let segment = write_segment(&run, 0);
    run.commit(0, vec![segment]).unwrap();
    run.discard().unwrap();
    assert!(!path.exists() && root.path().join("a").is_dir());

    // What others put there stays, and so does a directory that was there before.
    let run = create(&path).unwrap();
    write_segment(&run, 0);
    std::fs::write(path.join("notes.txt"), "mine").unwrap();
    run.discard().unwrap();
    assert_eq!(files(&path), ["notes.txt"]);
    std::fs::remove_file(path.join("notes.txt")).unwrap();
    create(&path).unwrap().discard().unwrap();
    assert!(path.is_dir() && path.read_dir().unwrap().next().is_none());
}

#[test]
fn a_run_is_in_use_as_long_as_one_of_its_processes_works() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    let held = create(path).unwrap();
    write_key(held.path(), &[7; KEY_BYTES]).unwrap();
    assert_eq!(read_key(path).unwrap(), [7; KEY_BYTES]);
    let member = Member::join(path, 1).unwrap();
    let error = Member::join(path, 1).unwrap_err().to_string();
    assert!(error.contains("is in use by process"), "{error}");
    let other = Member::join(path, 12).unwrap();
    // The one that held the run dies; the others have not noticed yet.
    drop(held);
    let error = RunDirectory::resume(path).unwrap_err();
    assert!(matches!(error, DataError::Locked { .. }), "{error}");
    drop(member);
    assert!(matches!(RunDirectory::resume(path).unwrap_err(), DataError::Locked { .. }));
    // One that is killed cannot remove its lock file.
    std::fs::copy(path.join("lock-12"), path.join("lock-13")).unwrap();
    drop(other);
    let held = RunDirectory::resume(path).unwrap();
    assert_eq!(files(path), ["config.toml", "environment.json", "lock", "manifest.json"]);
    assert!(read_key(path).is_err());
    write_key(held.path(), &[8; KEY_BYTES]).unwrap();
    remove_key(held.path()).unwrap();
    remove_key(held.path()).unwrap();
    std::fs::write(path.join("processes.key"), [1; 40]).unwrap();
    assert!(matches!(read_key(path).unwrap_err(), DataError::TooLarge { .. }));
}

/// Whatever a directory from somebody else holds: nothing outside of it is written or removed.
#[test]
#[cfg(unix)]
fn links_do_not_lead_out_of_the_directory() {
    use std::os::unix::fs::symlink;

    let outside = tempfile::tempdir().unwrap();
    let precious = outside.path().join("precious");
    let untouched = || {
        assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
        assert_eq!(outside.path().read_dir().unwrap().count(), 1);
    };
    std::fs::write(&precious, b"precious").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let run = create(&path).unwrap();
    let segments = vec![write_segment(&run, 0)];
    run.commit(0, segments).unwrap();
    drop(run);
    let refused = |place: &str| {
        let error = RunDirectory::resume(&path).unwrap_err().to_string();
        let expected =
            "is a symbolic link, which could lead out of the run directory; put the file itself there";
        assert_eq!(error, format!("{}: {expected}", path.join(place).display()));
        untouched();
    };
    for place in
        ["manifest.json", "lock", "trace", "trace/masks", "trace/scores", "checkpoint", "checkpoint/masks"]
    {
        std::fs::create_dir_all(path.join("checkpoint")).unwrap();
        let (place_of, aside) = (path.join(place), directory.path().join("aside"));
        let was_there = std::fs::rename(&place_of, &aside).is_ok();
        let target =
            if place_of.extension().is_some() || place == "lock" { &precious } else { outside.path() };
        symlink(target, &place_of).unwrap();
        refused(place);
        std::fs::remove_file(&place_of).unwrap();
        if was_there {
            std::fs::rename(&aside, &place_of).unwrap();
        }
    }
    symlink(&precious, path.join("processes.key")).unwrap();
    let error = read_key(&path).unwrap_err();
    assert!(matches!(error, DataError::Link { .. }), "{error}");
    std::fs::remove_file(path.join("processes.key")).unwrap();
    // Leftovers are removed themselves.
    for place in [
        "manifest.json.part",
        "trace/masks/e00001-w00.parquet.part",
        "trace/masks/e00007-w12.parquet",
        "checkpoint/e00007.safetensors",
        "processes.key",
    ] {
        std::fs::create_dir_all(path.join("checkpoint")).unwrap();
        symlink(&precious, path.join(place)).unwrap();
        drop(RunDirectory::resume(&path).unwrap());
        assert!(!path.join(place).is_symlink());
        untouched();
    }
    // In the place of a file that is named it is left to whoever reads that.
    let (named, aside) = (path.join("trace/masks/e00000-w00.parquet"), directory.path().join("aside"));
    std::fs::rename(&named, &aside).unwrap();
    symlink(&precious, &named).unwrap();
    drop(RunDirectory::resume(&path).unwrap());
    let findings = verify::segments(&path, &Manifest::read(&path).unwrap());
    assert!(findings.iter().any(|finding| matches!(finding, DataError::Link { path } if *path == named)));
    untouched();
    let empty = directory.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    symlink(&precious, empty.join("config.toml.part")).unwrap();
    let error = create(&empty).unwrap_err().to_string();
    assert!(error.contains("config.toml.part: is a symbolic link"), "{error}");
    untouched();
}
