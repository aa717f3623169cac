//! Rows of any values come back as they were.

use proptest::prelude::*;

use super::*;
use crate::rows::{EpochRow, FreezeRow, GradientRow, LayerRow, SieveRow, TimingRow};

fn round_trip<R: Row + PartialEq + std::fmt::Debug>(rows: Vec<R>) -> Result<(), TestCaseError> {
    let run = tempfile::tempdir().unwrap();
    let segment = write(run.path(), 7, 1, &rows, 5);
    prop_assert_eq!(segment.rows, rows.len() as u64);
    prop_assert_eq!(&rehashed(run.path(), &segment), &segment);
    prop_assert_eq!(read_segment::<R>(run.path(), &segment).unwrap(), rows);
    Ok(())
}

/// A test that rows of any values come back as they were.
macro_rules! round_trips {
    ($($test:ident: $row:ident { $($field:ident: $value:expr),+ })+) => {
        proptest! {
            #![proptest_config(ProptestConfig {
                cases: 24,
                failure_persistence: None,
                ..ProptestConfig::default()
            })]
            $(#[test]
            fn $test(rows in prop::collection::vec(
                ($($value,)+).prop_map(|($($field,)+)| $row { epoch: 7, $($field),+ }), 0..20))
            {
                round_trip(rows)?;
            })+
        }
    };
}

round_trips! {
    scores_round_trip: ScoreRow {
        step: any::<u32>(), sample: any::<u32>(), loss: any::<f32>(), correct: any::<bool>(),
        error_norm: any::<f32>(), trained: any::<bool>()
    }
    gradients_round_trip: GradientRow {
        step: any::<u32>(), layer: any::<u16>(), l2: any::<f32>(), l1: any::<f32>(), trained: any::<bool>(),
        nonzero: any::<u32>()
    }
    masks_round_trip: MaskRow {
        step: any::<u32>(), layer: any::<u16>(), index: any::<u32>(), diff: any::<i8>()
    }
    freezes_round_trip: FreezeRow {
        step: any::<u32>(), layer: any::<u16>(), diff: any::<i8>(), reason: ".*"
    }
    sieves_round_trip: SieveRow {
        sample: any::<u32>(), diff: any::<i8>(), key: any::<u32>(), weight: any::<f32>()
    }
    timings_round_trip: TimingRow {
        worker: any::<u16>(), stage: ".*", seconds: any::<f64>(), calls: any::<u64>()
    }
    layers_round_trip: LayerRow {
        layer: any::<u16>(), name: ".*", weights: any::<u32>(), nonzero: any::<u32>(), frozen: any::<bool>(),
        gradient_sum_l1: any::<f64>(), gradient_sum_l2: any::<f64>(), weight_l2: any::<f64>(),
        weight_change_l1: any::<f64>()
    }
}

type Measured = (Option<f64>, Option<f64>, Option<f64>, Option<f64>, f64, [Option<f64>; 3]);

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn epochs_round_trip(rows in prop::collection::vec(
        (any::<Measured>(), any::<[u64; 7]>(), any::<u32>(), any::<u16>()),
        0..20,
    )) {
        let row = |(measured, counts, active, frozen_layers): &(Measured, [u64; 7], u32, u16)| EpochRow {
            epoch: 7,
            train_loss: measured.0,
            train_accuracy: measured.1,
            test_loss: measured.2,
            test_accuracy: measured.3,
            learning_rate: measured.4,
            active_samples: *active,
            nonzero: counts[0],
            frozen_layers: *frozen_layers,
            forward_flops: counts[1],
            backward_flops: counts[2],
            observed_flops: counts[3],
            dense_flops: counts[4],
            activation_bytes: counts[5],
            extra_flops: counts[6],
            seconds: measured.5[0],
            cached_flops: measured.5[0].map(f64::to_bits),
            validation_loss: measured.5[1],
            validation_accuracy: measured.5[2],
        };
        round_trip(rows.iter().map(row).collect())?;
    }
}

#[test]
fn floats_keep_every_bit() {
    let run = tempfile::tempdir().unwrap();
    let bits = [0x7FC0_0001, 0xFF80_0000, 0x8000_0000, 0x0000_0001, 0x7F80_0001];
    let row = |bits| ScoreRow { loss: f32::from_bits(bits), ..scores(1)[0].clone() };
    let segment = write(run.path(), 3, 0, &bits.map(row), 2);
    let read = read_segment::<ScoreRow>(run.path(), &segment).unwrap();
    assert_eq!(read.iter().map(|row| row.loss.to_bits()).collect::<Vec<_>>(), bits);
}
