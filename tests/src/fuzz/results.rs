//! Tables of results, such as those of a replay of scores.

use spfde::grid::{KEPT_NAME, TABLE_NAME};
use spfde::verify::verify_scores;
use spfde_data::files::layout::segment_path;
use spfde_data::files::table_file::{self, Columns, Values};
use spfde_data::rows::SieveRow;
use spfde_data::table::Row;

/// Reads some columns of all rows: each has as many values as the others. Then the table stands for all that
/// a replay of scores writes, which is verified.
pub(super) fn run(bytes: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    for name in [TABLE_NAME, KEPT_NAME, segment_path(SieveRow::STREAM, 0, 0).as_str()] {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let length = |values: &Values| match values {
        Values::Integer(values) => values.len(),
        Values::Number(values) => values.len(),
        Values::Text(values) => values.len(),
        Values::Boolean(values) => values.len(),
    };
    let _ = table_file::read(&directory.path().join(KEPT_NAME), &["member", "sample", "kept"], |columns| {
        assert!(columns.len() == 3 && columns.iter().all(|column| length(column) == length(&columns[0])));
    });
    let _ = verify_scores(directory.path());
}

/// Tables that can stand for all: in each epoch another sample enters, and is kept.
pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let directory = tempfile::tempdir().unwrap();
    let write = |samples: [Values; 2]| {
        let groups = samples.into_iter().zip(0..).map(|(sample, epoch)| -> Columns {
            let whole = |value| Values::Integer(vec![Some(value)]);
            let columns = [
                ("member", whole(0)),
                ("epoch", whole(epoch)),
                ("active_samples", whole(epoch + 1)),
                ("entered", whole(1)),
                ("left", whole(0)),
                ("sample", sample),
                ("diff", whole(1)),
                ("kept", Values::Boolean(vec![Some(true)])),
            ];
            columns.map(|(name, values)| (name.to_owned(), values)).into()
        });
        let path = directory.path().join("table.parquet");
        table_file::write_groups(&path, groups).unwrap();
        std::fs::read(&path).unwrap()
    };
    let text = |text: &str| Values::Text(vec![Some(text.to_owned())]);
    vec![
        ("numbers", write([3, -1].map(|sample| Values::Integer(vec![Some(sample)])))),
        ("texts", write([text("a"), text("b")])),
    ]
}
