//! Freeze policies that judge by how much layers still change.

use std::collections::BTreeMap;

use spfde::{Experiment, Options, Record};
use spfde_data::rows::*;
use spfde_data::table::Row;
use spfde_policy::freeze::{Change, FreezeContext, FreezeRule, Judged};

use crate::replay::{costs, replay_into, replayed, settings};
use crate::resuming::{assert_equal, begin, finish, until};
use crate::support::{Bench, Recorded, assert_same, transcript};
use crate::verification::change_manifest;

const EPOCHS: u32 = 8;
const WORDS: [&str; 6] = [
    "model.name=lenet5",
    "train.epochs=8",
    "mask.sparsity=0.6",
    "mask.interval=1",
    "freeze.probe=24",
    "data.batch_size=16",
];

/// Policies whose blocks freeze within the run: those of the first at different epochs, and those of the
/// second thaw.
const POLICIES: [&[&str]; 2] = [
    &["freeze.policy=cka", "freeze.similarity=0.93", "freeze.patience=2"],
    &["freeze.policy=egeria", "freeze.window=1", "freeze.tolerance=1", "freeze.thaw_rate=0.5"],
];

fn experiment(bench: &Bench, words: &[&str]) -> Experiment {
    bench.experiment(&[&WORDS[..], words].concat())
}

/// When each block freezes (`true`) or thaws, by the rows of its layers; `lenet5` has a layer in each block.
fn changes(run: &Recorded) -> Vec<(u32, u16, bool)> {
    run.rows::<FreezeRow>().iter().map(|row| (row.epoch, row.layer, row.diff > 0)).collect()
}

/// Which blocks have been as alike as asked for in two windows in a row, front to back, by the recorded rows.
fn alike(run: &Recorded, least: f64) -> Vec<(u32, u16, bool)> {
    let (mut found, mut settled, mut frozen) = (Vec::new(), [0; 4], 0);
    let rows = run.rows::<SimilarityRow>();
    for epoch in 0..EPOCHS - 1 {
        let of = |layer: u16| rows.iter().find(|row| (row.epoch, row.layer) == (epoch, layer));
        for layer in frozen..4 {
            let is_alike = of(layer).is_some_and(|row| row.measure >= least);
            let settled = &mut settled[usize::from(layer)];
            *settled = if is_alike { *settled + 1 } else { 0 };
        }
        while frozen < 4 && settled[usize::from(frozen)] >= 2 {
            found.push((epoch + 1, frozen, true));
            frozen += 1;
        }
    }
    found
}

#[test]
fn a_run_judged_by_similarity_is_the_same_on_1_2_and_4_workers_and_after_a_break() {
    let bench = Bench::new(64);
    for (number, policy) in POLICIES.into_iter().enumerate() {
        let experiment = experiment(&bench, policy);
        let whole = bench.record(&format!("{number}"), &experiment, 1);
        whole.assert_sound(EPOCHS);
        let found = changes(&whole);
        match number {
            0 => {
                assert_eq!(found, alike(&whole, 0.93));
                let epochs: std::collections::BTreeSet<u32> =
                    found.iter().map(|(epoch, ..)| *epoch).collect();
                assert!(epochs.len() > 1, "blocks freeze at different times: {found:?}");
            }
            // Two evaluations make a line: all freeze after the second. The rate of epoch 3 has halved by 5.
            _ => {
                let all = |epoch, frozen| (0..4).map(move |layer| (epoch, layer, frozen));
                assert_eq!(found, all(3, true).chain(all(5, false)).chain(all(7, true)).collect::<Vec<_>>());
            }
        }
        // Nothing else was observed, and the probe costs one pass.
        assert!(whole.rows::<ScoreRow>().iter().all(|row| row.trained));
        let layers = &experiment.plan().architecture.layers;
        for row in whole.rows::<EpochRow>() {
            let of_epoch = whole.epoch::<LayerRow>(row.epoch).into_iter().zip(layers);
            let pass: u64 = of_epoch.map(|(row, layer)| 2 * u64::from(row.nonzero) * layer.positions).sum();
            assert_eq!((row.extra_flops, row.observed_flops), (24 * pass, 0));
        }
        for workers in [2, 4] {
            let run = bench.record(&format!("{number} on {workers}"), &experiment, workers);
            assert_same(&transcript(&whole), &transcript(&run), "workers");
            assert!(whole.final_weights() == run.final_weights(), "{workers} workers");
        }
        for epoch in [2, 3, 6] {
            let path = bench.path(&format!("{number}-until-{epoch}"));
            begin(&experiment, &path, until(epoch, 0, 2));
            assert_equal(&finish(&bench, &path, 1), &whole, &format!("{policy:?}, broken in epoch {epoch}"));
        }
    }
}

