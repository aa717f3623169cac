//! A run replayed under its own policies gives its own decisions and costs, bit for bit, on any number of
//! workers.

use spfde_data::files::data_set;
use spfde_data::rows::*;
use spfde_data::table::Row;
use spfde_policy::Registry;

use super::{costs, replay_into, replayed};
use crate::support::{Bench, Recorded};

/// Enough epochs for every policy to decide several times, on a network with enough blocks to freeze.
const RUN: [&str; 12] = [
    "model.name=lenet5",
    "train.epochs=7",
    "mask.policy=mest-ems",
    "mask.sparsity=0.6",
    "mask.interval=1",
    "sieve.fraction=0.3",
    "freeze.flops_reduction=0.12",
    "freeze.threshold=1",
    "freeze.patience=1",
    "freeze.similarity=0",
    "freeze.tolerance=1",
    "data.batch_size=16",
];

fn assert_same_rows<R: Row + std::fmt::Debug + PartialEq>(live: &Recorded, replayed: &Recorded, what: &str) {
    let (live, replayed) = (live.rows::<R>(), replayed.rows::<R>());
    let different = live.iter().zip(&replayed).find(|(live, replayed)| live != replayed);
    assert_eq!(different, None, "{what}: {}", R::STREAM);
    assert_eq!(live.len(), replayed.len(), "{what}: rows of {}", R::STREAM);
}

/// Records a run on two workers, replays it on 1, 2 and 4, and compares.
fn assert_identity(bench: &Bench, words: &[&str]) -> Recorded {
    // It becomes the name of a directory.
    let name: String = words.join(" ").chars().take(100).collect();
    let experiment = bench.experiment(&[&RUN[..], words].concat());
    let live = bench.record(&format!("live {name}"), &experiment, 2);
    live.assert_sound(7);
    for workers in [1, 2, 4] {
        let what = format!("{name} on {workers} workers");
        let (found, replay) = replayed(bench, &what, &live, &[], workers);
        assert_same_rows::<SieveRow>(&live, &replay, &what);
        assert_same_rows::<FreezeRow>(&live, &replay, &what);
        assert_same_rows::<FreezeEvidenceRow>(&live, &replay, &what);
        assert_same_rows::<MaskRow>(&live, &replay, &what);
        assert_eq!(costs(&live), costs(&replay), "{what}");
        assert!(found.censored.iter().all(|row| (row.samples, row.layers, row.norms) == (0, 0, 0)), "{what}");
        let config = |run: &Recorded| std::fs::read_to_string(run.path.join("config.toml")).unwrap();
        assert_eq!(config(&live), config(&replay), "{what}");
    }
    live
}

#[test]
fn a_network_in_toml_is_replayed_without_it() {
    let bench = Bench::new(90);
    let live = assert_identity(&bench, &crate::support::DESCRIBED);
    assert!(!live.rows::<FreezeRow>().is_empty());
}

fn every_policy(observe: &str) {
    let bench = Bench::new(90);
    let registry = Registry::default();
    // Neither family knows what the other decides.
    let pairs = |sieve: &'static str| ["progressive", "gradient-norm"].map(|freeze| (sieve, freeze));
    let sieves = registry.sieve.entries.iter().flat_map(|sieve| pairs(sieve.name));
    let freezes = registry.freeze.entries.iter().map(|freeze| ("circular", freeze.name));
    let pairs: std::collections::BTreeSet<_> = sieves.chain(freezes).collect();
    for (sieve, freeze) in pairs {
        let words = [
            format!("sieve.policy={sieve}"),
            format!("freeze.policy={freeze}"),
            format!("trace.observe={observe}"),
        ];
        let words = words.each_ref().map(String::as_str);
        let (live, own) = (assert_identity(&bench, &words), [&RUN[..], &words].concat());
        let decided = live.rows::<SieveRow>().iter().any(|row| row.epoch > 0);
        assert_eq!(decided, sieve != "none", "{sieve}");
        assert_eq!(live.rows::<FreezeRow>().is_empty(), freeze == "none", "{freeze}");
        let by_data = bench.experiment(&own).settings().policies.freeze.may_freeze(6);
        assert_eq!(!live.rows::<FreezeEvidenceRow>().is_empty(), by_data, "{freeze}");
    }
}

