//! What a replay may choose, what the record fixes, and policies from outside the registry.

use spfde::Options;
use spfde_data::architecture::Architecture;
use spfde_data::parameter::ParameterError;
use spfde_data::rows::*;
use spfde_policy::freeze::{Change, FreezeContext, FreezeRule, Judged};
use spfde_policy::mask::{Distribution, MaskDelta, MaskRule, MaskUpdate, Targets};

use super::{experiment, replay_into, replayed};
use crate::support::{Bench, Recorded};

fn record(bench: &Bench, words: &[&str]) -> Recorded {
    bench.train("run", &[&["model.name=lenet5", "mask.sparsity=0.6", "train.epochs=5"], words].concat()).1
}

#[test]
fn what_the_record_fixes_cannot_be_chosen() {
    let bench = Bench::new(64);
    let run = record(&bench, &["sieve.policy=random", "sieve.interval=1"]);
    let refused = |words: &[&str]| experiment(&run.path, words).err().unwrap_or_else(|| panic!("{words:?}"));
    for word in ["train.epochs=6", "model.name=mlp", "train.shards=2", "trace.observe=full"] {
        let error = refused(&[word]);
        assert_eq!(error.exit_code(), 2, "{error}");
        let key = word.split_once('=').unwrap().0;
        assert!(error.to_string().starts_with(&format!("`{key}`: the run was recorded with ")), "{error}");
    }
    assert!(refused(&["sieve.fractoin=0.2"]).to_string().contains("did you mean `sieve.fraction`?"));
    assert!(refused(&["freeze.flops_reduction=0.9"]).to_string().contains("cannot be reached"));
    // As it was recorded is no change.
    experiment(&run.path, &["train.epochs=5"]).unwrap();
    // An inherited value that the newly chosen policy has no range for gives way to its default.
    let (_, chosen) = experiment(&run.path, &["sieve.policy=circular"]).unwrap();
    assert_eq!(chosen.configuration().values().integer("sieve.interval"), 2);
    assert_eq!(chosen.configuration().notes(), [""; 0]);
}

#[test]
fn a_replay_says_where_it_comes_from_and_is_none_to_replay() {
    let bench = Bench::new(64);
    let run = record(&bench, &[]);
    let (_, replay) = replayed(&bench, "replay", &run, &["seed=7"], 2);
    let source = replay.manifest.replay_of.clone().unwrap();
    let manifest = std::fs::read(run.path.join("manifest.json")).unwrap();
    assert_eq!(source.path, run.path.display().to_string());
    assert_eq!((source.manifest, source.epochs), (blake3::hash(&manifest).to_hex().to_string(), 5));
    assert!(replay.manifest.finished);
    assert!(replay.rows::<ScoreRow>().is_empty());
    let again = replay_into(&bench, "again", &replay, &[], 1).unwrap_err().to_string();
    assert!(again.contains("this is a replay itself, replay ") && again.contains("run instead"), "{again}");
}

#[test]
fn a_run_that_stopped_is_replayed_as_far_as_it_came() {
    let bench = Bench::new(64);
    let run = record(&bench, &[]);
    let mut manifest = run.manifest.clone();
    manifest.epochs_reached = 3;
    manifest.segments.retain(|segment| segment.epoch < 3);
    manifest.checkpoints.clear();
    (manifest.finished, manifest.stopped) = (false, Some("by the test".to_owned()));
    manifest.write(&run.path).unwrap();
    let stopped = Recorded::open(&run.path);
    let (found, replay) = replayed(&bench, "replay", &stopped, &[], 2);
    assert_eq!(found.epochs.len(), 3);
    assert_eq!(replay.manifest.stopped.as_deref(), Some("the record ends after 3 of 5 epochs"));
    let decided: Vec<SieveRow> = run.rows().into_iter().filter(|row: &SieveRow| row.epoch < 3).collect();
    assert!(replay.rows::<SieveRow>() == decided);
}