#[test]
fn a_kept_prefix_changes_no_decision() {
    let bench = Bench::new(64);
    for (number, policy) in POLICIES.into_iter().enumerate() {
        let whole = bench.record(&format!("{number}"), &experiment(&bench, policy), 2);
        let kept = experiment(&bench, &[policy, &["freeze.cache=memory"]].concat());
        let run = bench.record(&format!("kept {number}"), &kept, 2);
        assert_same(&transcript(&whole), &transcript(&run), "a cache");
        assert!(whole.final_weights() == run.final_weights());
        assert!(run.rows::<EpochRow>().iter().any(|row| row.cached_flops > Some(0)));
    }
}

#[test]
fn a_followed_run_is_judged_as_it_is_replayed() {
    let bench = Bench::new(64);
    for (number, policy) in POLICIES.into_iter().enumerate() {
        let run = bench.record(&format!("{number}"), &experiment(&bench, policy), 2);
        let record = Record::open_unfinished(&run.path).unwrap();
        let directory = bench.path(&format!("followed {number}"));
        let options = Options { directory: Some(directory.clone()), workers: 2, ..Options::default() };
        spfde::replay(&record, &record.experiment(&[]).unwrap(), options, spfde::wire).unwrap();
        let followed = Recorded::open(&directory);
        followed.assert_sound(EPOCHS);
        assert_eq!(run.rows::<FreezeRow>(), followed.rows::<FreezeRow>());
        assert_eq!(run.rows::<FreezeEvidenceRow>(), followed.rows::<FreezeEvidenceRow>());
        assert_eq!(costs(&run), costs(&followed));
    }
}

#[test]
fn what_was_frozen_in_the_record_is_left_out_and_counted() {
    let bench = Bench::new(64);
    let words = ["freeze.policy=progressive", "freeze.flops_reduction=0.2", "trace.observe=full"];
    let run = bench.record("run", &experiment(&bench, &words), 2);
    let layers = run.rows::<LayerRow>();
    let was_frozen = |epoch: u32, layer: u16| {
        layers.iter().any(|row| (row.epoch, row.layer, row.frozen) == (epoch, layer, true))
    };
    assert!(was_frozen(EPOCHS - 1, 0));
    // Nothing is as alike as that unless it was frozen.
    for policy in
        [&["freeze.policy=cka", "freeze.similarity=1"][..], &["freeze.policy=egeria", "freeze.window=9"]]
    {
        let (found, replay) = replayed(&bench, policy[0], &run, policy, 2);
        assert!(replay.rows::<FreezeRow>().is_empty());
        for row in &found.censored {
            let frozen = (0..5).filter(|layer| was_frozen(row.epoch, *layer)).count();
            assert_eq!((usize::from(row.layers), row.norms), (frozen, 0), "{policy:?}: {row:?}");
        }
        let judged = replay.rows::<FreezeEvidenceRow>();
        assert!(judged.iter().all(|row| !was_frozen(row.epoch, row.block)), "{judged:?}");
        assert_eq!(judged.is_empty(), policy[0].ends_with("egeria"), "nine evaluations do not come");
    }
}

#[test]
fn a_run_without_the_stream_refuses_a_replay_that_needs_it() {
    let bench = Bench::new(64);
    let run = bench.record("run", &experiment(&bench, &["freeze.policy=none"]), 1);
    for policy in ["cka", "egeria"] {
        let error = replay_into(&bench, "out", &run, &[&format!("freeze.policy={policy}")], 2).err().unwrap();
        let expected = format!(
            "`freeze.policy`: `{policy}` judges by the stream `similarity`, which the run did not record; \
             choose another policy, or replay a run with trace.observe = \"full\""
        );
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(error.exit_code(), 2);
        assert!(!bench.path("out").exists(), "nothing is left");
    }
    // The segments of a run under such a policy are gone.
    let run = bench.record("gone", &experiment(&bench, POLICIES[0]), 1);
    change_manifest(&run, |manifest| {
        manifest.segments.retain(|segment| segment.stream != SimilarityRow::STREAM);
    });
    let error = replay_into(&bench, "out", &Recorded::open(&run.path), &[], 2).err().unwrap();
    assert!(error.to_string().contains("stream similarity was not recorded"), "{error}");
    assert_eq!(error.exit_code(), 1);
    // Other policies need it not.
    replayed(&bench, "other", &Recorded::open(&run.path), &["freeze.policy=none"], 1);
}

