//! What is left over, and what is never touched.

use super::*;

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
        // The user's copies have the same names, elsewhere.
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
fn a_run_can_end_early_as_a_success_and_goes_on_after_it_went_back() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path()).unwrap();
    run.commit(0, vec![write_segment(&run, 0)]).unwrap();
    run.finish_early("the loss no longer falls".to_owned()).unwrap();
    let manifest = Manifest::read(root.path()).unwrap();
    assert_eq!((manifest.epochs_reached, manifest.epochs, manifest.finished), (1, 2, true));
    assert_eq!(manifest.ended_early.as_deref(), Some("the loss no longer falls"));
    run.rewind(0).unwrap();
    assert_eq!(Manifest::read(root.path()).unwrap(), begun(2));
}

#[test]
fn an_early_end_counts_with_the_epoch_that_is_committed() {
    let root = tempfile::tempdir().unwrap();
    let reason = "the loss no longer falls".to_owned();
    let run = create(root.path()).unwrap();
    let segments = vec![write_segment(&run, 0)];
    run.commit_checkpoint(0, segments, Vec::new(), Some(reason.clone())).unwrap();
    // The process dies here, or is told to stop while it ends.
    let committed = Manifest::read(root.path()).unwrap();
    assert_eq!((committed.finished, &committed.ended_early), (true, &Some(reason)));
    run.finish(Some("interrupted".to_owned())).unwrap();
    assert_eq!(Manifest::read(root.path()).unwrap(), committed);
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

/// Whatever a directory from another user holds: nothing outside of it is written or removed.
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
    assert!(error.to_string().contains("is a symbolic link"), "{error}");
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
    // A link in the place of a file that is named is left to the code that reads that file.
    let (named, aside) = (path.join("trace/masks/e00000-w00.parquet"), directory.path().join("aside"));
    std::fs::rename(&named, &aside).unwrap();
    symlink(&precious, &named).unwrap();
    drop(RunDirectory::resume(&path).unwrap());
    let findings = verify::segments(&path, &Manifest::read(&path).unwrap());
    let link = format!("{}: is a symbolic link", named.display());
    assert!(findings.iter().any(|finding| finding.to_string().starts_with(&link)));
    untouched();
    let empty = directory.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    symlink(&precious, empty.join("config.toml.part")).unwrap();
    let error = create(&empty).unwrap_err().to_string();
    assert!(error.contains("config.toml.part: is a symbolic link"), "{error}");
    untouched();
}