spfde_data::parameters! {
    /// Freezes the first block at epoch 2, whatever the norms.
    pub(super) struct Early in "freeze" {}
}

impl FreezeRule for Early {
    const NAME: &'static str = "early";
    const SUMMARY: &'static str = "the first block freezes at epoch 2";
    type State = ();

    fn decide(&self, _: &FreezeContext, _: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
        let due = (epoch == 2).then(|| Change { block: 0, frozen: true, reason: "early".to_owned() });
        due.into_iter().collect()
    }
}

#[test]
fn policies_from_outside_the_registry_replay_and_their_runs_ask_for_them() {
    let bench = Bench::new(64);
    let words = ["model.name=lenet5", "mask.sparsity=0.6", "train.epochs=5"];
    let live = bench.experiment(&words).with_freeze(Early {}).unwrap();
    let run = bench.record("run", &live, 2);
    let unknown = replay_into(&bench, "out", &run, &[], 1).unwrap_err();
    let message = unknown.to_string();
    assert!(
        message.starts_with("`freeze.policy`: the run's policy \"early\" is none of the registered"),
        "{message}"
    );
    assert_eq!(unknown.exit_code(), 2);
    // Replaced by a setting, or by the policy itself.
    replayed(&bench, "none", &run, &["freeze.policy=none"], 2);
    let (record, experiment) = experiment(&run.path, &[]).unwrap();
    let experiment = experiment.with_freeze(Early {}).unwrap();
    let options = Options { workers: 2, ..Options::default() };
    let found = spfde::replay(&record, &experiment, options, spfde::wire).unwrap();
    assert_eq!((found.directory, found.epochs), (None, super::costs(&run)));
}

spfde_data::parameters! {
    /// Panics when it is asked.
    struct Broken in "freeze" {}
}

impl FreezeRule for Broken {
    const NAME: &'static str = "broken";
    const SUMMARY: &'static str = "panics when it is asked";
    type State = ();

    fn decide(&self, _: &FreezeContext, _: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
        assert!(epoch < 3, "no answer for epoch {epoch}");
        Vec::new()
    }
}

#[test]
fn a_policy_that_panics_ends_the_replay_and_leaves_nothing() {
    let bench = Bench::new(64);
    let run = record(&bench, &[]);
    for workers in [1, 3] {
        let (record, experiment) = experiment(&run.path, &["freeze.policy=none"]).unwrap();
        let experiment = experiment.with_freeze(Broken {}).unwrap();
        let options = Options { directory: Some(bench.path("out")), workers, ..Options::default() };
        let error = spfde::replay(&record, &experiment, options, spfde::wire).unwrap_err();
        assert!(error.to_string().contains("no answer for epoch 3"), "{error}");
        assert_eq!(error.exit_code(), 1);
        assert!(!bench.path("out").exists());
    }
}

spfde_data::parameters! {
    /// Keeps as many weights as there are large ones: how many is not known before.
    struct ByMagnitude in "mask" {}
}

impl MaskRule for ByMagnitude {
    const NAME: &'static str = "by-magnitude";
    const SUMMARY: &'static str = "keeps the weights that are large";
    const SCHEDULED: bool = false;
    type State = ();

    fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        Targets::new(architecture, Distribution::Uniform, 0.5)
    }

    fn update(&self, _: &MaskUpdate<'_>, (): &mut ()) -> MaskDelta {
        MaskDelta::default()
    }
}

#[test]
fn a_mask_policy_whose_densities_depend_on_weights_cannot_be_costed() {
    let bench = Bench::new(64);
    let run = record(&bench, &[]);
    let (record, experiment) = experiment(&run.path, &["freeze.policy=none"]).unwrap();
    let experiment = experiment.with_mask(ByMagnitude {}).unwrap();
    let error = spfde::replay(&record, &experiment, Options::default(), spfde::wire).unwrap_err();
    assert!(
        error.to_string().starts_with("`mask.policy`: the densities of \"by-magnitude\" depend on weights"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 2);
}
