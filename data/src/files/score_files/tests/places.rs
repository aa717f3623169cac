//! Where score files may lie, and how epochs are numbered there.

use super::*;

/// A file of one row in every epoch given.
fn put(path: &Path, samples: &[i64], epoch: Option<i64>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let rows = samples.len();
    let mut columns =
        plain(samples.to_vec(), vec![epoch.unwrap_or(0); rows], vec![0; rows], vec![true; rows]);
    columns.retain(|(name, _)| epoch.is_some() || *name != "epoch");
    write(path, columns, 10, Compression::UNCOMPRESSED);
}

fn open_all(paths: &[PathBuf]) -> Result<ScoreFiles> {
    Ok(ScoreFiles::open(paths, 2, false, &AtomicBool::new(false))?.expect("nothing stops it"))
}

#[test]
fn directories_below_links_and_patterns_lead_to_each_file_once() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    put(&path("a/one.parquet"), &[1], Some(0));
    put(&path("a/deep/er/two.parquet"), &[2, 3], Some(0));
    put(&path("b/three.parquet"), &[4], Some(1));
    // What other programs leave beside their tables.
    std::fs::write(path("a/_SUCCESS"), "").unwrap();
    std::fs::write(path("a/.hidden.parquet"), "no table").unwrap();
    put(&path("a/_temporary/0/one.parquet"), &[9], Some(0));
    let count = |paths: &[&str]| {
        let paths: Vec<PathBuf> = paths.iter().map(|name| path(name)).collect();
        open_all(&paths).map(|files| (files.files(), files.rows())).map_err(|error| error.to_string())
    };
    assert_eq!(count(&["a"]), Ok((2, 3)));
    assert_eq!(count(&["."]), Ok((3, 4)));
    assert_eq!(count(&["*/*.parquet"]), Ok((2, 2)));
    // A pattern says more than a directory.
    assert_eq!(count(&["**/*.parquet"]), Ok((4, 5)));
    assert_eq!(count(&["[ab]"]), Ok((3, 4)));
    // However often it is named.
    assert_eq!(count(&["a", "a/one.parquet", "b/../a/one.parquet", "?/one.parquet"]), Ok((2, 3)));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(path("a"), path("a/deep/again")).unwrap();
        std::os::unix::fs::symlink(path("a"), path("linked")).unwrap();
        assert_eq!(count(&["a"]), Ok((2, 3)));
        assert_eq!(count(&["linked", "b"]), Ok((3, 4)));
    }
    for (name, message) in [
        ("c-*", "c-*: is a pattern that no file fits"),
        ("a/***", "a/***: is no pattern: "),
        ("a/_temporary/1", "a/_temporary/1: cannot open"),
    ] {
        let error = count(&[name]).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
    // A name that has a star is a name first.
    put(&path("st*r.parquet"), &[5], Some(0));
    assert_eq!(count(&["st*r.parquet"]), Ok((1, 1)));
}

#[test]
fn partitions_say_what_a_file_has_no_column_of() {
    let root = tempfile::tempdir().unwrap();
    for epoch in 0..3 {
        put(&root.path().join(format!("seed=7/epoch={epoch}/step=4/part-0.parquet")), &[1, 2], None);
    }
    let files = open_all(&[root.path().to_owned()]).unwrap();
    let all: Vec<_> =
        rows(&files).into_iter().map(|(epoch, step, sample, ..)| (epoch, step, sample)).collect();
    // The column of a file counts before the name of its directory.
    assert_eq!(all, [(0, 0, 1), (0, 0, 2), (1, 0, 1), (1, 0, 2), (2, 0, 1), (2, 0, 2)]);
    let one = root.path().join("seed=7/epoch=2/step=4/part-0.parquet");
    assert_eq!(open_all(&[one]).unwrap().first_epoch(), 2);
    put(&root.path().join("epoch=last/a.parquet"), &[1], None);
    let error = open_all(&[root.path().join("epoch=last")]).unwrap_err().to_string();
    assert!(error.contains("a.parquet: has no column epoch; expected one of type Int64"), "{error}");
    put(&root.path().join("epoch=70000/a.parquet"), &[1], None);
    let error = open_all(&[root.path().join("epoch=70000")]).unwrap_err().to_string();
    assert!(error.contains("epoch of its directory is 70000; expected 0 to 9999"), "{error}");
}

#[test]
fn epochs_are_counted_from_the_first_and_those_without_rows_are_known() {
    let root = tempfile::tempdir().unwrap();
    for (number, epoch) in [5, 9, 3, 6].into_iter().enumerate() {
        put(&root.path().join(format!("{number}.parquet")), &[1, 8], Some(epoch));
    }
    let files = open_all(&[root.path().to_owned()]).unwrap();
    assert_eq!((files.first_epoch(), files.epochs(), files.missing_epochs()), (3, 7, vec![4, 7, 8]));
    let epochs: Vec<u32> = rows(&files).into_iter().map(|row| row.0).collect();
    assert_eq!(epochs, [0, 0, 2, 2, 3, 3, 6, 6]);
}
