//! Samples that are texts.

use super::*;

fn put(path: &Path, names: &[&str], epoch: i64) {
    let rows = names.len();
    let mut columns = plain(vec![0; rows], vec![epoch; rows], vec![0; rows], vec![true; rows]);
    columns[0].1 = Arc::new(StringArray::from(names.to_vec()));
    write(path, columns, 2, Compression::SNAPPY);
}

#[test]
fn texts_are_numbered_in_their_order_whatever_the_files_are_called() {
    let samples = [&["img/b.png", "img/a.png", "é", ""][..], &["img/c.png", "img/b.png"]];
    let mut found = Vec::new();
    for names in [["a", "b"], ["b", "a"]] {
        let directory = tempfile::tempdir().unwrap();
        for (epoch, name) in names.iter().enumerate() {
            put(&directory.path().join(format!("{name}.parquet")), samples[epoch], epoch as i64);
        }
        for threads in [1, 3] {
            let files = open(directory.path(), threads, false).unwrap();
            let names: Vec<String> = files.names().unwrap().iter().map(|name| name.to_string()).collect();
            let rows: Vec<_> = rows(&files).into_iter().map(|row| (row.0, row.2)).collect();
            found.push((files.samples(), names, rows));
        }
    }
    let names = ["", "img/a.png", "img/b.png", "img/c.png", "é"].map(str::to_owned).to_vec();
    let rows = vec![(0, 2), (0, 1), (0, 4), (0, 0), (1, 3), (1, 2)];
    found.iter().for_each(|found| assert_eq!(*found, (5, names.clone(), rows.clone())));
}

#[test]
fn texts_beside_numbers_and_texts_that_are_too_long_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    put(&path("b.parquet"), &["a", &"x".repeat(4097)], 0);
    let error = open(directory.path(), 1, false).unwrap_err().to_string();
    assert!(
        error.contains("b.parquet: row 1: sample is a text of 4097 bytes; expected at most 4096"),
        "{error}"
    );
    write(&path("a.parquet"), plain(vec![1], vec![0], vec![0], vec![true]), 1, Compression::UNCOMPRESSED);
    let error = open(directory.path(), 1, false).unwrap_err().to_string();
    let expected = format!(
        "{}: column sample is a text; expected a number, as in {}",
        path("b.parquet").display(),
        path("a.parquet").display()
    );
    assert_eq!(error, expected);
    let nulls = Arc::new(StringArray::from(vec![Some("a"), None])) as ArrayRef;
    let mut columns = plain(vec![0; 2], vec![0; 2], vec![0; 2], vec![true; 2]);
    columns[0].1 = nulls;
    std::fs::remove_file(path("a.parquet")).unwrap();
    write(&path("b.parquet"), columns, 9, Compression::UNCOMPRESSED);
    let error = open(directory.path(), 1, false).unwrap_err().to_string();
    assert!(error.contains("column sample lacks 1 of its values"), "{error}");
}
