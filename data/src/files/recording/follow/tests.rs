//! A run that goes on is seen to grow and to end; one that becomes another is refused.

use super::*;
use crate::files::data_set;
use crate::files::run_directory::{Beginning, RunDirectory};
use crate::images::Images;
use crate::rows::ScoreRow;
use crate::segment::{Segment, SegmentStore};
use crate::table::{Columns, Record};

const SCORES: [&str; 1] = ["scores"];

/// A run of four epochs of which nothing is committed.
fn begin(path: &Path) -> RunDirectory {
    let images =
        Images { channels: 1, height: 1, width: 1, pixels: vec![1_u8, 2].into(), labels: vec![0, 1] };
    let manifest = Manifest::new(&data_set::assemble("tiny", 2, images.clone(), images), 4);
    let (config, environment) = ("seed = 1\n".to_owned(), serde_json::json!({"version": "test"}));
    RunDirectory::create(path, &Beginning { config, architecture: None, start: None, environment, manifest })
        .unwrap()
}

/// Commits an epoch with one row.
fn commit(run: &RunDirectory, epoch: u32, sample: u32) {
    let mut writer = run.store().create("scores", &ScoreRow::columns(), epoch, 0).unwrap();
    let (step, loss, correct, error_norm, trained) = (0, 1.0, true, 0.5, true);
    let row = ScoreRow { epoch, step, sample, loss, correct, error_norm, trained };
    writer.append(&Columns::from_rows([row])).unwrap();
    let segment: Segment = writer.finish().unwrap();
    run.commit(epoch, vec![segment]).unwrap();
}

/// Looks until the extent is as expected, or there is an error.
fn until(followed: &FollowedTrace, epochs: u32, complete: bool) -> Result<()> {
    let expected = Extent { epochs, complete };
    let deadline = Instant::now() + Duration::from_secs(60);
    while followed.look()? != expected {
        assert!(Instant::now() < deadline, "{:?}, expected {expected:?}", followed.extent());
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn sample(followed: &FollowedTrace, epoch: u32) -> u32 {
    let open = followed.open("scores", &ScoreRow::columns(), epoch, 0).unwrap();
    open.batches.flat_map(|batch| batch.unwrap().into_rows::<ScoreRow>()).next().unwrap().sample
}

#[test]
fn epochs_can_be_read_as_they_are_committed_until_the_run_is_finished() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let run = begin(&path);
    let followed = FollowedTrace::open(&path, &SCORES).unwrap();
    assert_eq!((followed.extent(), followed.end()), (Extent { epochs: 0, complete: false }, None));
    for epoch in 0..4 {
        commit(&run, epoch, 7 + epoch);
        until(&followed, epoch + 1, false).unwrap();
        assert_eq!((followed.segments("scores", epoch), sample(&followed, epoch)), (1, 7 + epoch));
    }
    run.finish(None).unwrap();
    until(&followed, 4, true).unwrap();
    let end = followed.end().unwrap();
    assert_eq!((end.manifest.epochs_reached, end.manifest.finished, end.manifest.stopped), (4, true, None));
    let manifest = std::fs::read(path.join("manifest.json")).unwrap();
    assert_eq!(end.manifest_blake3, blake3::hash(&manifest).to_hex().to_string());
    // It stays so, whatever comes of the directory.
    drop(run);
    std::fs::remove_dir_all(&path).unwrap();
    until(&followed, 4, true).unwrap();
}

#[test]
fn a_run_that_nobody_holds_was_interrupted() {
    let directory = tempfile::tempdir().unwrap();
    for (name, stopped) in [("killed", None), ("stopped", Some("by the test".to_owned()))] {
        let path = directory.path().join(name);
        let run = begin(&path);
        let followed = FollowedTrace::open(&path, &SCORES).unwrap();
        commit(&run, 0, 1);
        until(&followed, 1, false).unwrap();
        if stopped.is_some() {
            run.finish(stopped.clone()).unwrap();
        }
        drop(run);
        until(&followed, 1, true).unwrap();
        let end = followed.end().unwrap();
        assert_eq!(
            (end.manifest.epochs_reached, end.manifest.finished, end.manifest.stopped),
            (1, false, stopped)
        );
    }
}

#[test]
fn a_stream_that_is_read_has_to_stay_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let run = begin(&path);
    commit(&run, 0, 1);
    let follow = || FollowedTrace::open(&path, &[]).unwrap();
    let (reads, reads_nothing) = (follow(), follow());
    // What is not there is not read.
    assert_eq!((reads.segments("scores", 0), reads.segments("masks", 0)), (1, 0));
    run.rewind(0).unwrap();
    commit(&run, 0, 5);
    commit(&run, 1, 2);
    let error = until(&reads, 2, false).unwrap_err().to_string();
    assert!(error.contains("names other segments of scores in epoch 1 than have been read"), "{error}");
    until(&reads_nothing, 2, false).unwrap();
}

#[test]
fn a_run_that_goes_back_has_to_record_the_same_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let run = begin(&path);
    commit(&run, 0, 1);
    commit(&run, 1, 2);
    let follow = || FollowedTrace::open(&path, &SCORES).unwrap();
    let (same, other, gone) = (follow(), follow(), follow());
    run.rewind(1).unwrap();
    std::thread::sleep(2 * LOOK_EVERY);
    assert_eq!(same.look(), Ok(Extent { epochs: 2, complete: false }), "it is awaited");
    let error = same.open("scores", &ScoreRow::columns(), 1, 0).err().unwrap().to_string();
    assert!(error.contains("e00001-w00.parquet: cannot open"), "{error}");
    assert!(
        error.ends_with(
            "the run has gone back to a checkpoint since, and records epoch 2 anew: follow it anew"
        ),
        "{error}"
    );
    commit(&run, 1, 2);
    commit(&run, 2, 3);
    until(&same, 3, false).unwrap();
    run.rewind(1).unwrap();
    commit(&run, 1, 5);
    std::thread::sleep(2 * LOOK_EVERY);
    let error = other.look().unwrap_err().to_string();
    assert!(
        error.contains("names other segments of scores in epoch 2 than have been read; follow it anew"),
        "{error}"
    );
    run.rewind(1).unwrap();
    drop(run);
    std::thread::sleep(2 * LOOK_EVERY);
    let error = gone.look().unwrap_err().to_string();
    assert!(error.contains("the run went back and ended there; follow it anew"), "{error}");
}

#[test]
fn another_run_in_its_place_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let run = begin(&path);
    commit(&run, 0, 1);
    let followed = FollowedTrace::open(&path, &SCORES).unwrap();
    let manifest = Manifest { epochs: 5, ..run.manifest() };
    manifest.write(&path).unwrap();
    std::thread::sleep(2 * LOOK_EVERY);
    let error = followed.look().unwrap_err().to_string();
    assert!(error.contains("is that of another run by now"), "{error}");
}
