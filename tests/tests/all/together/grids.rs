//! Grids of several processes find what those of one do, and end together.

use std::path::{Path, PathBuf};
use std::thread;

use spfde::Options;
use spfde::grid::{Axes, GridOptions, RunCase, judge_runs, judge_scores};
use spfde_data::files::table_file::{self, Values};
use spfde_data::rows::ScoreRow;

use super::same::WORDS;
use super::team::{FOLLOW, GRID, RECORD, SCORES, Team, WAIT};
use crate::replay::following::assert_same_files;
use crate::replay::{experiment as experiment_of, settings};
use crate::support::{Bench, Recorded};

const AXES: [&str; 2] = ["sieve.policy=circular,forgetting,random", "freeze.policy=none,gradient-norm"];

/// Another policy than that of the run.
const ASKED: [&str; 2] = ["mask.policy=static", "sieve.interval=2"];

fn axes(words: &[&str]) -> Axes {
    Axes::from_words(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn options_of(directory: &Path, workers: usize) -> GridOptions {
    let directory = Some(directory.to_owned());
    GridOptions { directory, decisions: true, workers, ..GridOptions::default() }
}

/// Processes that judge the grid by `run`.
fn team<'a>(bench: &'a Bench, run: &Recorded, processes: usize, workers: usize) -> Team<'a> {
    let team = Team::new(bench, &[], processes, workers).with(GRID, AXES.join("\n"));
    Team { record: Some(run.path.clone()), ..team }
}

fn assert_done(team: &Team<'_>, path: &Path) {
    for ended in team.run(path) {
        assert_eq!(ended.code, Some(0), "{}", ended.said);
    }
}

#[test]
fn a_grid_of_several_processes_equals_that_of_one() {
    let bench = Bench::new(80);
    let live = bench.record("live", &bench.experiment(&WORDS), 3);
    for (processes, workers) in [(2, 2), (3, 1)] {
        // As many workers in all write files of the same names.
        let one = bench.path(&format!("one-{processes}"));
        let case = RunCase::open(&live.path).unwrap();
        judge_runs(&[case], &[], &axes(&AXES), Ok, &options_of(&one, processes * workers)).unwrap();
        let path = bench.path(&format!("many-{processes}"));
        assert_done(&team(&bench, &live, processes, workers), &path);
        assert_same_files(&path, &one);
    }
}

#[test]
fn scores_judged_by_two_processes_give_what_one_finds() {
    let bench = Bench::new(80);
    let live = bench.record("live", &bench.experiment(&WORDS), 1);
    let scores = scores(&bench, &live);
    let words = ["sieve.policy=forgetting,circular", "sieve.fraction=0.1,0.3", "sieve.interval=2"];
    let one = bench.path("one");
    judge_scores(&scores, &[], &axes(&words), &options_of(&one, 4)).unwrap();
    let team = Team::new(&bench, &[], 2, 2).with(GRID, words.join("\n"));
    let two = bench.path("two");
    assert_done(&team.with(SCORES, scores.display().to_string()), &two);
    assert_same_files(&two, &one);
}

/// The scores of a run as bare files.
fn scores(bench: &Bench, run: &Recorded) -> PathBuf {
    let rows = run.rows::<ScoreRow>();
    let scores = bench.path(&format!("scores of {}", run.path.file_name().unwrap().display()));
    std::fs::create_dir(&scores).unwrap();
    for (part, rows) in rows.chunks(rows.len().div_ceil(5)).enumerate() {
        let column =
            |value: fn(&ScoreRow) -> i64| Values::Integer(rows.iter().map(|row| Some(value(row))).collect());
        let columns = [
            ("sample", column(|row| i64::from(row.sample))),
            ("epoch", column(|row| i64::from(row.epoch))),
            ("step", column(|row| i64::from(row.step))),
            ("correct", column(|row| i64::from(row.correct))),
        ];
        let columns = columns.into_iter().map(|(name, values)| (name.to_owned(), values)).collect();
        table_file::write(&scores.join(format!("{part}.parquet")), columns).unwrap();
    }
    scores
}

