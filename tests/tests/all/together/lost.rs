//! Processes that are lost, or in which something fails: all others end, with a word, and the run goes on.

use std::path::Path;
use std::time::Instant;

use spfde_data::files::manifest::Manifest;

use super::same::WORDS;
use super::team::{Ended, Team, reach, wait};
use crate::resuming::{assert_equal, finish};
use crate::support::{Bench, Recorded};

/// Goes on with the run in `path` and compares it with `whole`.
fn go_on(bench: &Bench, path: &Path, whole: &Recorded, processes: usize) {
    let run = match processes {
        1 => finish(bench, path, 1),
        _ => Team::new(bench, &[], processes, 1).finish(path),
    };
    assert_equal(&run, whole, &format!("{} on {processes} processes", path.display()));
}

/// That a message is the last word of a process, and says how the run goes on.
pub(super) fn assert_last_word(ended: &Ended, path: &Path, starts: &str) {
    let last = ended.said.trim_end().lines().last().unwrap_or_default();
    assert!(last.starts_with(starts), "{starts}: {}", ended.said);
    assert!(last.ends_with(&format!("resume with: spfde resume {}", path.display())), "{}", ended.said);
}

#[test]
fn a_process_that_is_killed_is_named_by_all_others_which_end_at_once() {
    let bench = Bench::new(80);
    let words = [&WORDS[..], &["train.epochs=40"]].concat();
    let whole = bench.record("whole", &bench.experiment(&words), 1);
    for (victim, processes) in [(1, 2), (0, 2), (2, 3)] {
        let path = bench.path(&format!("killed-{victim}-of-{processes}"));
        let mut children = Team::new(&bench, &words, processes, 1).holding(victim).start(&path);
        reach(&path, 2);
        children[victim].kill().unwrap();
        let killed = Instant::now();
        let mut ended = wait(children);
        eprintln!(
            "process {victim} of {processes} killed: all had ended after {:.2} s",
            killed.elapsed().as_secs_f64()
        );
        assert_eq!(ended.remove(victim).code, None, "it was killed");
        for ended in &ended {
            assert_eq!(ended.code, Some(3), "{}", ended.said);
            assert!(!ended.said.contains("panicked"), "{}", ended.said);
            assert_last_word(ended, &path, &format!("process {victim} at 127.0.0.1:"));
        }
        go_on(&bench, &path, &whole, 1 + victim % 2);
    }
}

#[test]
fn a_panic_in_one_process_ends_all() {
    let bench = Bench::new(80);
    let whole = bench.record("whole", &bench.experiment(&WORDS), 1);
    for panicking in [1, 0] {
        let path = bench.path(&format!("panicked-{panicking}"));
        let ended = Team::new(&bench, &WORDS, 2, 1).panicking(panicking).run(&path);
        let own = format!("worker {panicking} failed: the stage fails; ");
        assert_last_word(&ended[panicking], &path, &own);
        assert_last_word(&ended[1 - panicking], &path, &format!("process {panicking} at 127.0.0.1:"));
        assert!(ended.iter().all(|ended| ended.code == Some(3)), "{ended:?}");
        assert!(Manifest::read(&path).unwrap().stopped.is_some() || panicking == 1);
        go_on(&bench, &path, &whole, 2);
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_all_processes_at_the_same_step() {
    let bench = Bench::new(80);
    let words = [&WORDS[..], &["train.learning_rate=1000", "train.weight_decay=1"]].concat();
    let path = bench.path("run");
    let ended = Team::new(&bench, &words, 2, 2).run(&path);
    assert_eq!(ended[0].said, ended[1].said);
    assert!(
        ended
            .iter()
            .all(|ended| ended.code == Some(3) && ended.said.contains("is the first that is not finite"))
    );
    let run = Recorded::open(&path);
    run.assert_sound(run.manifest.epochs_reached);
}

#[test]
fn a_full_disk_in_one_process_stops_all() {
    let bench = Bench::new(80);
    let whole = bench.record("whole", &bench.experiment(&WORDS), 1);
    for full in [0, 1] {
        let path = bench.path(&format!("full-{full}"));
        let variables = vec![(full, "SPFDE_FAIL_AT", "60".to_owned())];
        let ended = Team { variables, ..Team::new(&bench, &WORDS, 2, 1) }.run(&path);
        for ended in &ended {
            assert_eq!(ended.code, Some(3), "{}", ended.said);
            assert_last_word(ended, &path, "stage ");
        }
        go_on(&bench, &path, &whole, 1 + full);
    }
}
