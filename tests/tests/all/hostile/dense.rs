//! Score files of as many rows as are believed, all of one sample, in the orders that cost most: judged by a
//! process that may have so many bytes and no more.

use std::sync::Arc;

use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::WriterProperties;
use arrow::array::{ArrayRef, Int64Array};
use spfde::grid::{Axes, GridOptions, ScoreInput, judge_scores};
use spfde_data::parameter::Value;
use spfde_data::scores::Repeats;
use spfde_tests::fuzz::memory;

use super::parquet;
use crate::support::again;

/// In the child process: the directory with the scores.
const SCORES: &str = "SPFDE_TEST_DENSE_SCORES";

/// Rows that are believed, however few bytes there are.
const ROWS: usize = 1 << 20;

/// Bytes that the child may hold at most: a hundred for each row.
const MOST: usize = 100 * ROWS;

/// A value of each row.
type Of = fn(i64) -> i64;

/// A file of so many rows, whose epochs and steps are functions of the row.
pub(super) fn file(rows: usize, epoch: Of, step: Of) -> Vec<u8> {
    let column =
        |value: Of| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..rows as i64).map(value))) };
    let columns = [
        ("sample", column(|_| 7)),
        ("epoch", column(epoch)),
        ("step", column(step)),
        ("correct", column(|_| 1)),
    ];
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(rows)
        .set_write_batch_size(rows);
    parquet::file_with(&columns, &[], properties)
}

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn child() {
    let Some(scores) = std::env::var_os(SCORES) else { return };
    memory::limit_memory();
    let settings = [
        ("sieve.policy", Value::Text("forgetting".to_owned())),
        ("sieve.interval", Value::Integer(1)),
        ("sieve.fraction", Value::Number(0.0)),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value));
    let options = GridOptions { workers: 2, ..GridOptions::default() };
    let input = ScoreInput { paths: vec![scores.into()], repeats: Repeats::Last, ..ScoreInput::default() };
    let judged = judge_scores(&input, &settings, &Axes::default(), &options).unwrap();
    assert_eq!((judged.rows, judged.run.samples), (ROWS as u64, 1));
    eprintln!("most: {}", memory::most_memory());
}

#[test]
fn whatever_order_rows_are_in_judging_them_takes_a_part_of_the_memory_that_there_is() {
    let orders: [(&str, Of, Of); 5] = [
        ("all alike", |_| 0, |_| 0),
        ("two epochs in turn", |row| row % 2, |_| 0),
        ("two steps in turn", |_| 0, |row| row % 2),
        ("two epochs in turn, a step for each row", |row| row % 2, |row| -row & 0xFF_FFFF),
        ("a thousand epochs in turn", |row| row % 1000, |_| 0),
    ];
    for (name, epoch, step) in orders {
        let directory = tempfile::tempdir().unwrap();
        let bytes = file(ROWS, epoch, step);
        std::fs::write(directory.path().join("scores.parquet"), &bytes).unwrap();
        let output = again("hostile::dense::child").env(SCORES, directory.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {text}");
        let most = text
            .lines()
            .find_map(|line| line.strip_prefix("most: "))
            .unwrap_or_else(|| panic!("{name}: {text}"));
        let most: usize = most.parse().unwrap();
        eprintln!("{name}: {} bytes, {:.1} MB at most", bytes.len(), most as f64 / 1e6);
        assert!(most <= MOST, "{name}: {most} bytes");
    }
}
