//! What no policy of today does, but rows may say: layers thaw, and only the weight of a sample changes.

use spfde_data::rows::*;
use spfde_policy::count;

use super::{Change, EPOCHS, assert_found, forge, found_after, sound_run};
use crate::support::Recorded;

/// Lets all layers that are frozen by the last epoch thaw as it begins; every stream agrees, but for those in
/// `left_out`.
fn thaw(
    run: &Recorded,
    nonzero: &[u32],
    architecture: &spfde_data::architecture::Architecture,
    left_out: &str,
) {
    let last = EPOCHS - 1;
    let frozen: Vec<u16> = run.rows::<FreezeRow>().iter().map(|row| row.layer).collect();
    let told = |stream: &str| stream != left_out;
    if told("freezes") {
        forge::<FreezeRow>(run, last, |rows| {
            rows.extend(frozen.iter().map(|layer| FreezeRow {
                epoch: last,
                step: 0,
                layer: *layer,
                diff: -1,
                reason: "forged".to_owned(),
            }));
        });
    }
    if told("layers") {
        let run = Recorded::open(&run.path);
        forge::<LayerRow>(&run, last, |rows| rows.iter_mut().for_each(|row| row.frozen = false));
    }
    if told("gradients") {
        let run = Recorded::open(&run.path);
        forge::<GradientRow>(&run, last, |rows| {
            let steps: std::collections::BTreeSet<u32> = rows.iter().map(|row| row.step).collect();
            for step in steps {
                let row = |layer: &u16| GradientRow {
                    step,
                    layer: *layer,
                    nonzero: nonzero[usize::from(*layer)],
                    ..rows[0].clone()
                };
                let added: Vec<_> = frozen.iter().map(row).collect();
                rows.extend(added);
            }
        });
    }
    if told("epochs") {
        let run = Recorded::open(&run.path);
        forge::<EpochRow>(&run, last, |rows| {
            rows[0].frozen_layers = 0;
            rows[0].backward_flops = count(architecture, nonzero, 0, rows[0].active_samples).backward;
        });
    }
}

#[test]
fn a_thaw_is_sound_if_all_streams_agree_on_it() {
    let (bench, run) = sound_run();
    let words = ["model.name=lenet5", "train.epochs=5"];
    let architecture = std::sync::Arc::clone(&bench.experiment(&words).settings().plan.architecture);
    let nonzero: Vec<u32> = run.epoch::<LayerRow>(EPOCHS - 1).iter().map(|row| row.nonzero).collect();
    let sound = found_after(&run, |run| thaw(run, &nonzero, &architecture, ""));
    assert_eq!(sound, [""; 0]);
    let cases = [
        ("freezes", "layers:"),
        ("layers", "the freeze deltas say otherwise"),
        ("gradients", "has 0 rows, expected 1"),
        ("epochs", "backward_flops is"),
    ];
    for (stream, part) in cases {
        let findings = found_after(&run, |run| thaw(run, &nonzero, &architecture, stream));
        assert_found(stream, &findings, &[part, &format!("epoch {EPOCHS}")]);
    }
    let first = run.rows::<FreezeRow>()[0].epoch;
    let findings = found_after(&run, |run| {
        forge::<FreezeRow>(run, first, |rows| rows[0].diff = -1);
    });
    assert_found("before it froze", &findings, &["freezes:", "thaws, but is not frozen"]);
}

#[test]
fn two_rows_of_a_sample_change_its_weight() {
    let (_bench, run) = sound_run();
    let epoch = 2;
    let changed: Vec<u32> = run.epoch::<SieveRow>(epoch).iter().map(|row| row.sample).collect();
    let active = run.epoch::<ScoreRow>(epoch);
    let sample = active.iter().map(|row| row.sample).find(|sample| !changed.contains(sample)).unwrap();
    let after = |pairs: &[(i8, f32)]| {
        found_after(&run, |run| {
            forge::<SieveRow>(run, epoch, |rows| {
                let row = |(diff, weight): &(i8, f32)| SieveRow {
                    epoch,
                    sample,
                    diff: *diff,
                    key: 0,
                    weight: *weight,
                };
                rows.extend(pairs.iter().map(row));
            });
        })
    };
    assert_eq!(after(&[(-1, 1.0), (1, 2.0)]), [""; 0]);
    let cases: [(&str, &[(i8, f32)]); 5] = [
        ("not −1, then +1", &[(-1, 1.0), (1, 2.0), (-1, 2.0)]),
        ("not −1, then +1", &[(1, 2.0), (-1, 1.0)]),
        ("with weight 2", &[(-1, 2.0), (1, 2.0)]),
        ("with weight inf", &[(-1, 1.0), (1, f32::INFINITY)]),
        ("active samples", &[(-1, 1.0)]),
    ];
    for (part, pairs) in cases {
        assert_found(part, &after(pairs), &[part, &format!("epoch {}", epoch + 1)]);
    }
    // It leaves later with the weight that it had before.
    let leaver = run.epoch::<SieveRow>(4).into_iter().find(|row| row.diff < 0).unwrap();
    let reweigh: Change<Vec<SieveRow>> = |rows| rows.iter_mut().for_each(|row| row.weight = 3.0);
    let entered = run.rows::<SieveRow>().into_iter().rfind(|row| row.sample == leaver.sample && row.diff > 0);
    let findings = found_after(&run, |run| forge::<SieveRow>(run, entered.unwrap().epoch, reweigh));
    assert_found("left with another weight", &findings, &["sieves: epoch 5", "does not fit its state"]);
}
