//! Runs that end before their last epoch as a success.

use spfde::registry::Registry;
use spfde::{Experiment, Options, Resumed};
use spfde_data::rows::{EndingRow, EpochRow};
use spfde_flow::{Cause, Fault, Run, StepReport, Tick, per_epoch};
use timely::dataflow::operators::vec::Map;

use crate::support::{Bench, Recorded, assert_same, stopped, transcript};

const WORDS: [&str; 3] = ["model.name=lenet5", "train.epochs=6", "sieve.fraction=0.2"];

/// The ready pipeline, and a stage that has seen enough after the third epoch.
fn wire(run: &Run<'_>) {
    let trained = spfde::pipeline(run);
    let enough = |_, rows: Vec<EpochRow>| {
        let third = rows.into_iter().find(|row| row.epoch == 2);
        let reason = || "three epochs are enough".to_owned();
        third.map(|row| EndingRow { epoch: row.epoch, reason: reason() }).into_iter().collect()
    };
    run.end_on(per_epoch(run, "enough", &trained.epochs, |_| 0, enough));
}

#[test]
fn a_run_that_has_seen_enough_ends_whole_and_as_a_success() {
    let bench = Bench::new(160);
    let experiment = bench.experiment(&WORDS);
    let whole = transcript(&bench.record("whole", &experiment, 1));
    let mut first = None;
    for workers in [1, 2, 4] {
        let path = bench.path(&workers.to_string());
        let options = Options { directory: Some(path.clone()), workers, ..Options::default() };
        spfde::run(&experiment, options, wire).unwrap();
        let run = Recorded::open(&path);
        run.assert_sound(3);
        assert!(run.manifest.finished && run.manifest.stopped.is_none());
        assert_eq!(run.manifest.ended_early.as_deref(), Some("three epochs are enough"));
        assert_eq!(run.manifest.last_checkpoint(), Some(3), "its weights are there");
        let own = transcript(&run);
        assert!(own.iter().all(|line| whole.contains(line)), "what it trained is what the whole run trained");
        let first = first.get_or_insert_with(|| own.clone());
        assert_same(&own, first, &format!("{workers} workers"));
        let resumed = Resumed::open(&Registry::standard(), &path, |configuration| {
            Experiment::with_data(configuration, bench.data())
        });
        assert!(matches!(resumed.unwrap(), Resumed::Finished(3)));
    }
}

#[test]
fn a_replay_of_it_has_as_many_epochs() {
    let bench = Bench::new(160);
    let experiment = bench.experiment(&WORDS);
    let path = bench.path("run");
    let options = Options { directory: Some(path.clone()), ..Options::default() };
    spfde::run(&experiment, options, wire).unwrap();
    let record = spfde::Record::open(&path).unwrap();
    let own = record.experiment(&[]).unwrap();
    let options = Options { directory: Some(bench.path("replayed")), ..Options::default() };
    let replayed = spfde::replay(&record, &own, options, spfde::wire).unwrap();
    let recorded = record.recorded_epochs().unwrap();
    let costs = |rows: &[EpochRow]| -> Vec<[u64; 3]> {
        rows.iter().map(|row| [row.nonzero, row.forward_flops, row.backward_flops]).collect()
    };
    assert_eq!((replayed.epochs.len(), costs(&replayed.epochs)), (3, costs(&recorded)));
    let manifest = Recorded::open(&bench.path("replayed")).manifest;
    assert!(manifest.finished && manifest.stopped.is_none());
    assert_eq!(manifest.ended_early.as_deref(), Some("three epochs are enough"));
}

#[test]
fn an_end_of_another_epoch_than_the_one_that_closes_is_refused() {
    let bench = Bench::new(160);
    let experiment = bench.experiment(&WORDS);
    let options = Options { directory: Some(bench.path("run")), ..Options::default() };
    let error = spfde::run(&experiment, options, |run: &Run<'_>| {
        let trained = spfde::pipeline(run);
        let later =
            |epoch: u32, _: Vec<EpochRow>| vec![EndingRow { epoch: epoch + 1, reason: String::new() }];
        run.end_on(per_epoch(run, "enough", &trained.epochs, |_| 0, later));
    });
    let error = error.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(
        error.to_string().contains("epoch 2 cannot end the run: it is not the one that closes"),
        "{error}"
    );
    let run = Recorded::open(&bench.path("run"));
    run.assert_sound(1);
    assert_eq!(run.manifest.ended_early, None);
}

#[test]
fn a_fault_of_the_last_epoch_is_told_instead_of_its_success() {
    let bench = Bench::new(160);
    let experiment = bench.experiment(&WORDS);
    let options = Options { directory: Some(bench.path("run")), workers: 2, ..Options::default() };
    let result = spfde::run(&experiment, options, |run: &Run<'_>| {
        let trained = spfde::pipeline(run);
        let enough = |epoch: u32, _: Vec<EpochRow>| {
            (epoch == 2).then(|| EndingRow { epoch, reason: "enough".to_owned() }).into_iter().collect()
        };
        run.end_on(per_epoch(run, "enough", &trained.epochs, |_| 0, enough));
        // At the last step of that epoch, which is whole.
        let refuse = |report: StepReport| {
            let (tick, stage) = (report.tick, "patience".to_owned());
            let cause = Cause::Refused("the loss is worse".to_owned());
            let is_last = tick == Tick::new(2, report.steps - 1);
            is_last.then_some(Fault { tick, worker: 0, stage, cause })
        };
        run.halt_on(trained.steps.clone().flat_map(refuse));
    });
    let (fault, code) = stopped(result);
    assert_eq!((fault.cause, code), (Cause::Refused("the loss is worse".to_owned()), 3));
    let run = Recorded::open(&bench.path("run"));
    run.assert_sound(3);
    assert!(!run.manifest.finished && run.manifest.ended_early.is_none());
}