#[test]
fn what_one_process_cannot_read_ends_all_of_them_and_leaves_nothing() {
    let bench = Bench::new(80);
    let live = bench.record("live", &bench.experiment(&WORDS), 2);
    // Each is read by one of the workers.
    for stream in ["scores", "masks", "sieves", "epochs"] {
        for writer in [0, 1] {
            let damaged = format!("trace/{stream}/e00003-w{writer:02}.parquet");
            let Ok(whole) = std::fs::read(live.path.join(&damaged)) else { continue };
            let mut bytes = whole.clone();
            bytes[20] ^= 4;
            std::fs::write(live.path.join(&damaged), bytes).unwrap();
            let path = bench.path("refused");
            for ended in team(&bench, &live, 2, 1).run(&path) {
                let named = ended.said.contains(&damaged) && ended.said.contains("BLAKE3 is ");
                assert!(named && !ended.said.contains("panicked"), "{}", ended.said);
                assert_eq!(ended.code, Some(1), "{}", ended.said);
            }
            assert!(!path.exists(), "nothing is left");
            std::fs::write(live.path.join(&damaged), whole).unwrap();
        }
    }
}

#[test]
fn processes_that_do_not_see_the_same_are_told_so() {
    let bench = Bench::new(80);
    let experiment = bench.experiment(&WORDS);
    let (live, other) = (bench.record("live", &experiment, 2), bench.record("other", &experiment, 1));
    // Of runs that go on only data and settings are known beforehand.
    let mut team = team(&bench, &live, 2, 1).with(FOLLOW, "");
    team.variables.push((1, RECORD, other.path.display().to_string()));
    let path = bench.path("refused");
    for ended in team.run(&path) {
        assert!(ended.said.contains("epochs are others than those that process 0 sees"), "{}", ended.said);
        assert_eq!(ended.code, Some(1), "{}", ended.said);
    }
    assert!(!path.exists(), "nothing is left");
    // Two seeds have as many scores.
    let team = Team::new(&bench, &[], 2, 1).with(GRID, "sieve.fraction=0.1,0.3").with(WAIT, "10");
    let mut team = team.with(SCORES, scores(&bench, &live).display().to_string());
    let seed = bench.record("seed", &bench.experiment(&[&WORDS[..], &["seed=9"]].concat()), 1);
    team.variables.push((1, SCORES, scores(&bench, &seed).display().to_string()));
    // Process 0 goes on waiting for the right one.
    for (ended, code) in team.run(&path).into_iter().zip([1, 2]) {
        let said = ended.said.contains("their score files differ; give all processes the same");
        assert!(said, "{}", ended.said);
        assert_eq!(ended.code, Some(code), "{}", ended.said);
    }
    assert!(!path.exists(), "nothing is left");
}

#[test]
fn a_run_that_trains_is_followed_by_two_processes_to_the_same_end() {
    let bench = Bench::new(80);
    let words = [&WORDS[..], &["train.epochs=12"]].concat();
    let (experiment, run) = (bench.experiment(&words), bench.path("run"));
    let options = Options { directory: Some(run.clone()), workers: 1, ..Options::default() };
    let training = thread::spawn(move || spfde::run(&experiment, options, spfde::pipeline).map(|_| ()));
    while !run.join("manifest.json").exists() {
        assert!(!training.is_finished() || run.join("manifest.json").exists(), "it begins a run");
        thread::sleep(std::time::Duration::from_millis(2));
    }
    let followers = || Team { record: Some(run.clone()), ..Team::new(&bench, &ASKED, 2, 1).with(FOLLOW, "") };
    let (many, one) = (bench.path("many"), bench.path("one"));
    let teams = [(followers().with(GRID, AXES.join("\n")), &many), (followers(), &one)];
    thread::scope(|scope| {
        teams.iter().for_each(|(team, path)| drop(scope.spawn(|| assert_done(team, path))));
    });
    training.join().unwrap().unwrap();
    let afterwards = bench.path("many afterwards");
    let case = RunCase::open(&run).unwrap();
    let asked = settings(&ASKED);
    judge_runs(&[case], asked.entries(), &axes(&AXES), Ok, &options_of(&afterwards, 2)).unwrap();
    assert_same_files(&many, &afterwards);
    let (record, experiment) = experiment_of(&run, &ASKED).unwrap();
    let afterwards = bench.path("one afterwards");
    let options = Options { directory: Some(afterwards.clone()), workers: 2, ..Options::default() };
    spfde::replay(&record, &experiment, options, spfde::pipeline).unwrap();
    assert_same_files(&one, &afterwards);
    Recorded::open(&one).assert_sound(12);
}
