//! Score files of any trainer.

use std::sync::atomic::AtomicBool;

use spfde_data::files::score_files::ScoreFiles;
use spfde_data::files::table_file::{self, Values};
use spfde_data::scores::ScoreSource;

/// Rows that are believed of so many bytes.
fn most_rows(bytes: usize) -> u64 {
    (1 << 20) + 128 * bytes as u64
}

/// Reads all parts, with and without losses; every slot is one of those that were counted, every row was, and
/// there are no more than so many bytes can hold.
pub(super) fn run(bytes: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    for losses in [false, true] {
        let Ok(files) = ScoreFiles::open(&[file.path().to_owned()], 1, losses, &AtomicBool::new(false))
        else {
            return;
        };
        let files = files.expect("nothing stops it");
        assert!(files.rows() <= most_rows(bytes.len()), "{} rows", files.rows());
        let (mut found, mut is_whole) = (0, true);
        for epoch in 0..files.epochs() {
            for part in files.parts(epoch) {
                let read = files.read(part, &mut |rows| {
                    assert!(rows.slots.iter().all(|slot| *slot < files.samples()));
                    found += rows.slots.len() as u64;
                });
                is_whole &= read.is_ok();
            }
        }
        assert!(if is_whole { found == files.rows() } else { found <= files.rows() }, "{found} rows");
    }
}

/// Rows of one sample in a seed.
const ALIKE: usize = 70_000;

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let whole = |value: fn(i64) -> i64| Values::Integer((0..40).map(|row| Some(value(row))).collect());
    let columns = vec![
        ("sample".to_owned(), whole(|row| row % 10)),
        ("epoch".to_owned(), whole(|row| row / 10)),
        ("step".to_owned(), whole(|row| row / 5)),
        ("correct".to_owned(), whole(|row| row % 3 / 2)),
        ("loss".to_owned(), Values::Number((0..40).map(|row| Some(f64::from(row) / 8.0)).collect())),
    ];
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, columns: &[(String, Values)]| {
        let path = directory.path().join(name);
        table_file::write(&path, columns.to_vec()).unwrap();
        std::fs::read(&path).unwrap()
    };
    // More rows than are decoded at a time, all alike.
    let alike = ["sample", "epoch", "step", "correct"];
    let alike = alike.map(|name| (name.to_owned(), Values::Integer(vec![Some(0); ALIKE])));
    vec![
        ("one-sample", write("c", &alike)),
        ("with-losses", write("a", &columns)),
        ("without", write("b", &columns[..4])),
    ]
}
