//! Batches of experiments: what they train, what they leave alone, and what their ends leave behind.

#[cfg(unix)]
use std::process::Stdio;

#[cfg(unix)]
use spfde_data::files::run_directory;
use spfde_data::{EpochRow, SieveRow};

use crate::compares::{rows, table};
use crate::place::{Place, RUN};
#[cfg(unix)]
use crate::signals::{reach, send};

/// Two sieves with two seeds.
const SWEEP: &str = "\
seeds = [1, 2]
[base]
data.path = 'data'
model.name = 'lenet5'
train.epochs = 5
mask.sparsity = 0.5
freeze.flops_reduction = 0.1
[grid]
sieve.fraction = [0.15, 0.4]
";

const ALL: [&str; 4] = ["fraction-0.15-1", "fraction-0.15-2", "fraction-0.4-1", "fraction-0.4-2"];

fn place(sweep: &str) -> Place {
    let place = Place::with_data();
    std::fs::write(place.path("s.toml"), sweep).unwrap();
    place
}

/// A column of the table of a sweep.
fn column(place: &Place, out: &str, name: &str) -> Vec<String> {
    let rows = table(&place.path(out).join("sweep.parquet"));
    rows.iter().map(|row| row[name].trim_matches('"').to_owned()).collect()
}

/// What a run decided and reached, without its times.
fn run(place: &Place, directory: &str) -> (Vec<String>, Vec<SieveRow>) {
    let epochs = rows::<EpochRow>(place, directory).into_iter();
    let epochs = epochs.map(|row| format!("{:?}", EpochRow { seconds: None, ..row })).collect();
    (epochs, rows(place, directory))
}

#[test]
fn a_sweep_trains_what_single_runs_would_and_nothing_twice() {
    let place = place(SWEEP);
    let first = place.run(&["sweep", "s.toml"]).done();
    assert!(first.out.starts_with("s: 2 experiments, 4 runs in runs/s\n"), "{}", first.out);
    assert_eq!(column(&place, "runs/s", "run"), ALL);
    assert_eq!(column(&place, "runs/s", "outcome"), ["finished"; 4]);
    assert_eq!(column(&place, "runs/s", "member"), ALL.map(|run| &run[..run.len() - 2]));
    assert_eq!(column(&place, "runs/s", "sieve.fraction"), ["0.15", "0.15", "0.4", "0.4"]);
    let reached =
        ALL.map(|run| rows::<EpochRow>(&place, &format!("runs/s/{run}")).last().unwrap().test_accuracy);
    let found = column(&place, "runs/s", "test_accuracy").into_iter().map(|share| share.parse().ok());
    assert_eq!(found.collect::<Vec<Option<f64>>>(), reached);
    place.run(&[&RUN[..], &["seed=2", "sieve.fraction=0.4", "--run-dir", "alone"]].concat()).done();
    assert_eq!(run(&place, "runs/s/fraction-0.4-2"), run(&place, "alone"));
    let lines: Vec<&str> = first.out.lines().rev().take(5).collect();
    assert_eq!((lines[0], lines[1]), ("table: runs/s/sweep.parquet", "4 runs: 4 finished"), "{}", first.out);
    assert!(
        lines[4].starts_with("sieve.fraction  runs  test accuracy") || lines[3].contains(" ± "),
        "{}",
        first.out
    );
    // A run is wanted.
    let told = format!("runs/s: is the directory of a sweep; name a run of it, such as runs/s/{}", ALL[0]);
    let (view, from) = (["analyse", "--view", "churn"], ["train", "--from"]);
    for words in [&["watch"][..], &view, &["report"], &["replay"], &["resume"], &from] {
        place.run(&[words, &["runs/s"]].concat()).refused(2, &told, "");
    }
    let verified = place.run(&["verify", "runs/s"]).done().out;
    assert!(verified.lines().zip(ALL).all(|(line, run)| line.starts_with(&format!("runs/s/{run}: sound: "))));
    assert_eq!(verified.lines().count(), ALL.len(), "{verified}");
    // Started again nothing is left to do.
    let manifests =
        || ALL.map(|run| std::fs::read(place.path("runs/s").join(run).join("manifest.json")).unwrap());
    let before = manifests();
    let again = place.run(&["sweep", "s.toml"]).done();
    assert!(!again.out.contains("begins") && before == manifests(), "{}", again.out);
    let followed = place.run(&["sweep", "s.toml", "--follow"]).done();
    let shown = followed.out.trim();
    assert!(again.out.contains(shown) && shown.ends_with("4 runs: 4 finished"), "{shown}\nin\n{}", again.out);
}