#[test]
fn a_probe_of_no_samples_or_of_a_single_one_is_refused_where_it_is_needed() {
    let bench = Bench::new(64);
    let configure = |more: &[&str]| bench.configure(&[&WORDS[..], more].concat());
    let no_two = "layers are compared by how they tell samples apart; set two at least,";
    for (words, expected) in [
        (
            ["freeze.policy=egeria", "freeze.probe=0"],
            "`egeria` compares layers by these samples; set some, such as 256".to_owned(),
        ),
        (["freeze.policy=cka", "freeze.probe=1"], format!("{no_two} such as 256")),
        (["trace.observe=full", "freeze.probe=1"], format!("{no_two} or 0 for none")),
    ] {
        let error = configure(&words).err().unwrap();
        assert_eq!((error.to_string(), error.exit_code()), (format!("`freeze.probe`: {expected}"), 2));
    }
    for words in [["freeze.policy=cka", "freeze.probe=2"], ["freeze.policy=none", "freeze.probe=1"]] {
        assert!(configure(&words).is_ok(), "{words:?}");
    }
}

spfde_data::parameters! {
    /// The first block freezes once its plasticity has halved.
    struct Halved in "freeze" {}
}

spfde_data::state! {
    /// The first and the latest plasticity of a block.
    struct Seen { first: Option<f64> = None, latest: f64 = 0.0, }
}

impl FreezeRule for Halved {
    const NAME: &'static str = "halved";
    const SUMMARY: &'static str = "a rule of a program";
    type State = Seen;

    fn reads_similarity(&self) -> bool {
        true
    }

    fn observe_similarity(&self, seen: &mut Seen, row: &SimilarityRow) {
        seen.first.get_or_insert(row.plasticity);
        seen.latest = row.plasticity;
    }

    fn decide(&self, _: &FreezeContext, judged: Judged<'_, Seen>, epoch: u32) -> Vec<Change> {
        let Seen { first, latest } = &judged.states[0];
        let halved = judged.prefix(epoch) == 0 && first.is_some_and(|first| *latest < 0.5 * first);
        let reason = || "it has halved".to_owned();
        halved.then(|| Change { block: 0, frozen: true, reason: reason() }).into_iter().collect()
    }
}

#[test]
fn a_rule_of_a_program_has_its_probe() {
    let bench = Bench::new(64);
    let own = experiment(&bench, &["freeze.policy=none"]).with_freeze(Halved {}).unwrap();
    let run = bench.record("run", &own, 2);
    run.assert_sound(EPOCHS);
    assert_eq!(changes(&run).len(), 1);
    let (record, experiment) = crate::replay::experiment(&run.path, &["freeze.policy=none"]).unwrap();
    let experiment = experiment.with_freeze(Halved {}).unwrap();
    let directory = bench.path("replay");
    let options = Options { directory: Some(directory.clone()), workers: 2, ..Options::default() };
    spfde::replay(&record, &experiment, options, spfde::wire).unwrap();
    let replay = Recorded::open(&directory);
    replay.assert_sound(EPOCHS);
    assert_eq!(changes(&run), changes(&replay));
    assert_eq!(costs(&run), costs(&replay));
    // Its name is known to nothing else here; under a policy that needs no probe nothing is asked for.
    let plain = settings(&["freeze.policy=none"]);
    let plain = record.experiment(plain.entries()).unwrap();
    assert!(plain.settings().probe.is_none() && experiment.settings().probe.is_some());
}

/// The rows of a stream by epoch.
fn by_epoch<R: Row>(run: &Recorded) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    run.rows::<R>().iter().for_each(|row| *counts.entry(row.order()[0]).or_default() += 1);
    counts
}

#[test]
fn the_stream_has_every_layer_frozen_or_not_from_the_second_window_on() {
    let bench = Bench::new(64);
    let run = bench.record("run", &experiment(&bench, POLICIES[1]), 2);
    let expected = (1..u64::from(EPOCHS)).map(|epoch| (epoch, 5)).collect();
    assert_eq!(by_epoch::<SimilarityRow>(&run), expected);
}
