//! Runs that are watched, where there is no terminal.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use spfde_data::EpochRow;

use crate::compares::rows;
use crate::place::Place;
use crate::signals::{TRAIN, reach, send};

#[test]
fn without_a_terminal_there_is_a_line_for_each_epoch() {
    let place = Place::with_runs(&[("a", "seed=1")]);
    let out = place.run(&["watch", "a"]).done().out;
    let lines: Vec<&str> = out.lines().collect();
    let epochs = rows::<EpochRow>(&place, "a");
    assert_eq!(lines.len(), epochs.len() + 1, "{out}");
    for (line, row) in lines.iter().zip(&epochs) {
        let accuracy = 100.0 * row.test_accuracy.unwrap();
        let start = format!("epoch {}: test accuracy {accuracy:.2} %, ", row.epoch + 1);
        let samples = format!("% of dense FLOPs, {} samples (+", row.active_samples);
        let frozen = format!("), {} layer", row.frozen_layers);
        assert!(line.starts_with(&start) && line.contains(&samples) && line.contains(&frozen), "{line}");
    }
    let accuracy = format!("{:.2} %", 100.0 * epochs[4].test_accuracy.unwrap());
    assert_eq!(lines[5], format!("a: finished, 5 of 5 epochs, test accuracy {accuracy}"));
    place.run(&["watch", "nowhere"]).refused(1, "nowhere: there is nothing of that name", "");
}

#[test]
fn it_goes_on_with_the_run_and_ends_with_it() {
    let place = Place::with_data();
    let words: Vec<&str> = TRAIN.split(' ').chain(["train.epochs=10000"]).collect();
    let mut training = place.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    reach(&mut training, &place.path("run"), 1);
    let mut watching = place.command(&["watch", "run"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = || lines.next().expect("it goes on with the run");
    // More epochs than there were when it began.
    let begun = rows::<EpochRow>(&place, "run").len();
    for epoch in 1..=begun + 3 {
        assert!(next().starts_with(&format!("epoch {epoch}: ")));
    }
    send(&training, "-INT");
    assert_eq!(training.wait().unwrap().code(), Some(130));
    let last = lines.last().unwrap();
    assert!(last.starts_with("run: interrupted (interrupted at epoch "), "{last}");
    assert!(watching.wait().unwrap().success());
}