#[test]
fn a_run_that_fails_keeps_no_other_from_being_trained() {
    // At this learning rate the loss is soon no number.
    let sweep = SWEEP.replace("sieve.fraction = [0.15, 0.4]", "train.learning_rate = [1000, 0.01]");
    let place = place(&sweep.replace("[1, 2]", "[1]"));
    let failed = place.run(&["sweep", "s.toml", "--out", "out", "--parallel", "1"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let told = "spfde: 1 of 2 runs failed, the first: out/learning_rate-1000-1; out/sweep.parquet says why\n";
    assert_eq!(failed.err, told, "{failed:?}");
    assert_eq!(column(&place, "out", "outcome"), ["failed", "finished"]);
    let reason = column(&place, "out", "reason").remove(0);
    assert!(reason.starts_with("stage gradients on worker 0, epoch ") && reason.contains("NaN"), "{reason}");
    assert!(failed.out.contains("2 runs: 1 finished, 1 failed"), "{}", failed.out);
    assert_eq!(failed.out.matches(&reason).count(), 1, "{}", failed.out);
    let lines = failed.out.lines().skip_while(|line| !line.starts_with("train.learning_rate  "));
    let cells: Vec<Vec<&str>> = lines.skip(1).take(2).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((&cells[0][..2], &cells[1][..3]), (&["0.01", "1"][..], &["1000", "0", "failed"][..]));
    place.run(&["verify", "out/learning_rate-0.01-1"]).done();
    let followed = place.run(&["sweep", "s.toml", "--out", "out", "--follow"]).done();
    let told = format!("2 runs: 1 finished, 1 failed\nout/learning_rate-1000-1: failed: {reason}\n");
    assert!(followed.out.ends_with(&told), "{}", followed.out);
}

#[test]
#[cfg(unix)]
fn a_sweep_that_was_killed_goes_on_where_it_was() {
    let longer = SWEEP.replace("train.epochs = 5", "train.epochs = 40").replace("[1, 2]", "[1]");
    let place = place(&longer);
    let words = ["sweep", "s.toml", "--out", "out"];
    let mut child = place.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (first, second) = (place.path("out/fraction-0.15-1"), place.path("out/fraction-0.4-1"));
    reach(&mut child, &first, 1);
    // Another one does not meddle; the first stands still meanwhile, or it might be at its end by then.
    send(&child, "-STOP");
    place.run(&words).refused(1, "out: is in use by process", "");
    send(&child, "-CONT");
    reach(&mut child, &second, 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let first = first.join("manifest.json");
    let before = std::fs::read(&first).unwrap();
    let again = place.run(&words).done();
    assert!(!again.out.contains("fraction-0.15-1: begins"), "{}", again.out);
    assert!(std::fs::read(&first).unwrap() == before);
    assert!(!run_directory::is_held(&second).unwrap());
    let words: Vec<&str> = RUN.iter().copied().filter(|word| !word.starts_with("train.epochs")).collect();
    let more = ["train.epochs=40", "seed=1", "sieve.fraction=0.4", "--run-dir", "alone"];
    place.run(&[&words[..], &more].concat()).done();
    assert_eq!(run(&place, "out/fraction-0.4-1"), run(&place, "alone"));
}

#[test]
#[cfg(unix)]
fn an_interrupt_ends_the_runs_too() {
    let place = place(&SWEEP.replace("train.epochs = 5", "train.epochs = 10000"));
    let words = ["sweep", "s.toml", "--out", "out"];
    let mut child = place.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = place.path("out/fraction-0.15-1");
    reach(&mut child, &begun, 1);
    send(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.ends_with("spfde: interrupted; the same command goes on with it\n"), "{said}");
    assert!(!run_directory::is_held(&begun).unwrap());
    assert_eq!(column(&place, "out", "outcome"), ["stopped", "waiting", "waiting", "waiting"]);
}

#[test]
fn what_cannot_be_trained_is_refused_before_anything_is() {
    let place = place(SWEEP);
    let refused = |change: [&str; 2], start: &str, end: &str| {
        std::fs::write(place.path("other.toml"), SWEEP.replace(change[0], change[1])).unwrap();
        place.run(&["sweep", "other.toml", "--out", "out"]).refused(2, start, end);
        assert!(!place.path("out").exists());
    };
    refused(["mask.sparsity", "mask.sparsty"], "unknown key `mask.sparsty`", "(experiment fraction-0.15)");
    refused(["[0.15, 0.4]", "[0.15, 1.4]"], "`sieve.fraction`", "(experiment fraction-1.4)");
    refused(
        ["freeze.flops_reduction = 0.1", "freeze.flops_reduction = 0.9"],
        "`freeze.flops_reduction`",
        "-0.15)",
    );
    refused(["seeds", "sedes"], "other.toml: unknown field `sedes`", "");
    place.run(&["sweep", "s.toml", "--parallel", "256"]).refused(2, "--parallel 256: this machine has", "");
    place.run(&["sweep", "s.toml", "--follow"]).refused(1, "runs/s: there is nothing of that name", "");
    // A run of the same name that is another.
    place.run(&[&RUN[..], &["seed=1", "mask.soft=0.3", "--run-dir", "out/fraction-0.15-1"]].concat()).done();
    place.run(&["sweep", "s.toml", "--out", "out"]).refused(
        2,
        "out/fraction-0.15-1: is a run with mask.soft = 0.3, and the sweep would have 0.5; set it in [base]",
        "or remove this one",
    );
}
