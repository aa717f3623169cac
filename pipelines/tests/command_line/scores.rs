//! Bare score files, judged by one policy or a grid of them.

use std::path::Path;

use spfde_data::files::table_file::{self, Values};
use spfde_data::random::{Purpose, draw};

use crate::place::Place;

const SAMPLES: i64 = 200;
const EPOCHS: i64 = 5;

/// Whether a sample is right in an epoch.
fn right(sample: i64, epoch: i64) -> bool {
    draw(3, Purpose::User, epoch as u64, sample as u64) % 100
        < draw(3, Purpose::User, 99, sample as u64) % 100
}

/// One file for each epoch.
fn write(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    for epoch in 0..EPOCHS {
        let column = |value: &dyn Fn(i64) -> i64| {
            Values::Integer((0..SAMPLES).map(|sample| Some(value(sample))).collect())
        };
        let columns = vec![
            ("sample".to_owned(), column(&|sample| sample)),
            ("epoch".to_owned(), column(&|_| epoch)),
            ("step".to_owned(), column(&|sample| sample / 32)),
            ("correct".to_owned(), column(&|sample| i64::from(right(sample, epoch)))),
        ];
        table_file::write(&directory.join(format!("{epoch}.parquet")), columns).unwrap();
    }
}

fn place() -> Place {
    let place = Place::new();
    write(&place.path("scores"));
    place
}

#[test]
fn one_policy_is_judged_and_its_decisions_are_written() {
    let place = place();
    let words =
        ["replay", "--scores", "scores", "sieve.policy=forgetting", "sieve.interval=1", "sieve.fraction=0.3"];
    let json = place.run(&[&words[..], &["--out", "out", "--json"]].concat()).done();
    assert_eq!((json.out.lines().count(), json.err.as_str()), (1, ""));
    let mut forgotten = [0u32; 10];
    for sample in 0..SAMPLES {
        let events = (1..EPOCHS).filter(|epoch| right(sample, epoch - 1) && !right(sample, *epoch)).count();
        forgotten[events] += 1;
    }
    let counts = forgotten.iter().enumerate().filter(|(_, samples)| **samples > 0);
    let counts: Vec<String> = counts.map(|(events, samples)| format!("[{events},{samples}]")).collect();
    assert!(json.out.contains(&format!("\"counts\":[{}]", counts.join(","))), "{}", json.out);
    assert!(json.out.contains("\"active_samples\":140,\"censored_samples\":0"), "{}", json.out);
    assert!(place.path("out/grid.parquet").is_file());
    for epoch in 0..=EPOCHS {
        assert!(place.path(&format!("out/trace/sieves/e{epoch:05}-w00.parquet")).is_file());
    }
    // Without a directory nothing is written.
    let table = place.run(&words).done();
    assert!(table.out.starts_with("decisions are exact; "), "{}", table.out);
    assert!(table.out.contains("1000 rows of 200 samples over 5 epochs"), "{}", table.out);
    assert_eq!(place.names(), ["out", "scores"]);
}

#[test]
fn a_grid_has_a_line_for_each_member_best_first() {
    let place = place();
    let words = [
        "--grid",
        "sieve.policy=forgetting,random",
        "--grid",
        "sieve.fraction=0.1,0.5",
        "--sort",
        "active_samples",
    ];
    let outcome = place.run(&[&["replay", "--scores", "scores", "--out", "out"], &words[..]].concat()).done();
    let lines: Vec<&str> = outcome.out.lines().skip_while(|line| !line.starts_with("member")).collect();
    let starts: Vec<String> = lines[1..5]
        .iter()
        .map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        starts,
        ["1 0.5 forgetting", "3 0.5 random", "0 0.1 forgetting", "2 0.1 random"],
        "{}",
        outcome.out
    );
    assert!(!place.path("out/trace").exists(), "only if they are asked for");
    let again = place
        .run(&[&["replay", "--scores", "scores", "--out", "two", "--decisions"], &words[..]].concat())
        .done();
    assert!(place.path("two/trace/sieves/e00002-w00.parquet").is_file(), "{again:?}");
}

#[test]
fn what_cannot_be_judged_is_refused_and_leaves_nothing() {
    let place = place();
    let judge =
        |words: &[&str]| place.run(&[&["replay", "--scores", "scores", "--out", "out"], words].concat());
    judge(&["freeze.policy=none"]).refused(2, "`freeze.policy`: bare scores tell of samples only", "");
    judge(&["runs/a"]).refused(2, "`runs/a` is neither", "");
    judge(&["--grid", "sieve.fraction=0.1,2"]).refused(
        2,
        "`sieve.fraction` = 2 is out of range",
        " (the member of the grid with sieve.fraction=2)",
    );
    judge(&["sieve.fraction=0.999"]).refused(2, "`sieve.fraction`: 0.999 of 200 samples leaves none", "");
    place.run(&["replay", "--scores", "nowhere"]).refused(1, "nowhere: cannot open", "");
    judge(&["--sort", "flops"]).refused(2, "--sort flops: bare scores have no costs", "");
    // Damage that shows only when the rows are read.
    let column = |values: Vec<i64>| Values::Integer(values.into_iter().map(Some).collect());
    let columns = vec![
        ("sample".to_owned(), column(vec![1, 2])),
        ("epoch".to_owned(), column(vec![3, 3])),
        ("step".to_owned(), column(vec![0, -1])),
        ("correct".to_owned(), column(vec![0, 1])),
    ];
    table_file::write(&place.path("scores/late.parquet"), columns).unwrap();
    judge(&["sieve.policy=forgetting", "--workers", "2"]).refused(
        1,
        "scores/late.parquet: row 1: step is -1; ",
        "nothing is kept of this replay",
    );
    // A loss that is no number, of which no sieve of these asks.
    let mut columns =
        ["sample", "epoch", "step", "correct"].map(|name| (name.to_owned(), column(vec![1, 1]))).to_vec();
    columns.push(("loss".to_owned(), Values::Number(vec![Some(0.5), Some(f64::NAN)])));
    table_file::write(&place.path("scores/late.parquet"), columns).unwrap();
    judge(&["sieve.policy=forgetting", "--workers", "2"]).refused(
        1,
        "scores/late.parquet: row 1: loss is NaN; expected a finite number; a training that comes to \
         another has diverged; ",
        "nothing is kept of this replay",
    );
    assert_eq!(place.names(), ["scores"]);
}
