//! Where a run may begin, and what it begins with.

use super::*;

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
    run.commit_checkpoint(1, vec![segments[1].clone()], vec![weights.clone()], None).unwrap();
    run.finish(None).unwrap();

    let recorded = RunDirectory::open(&path).unwrap();
    assert_eq!(recorded.config_unchanged().unwrap(), "seed = 1\n");
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
    assert!(error.is(Kind::Taken), "{error}");
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
    assert!(RunDirectory::resume(&path).unwrap_err().is(Kind::NotARun));
    let run = RunDirectory::begin_again(&path, &beginning(2)).unwrap();
    assert_eq!(files(&path), whole);
    run.commit(0, vec![write_segment(&run, 0)]).unwrap();
    drop(run);
    let error = RunDirectory::begin_again(&path, &beginning(2)).unwrap_err();
    assert!(error.to_string().contains("manifest.json: exists already"), "{error}");
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
fn the_network_of_a_run_is_kept_beside_its_configuration() {
    let root = tempfile::tempdir().unwrap();
    let with_network = Beginning { architecture: Some("{}\n".to_owned()), ..beginning(2) };
    let run = RunDirectory::create(root.path(), &with_network).unwrap();
    let read = || RunDirectory::open(root.path()).unwrap().architecture();
    assert_eq!(read().unwrap().as_deref(), Some("{}\n"));
    std::fs::write(root.path().join("architecture.json"), "[]\n").unwrap();
    let error = read().unwrap_err().to_string();
    assert!(error.contains("architecture.json: is not the architecture that the run began with"), "{error}");
    run.discard().unwrap();
    assert_eq!(files(root.path()), [""; 0]);
    // A run of a time before.
    drop(create(root.path()).unwrap());
    assert_eq!(read().unwrap(), None);
}

#[test]
fn an_unfinished_run_of_an_earlier_version_is_not_resumed_and_says_which_began_it() {
    let root = tempfile::tempdir().unwrap();
    let old = Beginning { environment: json!({"revision": "ea51b1e"}), ..beginning(2) };
    drop(RunDirectory::create(root.path(), &old).unwrap());
    let old = |finished| {
        let manifest = Manifest { version: 2, finished, epochs_reached: 2, ..begun(2) };
        let json = serde_json::to_string_pretty(&manifest).unwrap();
        std::fs::write(root.path().join("manifest.json"), crate::files::seal::seal(json)).unwrap();
    };
    old(false);
    let error = RunDirectory::resume(root.path()).unwrap_err();
    assert!(error.is(Kind::OldRun), "{error}");
    assert!(error.to_string().contains("was begun by spfde 0.1.0 (revision ea51b1e)"), "{error}");
    assert_eq!(RunDirectory::open(root.path()).unwrap().manifest().version, 2);
    old(true);
    RunDirectory::open(root.path()).unwrap().refuse_old().unwrap();
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
    assert!(read().unwrap_err().to_string().contains("environment.json: BLAKE3 is "));
    run.commit(0, vec![]).unwrap();
    assert!(run.manifest().sealed_environment);
    std::fs::write(root.path().join(ENVIRONMENT_NAME), "{\"version\": \"old\"}").unwrap();
    assert!(read().unwrap_err().to_string().contains("environment.json: does not end with its seal"));
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
