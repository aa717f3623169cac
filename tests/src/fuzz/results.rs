//! Tables of results, such as those of a replay of scores.

use spfde_data::files::table_file::{self, Values};

/// Reads some columns of all rows: each has as many values as the others.
pub(super) fn run(bytes: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let length = |values: &Values| match values {
        Values::Integer(values) => values.len(),
        Values::Number(values) => values.len(),
        Values::Text(values) => values.len(),
        Values::Boolean(values) => values.len(),
    };
    let _ = table_file::read(file.path(), &["member", "sample", "kept"], |columns| {
        assert!(columns.len() == 3 && columns.iter().all(|column| length(column) == length(&columns[0])));
    });
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let members = ("member".to_owned(), Values::Integer(vec![Some(0), Some(0), None]));
    let kept = ("kept".to_owned(), Values::Boolean(vec![Some(true), Some(false), None]));
    let directory = tempfile::tempdir().unwrap();
    let write = |samples| {
        let path = directory.path().join("kept.parquet");
        let columns = vec![members.clone(), ("sample".to_owned(), samples), kept.clone()];
        table_file::write_groups(&path, columns.clone(), std::iter::once(columns)).unwrap();
        std::fs::read(&path).unwrap()
    };
    let texts = ["a", "b", "a"].map(|text| Some(text.to_owned()));
    vec![
        ("numbers", write(Values::Integer(vec![Some(3), Some(-1), None]))),
        ("texts", write(Values::Text(texts.into()))),
    ]
}
