//! Grids over recorded runs, as their users meet them.

use crate::place::{Outcome, Place};

/// What `verify` says of such a grid in `out`.
const NOT_VERIFIED: &str = "out: holds a grid over runs, which has no hashes; verify the runs";

/// The lines below the table's head.
fn members(outcome: &Outcome) -> Vec<&str> {
    let lines = outcome.out.lines().skip_while(|line| !line.starts_with("member")).skip(1);
    lines.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn a_grid_over_a_run_has_a_line_for_each_member_best_first() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    let words = [
        "replay",
        "run",
        "--grid",
        "sieve.fraction=0.1,0.5",
        "--grid",
        "freeze.policy=none,progressive",
        "--sort",
        "flops",
    ];
    let printed = place.run(&words).done();
    assert!(
        printed.out.starts_with("decisions and costs of a replay are exact; accuracy is not predicted\n"),
        "{}",
        printed.out
    );
    assert!(printed.out.contains("run: 5 of 5 epochs, 120 samples, 5 layers; "), "{}", printed.out);
    assert!(printed.out.contains(" sieve.policy=circular"), "{}", printed.out);
    // A key that only some members have is no column if it never differs.
    assert!(printed.out.contains("freeze.flops_reduction=0.1 freeze.fraction=0.666"), "{}", printed.out);
    let head = printed.out.lines().find(|line| line.starts_with("member"));
    assert!(
        head.is_some_and(|head| head.starts_with("member  freeze.policy  sieve.fraction  FLOPs of dense"))
    );
    assert!(head.is_some_and(|head| head.ends_with("censored samples  censored layers  censored norms")));
    let order: Vec<&str> =
        members(&printed).iter().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(order, ["3", "2", "1", "0"], "{}", printed.out);
    assert_eq!(
        (printed.err.as_str(), place.names()),
        ("", ["data", "idx", "run"].map(str::to_owned).to_vec())
    );

    let written = place.run(&[&words[..], &["--out", "out", "--decisions", "--json"]].concat()).done();
    assert_eq!(written.out.lines().count(), 1);
    assert!(
        written.out.contains("\"claim\":\"decisions and costs of a replay are exact; "),
        "{}",
        written.out
    );
    for part in ["grid.parquet", "trace/sieves/e00002-w00.parquet", "trace/freezes/e00004-w00.parquet"] {
        assert!(place.path("out").join(part).is_file(), "{part}");
    }
    place.run(&[&words[..], &["--out", "out"]].concat()).refused(1, "out: is not empty", "");
    place.run(&["verify", "out"]).refused(2, NOT_VERIFIED, "");
}

#[test]
fn several_runs_have_a_mean_and_a_spread_for_each_member() {
    let place = Place::with_runs(&[("a/first", "seed=1"), ("b/second", "seed=2")]);
    let words = ["replay", "a/first", "b/second", "--grid", "sieve.policy=random,circular", "--out", "out"];
    let both = place.run(&[&words[..], &["--decisions"]].concat()).done();
    assert_eq!(members(&both).len(), 2, "{}", both.out);
    assert!(members(&both).iter().all(|line| line.contains(" ± ")), "{}", both.out);
    assert!(both.out.contains(" seed=1,2 "), "{}", both.out);
    for part in
        ["grid.parquet", "first/trace/sieves/e00000-w00.parquet", "second/trace/freezes/e00000-w00.parquet"]
    {
        assert!(place.path("out").join(part).is_file(), "{part}");
    }
    place.run(&["verify", "out"]).refused(2, NOT_VERIFIED, "");
}

#[test]
fn what_no_run_can_answer_is_refused_and_leaves_nothing() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    let judge = |words: &[&str]| place.run(&[&["replay", "run", "--out", "out"], words].concat());
    judge(&["--grid", "train.epochs=4,6"]).refused(
        2,
        "`train.epochs`: the run was recorded with 5, which no replay can change",
        "",
    );
    judge(&["--grid", "freeze.flops_reduction=0.1,0.99", "--grid", "sieve.fraction=0.2"]).refused(
        2,
        "`freeze.flops_reduction`: ",
        " (the member of the grid with freeze.flops_reduction=0.99 sieve.fraction=0.2)",
    );
    judge(&["--grid", "sieve.fractoin=0.1"]).refused(2, "unknown key `sieve.fractoin`", "");
    assert_eq!(place.run(&["replay", "--grid", "sieve.fraction=0.1"]).code, Some(2));
    let segment = "run/trace/gradients/e00003-w00.parquet";
    let mut bytes = std::fs::read(place.path(segment)).unwrap();
    bytes[40] ^= 1;
    std::fs::write(place.path(segment), bytes).unwrap();
    judge(&["--grid", "sieve.fraction=0.1,0.2", "--decisions"]).refused(
        1,
        &format!("{segment}: BLAKE3 is "),
        "nothing is kept of this replay",
    );
    assert_eq!(place.names(), ["data", "idx", "run"]);
}

#[test]
fn what_a_grid_leaves_that_is_killed_is_told_from_all_else_and_left_as_it_is() {
    let place = Place::with_runs(&[("a/first", "seed=1"), ("b/second", "seed=2")]);
    let (one, several) = (&["replay", "a/first"][..], &["replay", "a/first", "b/second"][..]);
    let grid = ["--grid", "sieve.fraction=0.1,0.2", "--decisions", "--out"];
    for (runs, out, trace) in [(one, "out", "out/trace"), (several, "both", "both/second/trace")] {
        let words = [runs, &grid, &[out]].concat();
        place.run(&words).done();
        let refused = |reason: &str, end: &str| {
            place.run(&words).refused(1, &format!("{out}: {reason}"), end);
            assert!(place.path(trace).join("sieves/e00004-w00.parquet").is_file());
        };
        refused("is not empty; nothing was overwritten", "");
        // The table comes last.
        let table = place.path(out).join("grid.parquet");
        std::fs::rename(&table, place.path(out).join("grid.parquet.part")).unwrap();
        let left = "holds nothing but what a grid writes before its table grid.parquet, as one leaves that \
                    was killed; ";
        let remove = "remove the directory, unless a grid is still at work there, or choose another";
        refused(left, remove);
        std::fs::rename(
            place.path(trace).join("freezes/e00004-w00.parquet"),
            place.path(trace).join("freezes/e00004-w00.parquet.part"),
        )
        .unwrap();
        std::fs::remove_file(place.path(out).join("grid.parquet.part")).unwrap();
        refused(left, remove);
        // Anything else could be the user's.
        for other in ["notes.txt", "empty", "trace/scores", "trace/sieves/notes.txt"] {
            let other = place.path(trace).parent().unwrap().join(other);
            let is_file = other.extension().is_some();
            if is_file {
                std::fs::write(&other, "mine").unwrap()
            } else {
                std::fs::create_dir(&other).unwrap()
            }
            refused("is not empty; nothing was overwritten", "");
            if is_file { std::fs::remove_file(&other).unwrap() } else { std::fs::remove_dir(&other).unwrap() }
        }
        std::fs::remove_dir_all(place.path(out)).unwrap();
        place.run(&words).done();
    }
}
