//! Who holds a run, and what becomes of one that is no longer held.

use super::*;

#[test]
fn a_run_in_use_is_refused_with_the_process_that_holds_it() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path()).unwrap();
    let message = format!(
        "{}: is in use by process {}; wait for it to end (if it is stopped, wake it up), or choose another \
         run directory",
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
    let refused = |run: &RunDirectory| {
        let segment = write_segment(run, 0);
        let before = files(&path);
        for error in [
            run.commit(0, vec![segment]).unwrap_err().to_string(),
            run.finish(None).unwrap_err().to_string(),
            run.discard().unwrap_err().to_string(),
        ] {
            assert!(error.starts_with(&path.join("lock").display().to_string()), "{error}");
            assert!(error.contains("was removed, moved or replaced while the run was written; "), "{error}");
        }
        assert_eq!(run.manifest().epochs_reached, 0);
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
    // The directory that stands there now belongs to another run.
    let _other = create(&path).unwrap();
    refused(&run);
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
    assert!(error.is(Kind::Locked), "{error}");
    drop(member);
    assert!(RunDirectory::resume(path).unwrap_err().is(Kind::Locked));
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
    assert!(read_key(path).unwrap_err().to_string().contains("file length is 40, above the limit of 32"));
}
