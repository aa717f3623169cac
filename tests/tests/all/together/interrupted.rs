//! A run of several processes that a signal interrupts goes on in one process.

use std::process::Command;

use spfde_data::files::manifest::Manifest;

use super::same::WORDS;
use super::team::{Team, reach, wait};
use crate::resuming::{assert_equal, finish};
use crate::support::{Bench, Recorded};

#[test]
fn a_run_of_two_processes_that_is_interrupted_goes_on_in_one() {
    let bench = Bench::new(80);
    let words = [&WORDS[..], &["train.epochs=40"]].concat();
    let whole = bench.record("whole", &bench.experiment(&words), 1);
    let path = bench.path("run");
    let children = Team::new(&bench, &words, 2, 1).holding(0).start(&path);
    reach(&path, 1);
    let signal = Command::new("kill").args(["-INT", &children[0].id().to_string()]).status().unwrap();
    assert!(signal.success());
    for ended in wait(children) {
        assert_eq!(ended.code, Some(130), "{}", ended.said);
        assert!(ended.said.contains("interrupted at epoch "), "{}", ended.said);
    }
    let Manifest { epochs_reached, stopped, .. } = Manifest::read(&path).unwrap();
    assert!((1..40).contains(&epochs_reached), "{epochs_reached}");
    assert!(stopped.is_some_and(|why| why.contains("interrupted")));
    Recorded::open(&path).assert_sound(epochs_reached);
    assert_equal(&finish(&bench, &path, 1), &whole, "interrupted on two processes, ended by one");
}