#[test]
fn every_registered_sieve_and_freeze_policy_replays_as_it_was() {
    every_policy("active");
}

#[test]
fn every_registered_sieve_and_freeze_policy_replays_as_it_was_when_everything_was_observed() {
    every_policy("full");
}

#[test]
fn every_sieve_that_cuts_by_class_replays_as_it_was_with_the_classes_of_its_data_set() {
    let bench = Bench::skewed(90);
    let data = bench.data_word();
    for sieve in Registry::default().sieve.entries {
        let words =
            [&data, &format!("sieve.policy={}", sieve.name), "sieve.stratify=true", "freeze.policy=none"];
        let live = assert_identity(&bench, &words);
        if sieve.name == "none" {
            continue;
        }
        // Its own classes, its own decisions: those without classes are others.
        let together =
            replayed(&bench, &format!("{} together", sieve.name), &live, &["sieve.stratify=false"], 2);
        assert_ne!(together.1.rows::<SieveRow>(), live.rows::<SieveRow>(), "{}", sieve.name);
        let sizes =
            |run: &Recorded| run.rows::<EpochRow>().iter().map(|row| row.active_samples).collect::<Vec<_>>();
        if sieve.name != "infobatch" {
            assert_eq!(sizes(&together.1), sizes(&live), "{}", sieve.name);
        }
    }
}

#[test]
fn without_the_data_set_of_the_run_no_replay_cuts_by_class() {
    let bench = Bench::new(60);
    let (_, live) = bench.train("live", &[&RUN[..], &[&bench.data_word()]].concat());
    replayed(&bench, "there", &live, &["sieve.stratify=true"], 1);
    let refused = || match replay_into(&bench, "refused", &live, &["sieve.stratify=true"], 1) {
        Err(error) => (error.exit_code(), error.to_string()),
        Ok(_) => panic!("there are no classes"),
    };
    std::fs::rename(bench.path("data"), bench.path("moved")).unwrap();
    let (code, gone) = refused();
    let parts = [
        "`sieve.stratify`: the class of every sample is in the data set of the run, data.path = ",
        "put the data set back",
    ];
    assert!(code == 2 && parts.iter().all(|part| gone.contains(part)), "{code} {gone}");
    data_set::write(&Bench::skewed(60).data(), &bench.path("data")).unwrap();
    let (code, other) = refused();
    assert!(code == 2 && other.contains("it is now `skewed patterns`"), "{code} {other}");
    replayed(&bench, "together", &live, &[], 1);
}

#[test]
fn the_costs_of_every_mask_policy_follow_from_the_recorded_deltas_and_from_its_schedule() {
    let bench = Bench::new(60);
    for mask in Registry::default().mask.entries {
        let policy = format!("mask.policy={}", mask.name);
        let live = assert_identity(&bench, &[&policy]);
        if !bench.experiment(&[&policy]).settings().policies.mask.is_scheduled() {
            continue;
        }
        // Asked for by name, the same policy is costed by its schedule, which training has kept to.
        let (_, scheduled) = replayed(&bench, &format!("scheduled {policy}"), &live, &[&policy], 2);
        assert_eq!(costs(&live), costs(&scheduled), "{policy}");
        assert!(scheduled.rows::<MaskRow>().is_empty(), "{policy}: nobody knows which weights these are");
    }
}

#[test]
fn a_residual_network_recorded_on_many_workers_replays_as_it_was() {
    let bench = Bench::new(96);
    let words =
        ["model.name=resnet20", "train.epochs=5", "mask.interval=1", "freeze.flops_reduction=0.1", "seed=3"];
    let experiment = bench.experiment(&words);
    let live = bench.record("live", &experiment, 4);
    let (_, replay) = replayed(&bench, "replay", &live, &[], 3);
    assert_same_rows::<SieveRow>(&live, &replay, "resnet20");
    assert_same_rows::<FreezeRow>(&live, &replay, "resnet20");
    assert_eq!(costs(&live), costs(&replay));
}
