//! `verify` finds a fresh replay sound, and forgeries of what only a replay has.

use spfde_data::rows::*;

use super::replayed;
use crate::support::Bench;
use crate::verification::{Change, assert_found, forge, found_after};

#[test]
fn forged_costs_and_counts_of_a_replay_are_found() {
    let bench = Bench::new(64);
    let words = ["model.name=lenet5", "mask.sparsity=0.6", "train.epochs=5", "freeze.flops_reduction=0.1"];
    let (_, run) = bench.train("run", &words);
    for (name, words) in [("own", &[][..]), ("scheduled", &["mask.sparsity=0.5"])] {
        let (_, replay) = replayed(&bench, name, &run, words, 1);
        let costs: [(&str, Change<Vec<CostRow>>); 4] = [
            ("is frozen, the freeze deltas say otherwise", |rows| rows[4].frozen = true),
            ("expected one for each layer", |rows| rows.truncate(3)),
            ("forward_flops is ", |rows| rows[2].forward_flops += 1),
            ("counted again", |rows| rows[2].nonzero -= 1),
        ];
        for (message, change) in costs {
            let findings = found_after(&replay, |replay| forge::<CostRow>(replay, 3, change));
            let message = if name == "own" && message == "counted again" {
                "the mask deltas add up to"
            } else {
                message
            };
            assert_found(name, &findings, &["epoch 4", message]);
        }
        let censored: [Change<Vec<CensoredRow>>; 3] =
            [|rows| rows[0].samples = 1000, |rows| rows[0].layers = 7, Vec::clear];
        for change in censored {
            let findings = found_after(&replay, |replay| forge::<CensoredRow>(replay, 2, change));
            assert_found(name, &findings, &["censored: epoch 3"]);
        }
        let findings = found_after(&replay, |replay| {
            forge::<EpochRow>(replay, 1, |rows| rows[0].test_accuracy = Some(0.9));
        });
        assert_found(name, &findings, &["epochs: epoch 2 has a loss or an accuracy"]);
        let findings =
            found_after(&replay, |replay| forge::<EpochRow>(replay, 1, |rows| rows[0].backward_flops += 2));
        assert_found(name, &findings, &["epochs: epoch 2: backward_flops is "]);
    }
}

#[test]
fn a_replay_that_lacks_a_stream_of_its_own_is_found() {
    let bench = Bench::new(64);
    let (_, run) = bench
        .train("run", &["model.name=lenet5", "mask.sparsity=0.6", "train.epochs=2", "freeze.policy=none"]);
    let (_, replay) = replayed(&bench, "replay", &run, &[], 1);
    for stream in REPLAY_STREAMS {
        let findings = found_after(&replay, |replay| {
            crate::verification::change_manifest(replay, |manifest| {
                manifest.segments.retain(|segment| segment.stream != stream);
            });
        });
        assert_found(stream, &findings, &["manifest.json", &format!("stream {stream} has no segment")]);
    }
}

#[test]
fn forged_observations_of_a_run_are_found() {
    let bench = Bench::new(64);
    let words = ["model.name=lenet5", "mask.sparsity=0.6", "train.epochs=5", "freeze.flops_reduction=0.1"];
    let experiment = bench.experiment(&[&words[..], &["trace.observe=full"]].concat());
    let run = bench.record("run", &experiment, 1);
    run.assert_sound(5);
    let observed: [Change<Vec<ScoreRow>>; 3] = [
        |rows| rows.truncate(rows.len() - 1),
        |rows| rows.push(rows[0].clone()),
        |rows| rows.iter_mut().for_each(|row| row.step = 0),
    ];
    for change in observed {
        let findings = found_after(&run, |run| {
            forge::<ScoreRow>(run, 2, |rows| {
                rows.sort_by_key(|row| !row.trained);
                let mut observed = rows.split_off(rows.iter().position(|row| !row.trained).unwrap());
                change(&mut observed);
                rows.extend(observed);
            });
        });
        assert_found("scores", &findings, &["scores: epoch 3", "the observed samples are not those outside"]);
    }
    let frozen = run.rows::<FreezeRow>()[0].clone();
    let findings = found_after(&run, |run| {
        forge::<GradientRow>(run, frozen.epoch, |rows| {
            rows.retain(|row| row.trained || row.step != 0);
        });
    });
    assert_found("norms", &findings, &["gradients:", "step 1", "has 0 rows, expected 1"]);
    let findings = found_after(&run, |run| forge::<EpochRow>(run, 3, |rows| rows[0].observed_flops -= 1));
    assert_found("cost", &findings, &["epochs: epoch 4: observed_flops is "]);
}
