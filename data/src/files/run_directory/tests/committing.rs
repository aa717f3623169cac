//! What counts of a run.

use super::*;

#[test]
fn epochs_are_committed_in_order_and_nothing_changes_otherwise() {
    let root = tempfile::tempdir().unwrap();
    let run = create(root.path()).unwrap();
    let path = root.path().display();
    let fail = |epoch, segments| run.commit(epoch, segments).unwrap_err().to_string();
    assert_eq!(
        fail(1, vec![]),
        format!("{path}: cannot commit epoch 2: 0 of 2 epochs are committed, in order")
    );
    let segment = write_segment(&run, 1);
    assert_eq!(
        fail(0, vec![segment]),
        format!("{path}: cannot commit epoch 1: trace/masks/e00001-w00.parquet is of epoch 2")
    );
    assert_eq!(run.manifest(), begun(2));
    run.commit(0, vec![]).unwrap();
    assert_eq!(
        fail(0, vec![]),
        format!("{path}: cannot commit epoch 1: 1 of 2 epochs is committed, in order")
    );
    run.commit(1, vec![]).unwrap();
    assert_eq!(
        fail(2, vec![]),
        format!("{path}: cannot commit epoch 3: 2 of 2 epochs are committed, in order")
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
    let part = root.path().join("manifest.json.part");
    assert!(error.0.starts_with(&format!("{}: cannot create the file: ", part.display())), "{error}");
    assert_eq!(std::fs::read(root.path().join(MANIFEST_NAME)).unwrap(), before);
    assert_eq!(run.manifest(), begun(2));
    std::fs::remove_dir(root.path().join("manifest.json.part")).unwrap();
    run.commit(0, vec![write_segment(&run, 0)]).unwrap();
}

#[test]
fn a_checkpoint_counts_with_its_epoch_and_the_last_two_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let run = RunDirectory::create(root.path(), &beginning(5)).unwrap();
    for epoch in 0..4 {
        let written = vec![checkpoint(&run, epoch + 1)];
        run.commit_checkpoint(epoch, vec![write_segment(&run, epoch)], written, None).unwrap();
        let kept: Vec<u32> = (0..=epoch + 1).filter(|kept| *kept > 0 && kept + 2 > epoch + 1).collect();
        assert_eq!(run.manifest().checkpoint_epochs().into_iter().collect::<Vec<_>>(), kept);
        let names: Vec<String> = kept.iter().map(|epoch| format!("e{epoch:05}.safetensors")).collect();
        assert_eq!(files(&root.path().join("checkpoint")), names);
    }
    let wrong = vec![checkpoint(&run, 4)];
    let error = run.commit_checkpoint(4, vec![], wrong, None).unwrap_err().to_string();
    assert!(error.ends_with("checkpoint/e00004.safetensors is a checkpoint after epoch 4"), "{error}");
    let last = vec![checkpoint(&run, 5)];
    run.commit_checkpoint(4, vec![write_segment(&run, 4)], last, None).unwrap();
    assert_eq!(files(&root.path().join("checkpoint")), ["e00005.safetensors"], "the end needs no other");
}

#[test]
fn a_run_goes_back_to_the_start_of_an_epoch() {
    let root = tempfile::tempdir().unwrap();
    let run = RunDirectory::create(root.path(), &beginning(5)).unwrap();
    for epoch in 0..4 {
        let written = if epoch < 2 { vec![checkpoint(&run, epoch + 1)] } else { vec![] };
        run.commit_checkpoint(epoch, vec![write_segment(&run, epoch)], written, None).unwrap();
    }
    run.rewind(1).unwrap();
    let manifest = RunDirectory::open(root.path()).unwrap().manifest().clone();
    assert_eq!((manifest.epochs_reached, manifest.last_checkpoint()), (1, Some(1)));
    assert_eq!(files(&root.path().join("trace/masks")), ["e00000-w00.parquet"]);
    assert_eq!(files(&root.path().join("checkpoint")), ["e00001.safetensors"]);
    run.commit(1, vec![write_segment(&run, 1)]).unwrap();
}
