//! What a replay of bare scores wrote, verified.

use super::*;

/// The whole numbers of some columns of a table.
fn whole_numbers(path: &Path, names: &[&str]) -> Vec<Vec<Option<i64>>> {
    let mut found = vec![Vec::new(); names.len()];
    let read = |columns: Vec<Values>| {
        for (found, column) in found.iter_mut().zip(columns) {
            match column {
                Values::Integer(values) => found.extend(values),
                other => panic!("{other:?}"),
            }
        }
    };
    table_file::read(path, names, read).unwrap();
    found
}

/// Changes the columns of a table.
type Change<'a> = &'a dyn Fn(&mut [Vec<Option<i64>>]);

#[test]
fn what_a_replay_of_scores_wrote_is_verified_table_by_table() {
    let place = place();
    let grid = ["--grid", "sieve.policy=forgetting,random,none", "--grid", "sieve.interval=1,9"];
    let words = [&["replay", "--scores", "scores"], &grid[..], &["--workers", "1", "--out"]].concat();
    place.run(&[&words[..], &["plain"]].concat()).done();
    let sound = place.run(&["verify", "plain/"]).done();
    assert!(
        sound.out.contains("6 members, 6 epochs, 0 segments, 36 rows; the sums of grid.parquet"),
        "{sound:?}"
    );
    place.run(&[&words[..], &["out", "--decisions"]].concat()).done();
    place.run(&["verify", "out"]).done();
    for member in 0..6 {
        assert_eq!(
            kept(&place, "out", member).len(),
            [170, 200][usize::from(member == 1 || member > 3)],
            "{member}"
        );
    }
    let unsound = |expected: &str| {
        let outcome = place.run(&["verify", "out", "plain"]);
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.err.contains(expected) && outcome.out.starts_with("plain: sound"), "{outcome:?}");
    };
    // Other samples are kept than were decided.
    let segment = place.path("out/trace/sieves/e00003-w00.parquet");
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::remove_file(&segment).unwrap();
    unsound("kept.parquet: member 0: the decisions keep other samples");
    std::fs::write(&segment, &bytes[..bytes.len() - 9]).unwrap();
    unsound("e00003-w00.parquet: ");
    std::fs::write(&segment, bytes).unwrap();
    std::fs::remove_file(place.path("out/kept.parquet")).unwrap();
    unsound("kept.parquet: cannot open");
}

#[test]
fn nulls_and_sums_beyond_64_bits_are_findings() {
    let place = place();
    let words = ["sieve.policy=forgetting", "sieve.interval=1", "sieve.fraction=0.3", "--workers", "1"];
    place.run(&[&["replay", "--scores", "scores", "--out", "out"], &words[..]].concat()).done();
    place.run(&["verify", "out"]).done();
    let unsound = |file: &str, names: &[&str], change: Change<'_>, expected: &str| {
        let path = place.path(file);
        let (before, mut columns) = (std::fs::read(&path).unwrap(), whole_numbers(&path, names));
        change(&mut columns);
        let names = names.iter().map(|name| (*name).to_owned());
        table_file::write(&path, names.zip(columns.into_iter().map(Values::Integer)).collect()).unwrap();
        let outcome = place.run(&["verify", "out"]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.err.contains(expected), "{expected}: {outcome:?}");
        std::fs::write(&path, before).unwrap();
    };
    // 60 samples leave when the first epoch is over, which holds from the second.
    let (leaves, names) = ("out/trace/sieves/e00001-w00.parquet", ["epoch", "member", "sample", "diff"]);
    let diffs = |row: usize, diff| {
        move |columns: &mut [Vec<Option<i64>>]| {
            assert_eq!(columns[3].iter().flatten().sum::<i64>(), -60);
            columns[3][row..].fill(diff);
        }
    };
    unsound(leaves, &names, &diffs(59, None), "e00001-w00.parquet: row 59 lacks a value");
    let sum = "grid.parquet: member 0, epoch 2: the decisions add up to ";
    unsound(leaves, &names, &diffs(58, Some(i64::MAX)), &format!("{sum}18446744073709551556, not -60"));
    unsound(leaves, &names, &diffs(0, Some(i64::MIN)), &format!("{sum}-553402322211286548480, not -60"));
    let names = ["member", "epoch", "active_samples", "entered", "left"];
    let (least, most) = (Some(i64::MIN), Some(i64::MAX));
    let extremes = |columns: &mut [Vec<Option<i64>>]| {
        (columns[2][1], columns[3][1], columns[4][1]) = (most, least, most);
    };
    let sum = "grid.parquet: member 0, epoch 2: active_samples is 9223372036854775807, \
               not -18446744073709551415";
    unsound("out/grid.parquet", &names, &extremes, sum);
    let twice = |columns: &mut [Vec<Option<i64>>]| columns[1][1] = columns[1][0];
    unsound("out/grid.parquet", &names, &twice, "grid.parquet: member 0, epoch 1 occurs twice");
}
