//! Norms of gradients of any trainer.

use spfde_data::files::gradient_files;
use spfde_data::files::table_file::{self, Values};
use spfde_data::{Architecture, Row};

/// The layers of the seeds.
fn layers() -> Architecture {
    let layer =
        |name: &str| format!("[[layer]]\nname = \"{name}\"\nkind = \"linear\"\noutputs = 5\ninputs = 4\n");
    let text = format!("{}block = \"one\"\n{}", layer("first"), layer("second"));
    Architecture::clone(&spfde::grid::parse_layers(&text).unwrap())
}

/// What is accepted is in order, finite and of known layers.
pub(super) fn run(bytes: &[u8]) {
    let (directory, network) = (tempfile::tempdir().unwrap(), layers());
    std::fs::write(directory.path().join("a.parquet"), bytes).unwrap();
    let Ok(norms) = gradient_files::read(directory.path(), &network.layers) else { return };
    assert!(norms.rows.len() as u64 <= (1 << 20) + 128 * bytes.len() as u64, "{} rows", norms.rows.len());
    assert!(norms.rows.is_sorted_by_key(Row::order));
    for row in &norms.rows {
        assert!(row.epoch < norms.epochs && row.l2.is_finite() && row.l1.is_finite(), "{row:?}");
        assert!(row.nonzero as usize <= network.layers[usize::from(row.layer)].weights(), "{row:?}");
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let whole = |value: fn(i64) -> i64| Values::Integer((0..24).map(|row| Some(value(row))).collect());
    let norm = || Values::Number((0..24).map(|row| Some(f64::from(row) / 8.0)).collect());
    let names = (0..24).map(|row| Some(["first", "second"][row % 2].to_owned()));
    let columns = [
        ("epoch", whole(|row| 3 + row / 8)),
        ("step", whole(|row| row % 8 / 2)),
        ("layer", whole(|row| row % 2)),
        ("name", Values::Text(names.collect())),
        ("l2", norm()),
        ("l1", norm()),
        ("nonzero", whole(|row| 20 - row % 7)),
    ];
    let file = tempfile::NamedTempFile::new().unwrap();
    table_file::write(file.path(), columns.map(|(name, values)| (name.to_owned(), values)).into()).unwrap();
    vec![("two-layers", std::fs::read(file.path()).unwrap())]
}
