//! Costs against formulas by hand.

use super::*;
use crate::example;

#[test]
fn shortcut_and_first_convolution_behind_the_prefix_need_no_gradient_of_their_input() {
    let network = example::residual(&[2, 4], 1, 4);
    // stem, block1.convolution1, block1.convolution2, block2.convolution1, .convolution2, .shortcut,
    // classifier
    let nonzero = [10, 20, 30, 40, 50, 60, 70];
    // 4 · 4 positions in the first stage, 2 · 2 in the second, 1 for the classifier; three samples.
    let forward: Vec<u64> = nonzero
        .iter()
        .zip([16, 16, 16, 4, 4, 4, 1])
        .map(|(nonzero, positions)| 2 * 3 * u64::from(*nonzero) * positions)
        .collect();
    let passes = [[1, 2, 2, 2, 2, 2, 2], [0, 0, 0, 1, 2, 1, 2], [0, 0, 0, 0, 0, 0, 1]];
    for (frozen, passes) in passes.iter().enumerate() {
        let cost = count(&network, &nonzero, frozen, 3);
        assert_eq!(cost.forward, forward.iter().sum::<u64>());
        let backward: u64 = forward.iter().zip(passes).map(|(forward, passes)| forward * passes).sum();
        assert_eq!(cost.backward, backward, "{frozen} frozen blocks");
    }
}

#[test]
fn a_dense_residual_network_costs_what_its_formulas_say() {
    // ResNet-32 of double width: 5 blocks of 2 convolutions in each of 3 stages, multiply-adds by hand.
    let stem = 32 * 9 * 1024;
    let first = 10 * 32 * 32 * 9 * 1024;
    let second = (64 * 32 * 9 + 9 * 64 * 64 * 9 + 64 * 32) * 256;
    let third = (128 * 64 * 9 + 9 * 128 * 128 * 9 + 128 * 64) * 64;
    let forward = 2 * (stem + first + second + third + 1280) * 50_000;
    let network = example::residual(&[32, 64, 128], 5, 32);
    let dense: Vec<u32> = network.layers.iter().map(|layer| layer.weights() as u32).collect();
    let cost = count(&network, &dense, 0, 50_000);
    assert_eq!(cost.forward, forward);
    assert_eq!(cost.backward, 2 * forward - 2 * stem * 50_000);
}

#[test]
fn behind_frozen_blocks_the_classifier_needs_no_gradient_of_its_input() {
    let mut network = Architecture::clone(&example::residual(&[2], 1, 4));
    let classifier = network.layers.last_mut().unwrap();
    classifier.reads_block_input = false;
    assert_eq!(count(&network, &[0, 0, 0, 5], 0, 1), Cost { forward: 10, backward: 20 });
    assert_eq!(count(&network, &[0, 0, 0, 5], 1, 1), Cost { forward: 10, backward: 10 });
}

#[test]
fn a_block_counts_as_frozen_wherever_it_is() {
    let frozen = [Some(2), None, Some(1)].map(Spans::from_start);
    let in_epochs = (0..4).map(|epoch| frozen_blocks(&frozen, epoch).to_string());
    assert_eq!(in_epochs.collect::<Vec<_>>(), ["0", "0+2", "1+2", "1+2"]);
}

#[test]
fn a_frozen_block_behind_one_that_trains_hands_the_gradient_on_and_no_more() {
    let network = example::residual(&[2, 4], 2, 4);
    // stem, two convolutions of blocks 0 and 1, three of block 2 with its shortcut, two of block 3, the
    // classifier; one sample.
    let nonzero = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    let positions = [16, 16, 16, 16, 16, 4, 4, 4, 4, 4, 1];
    let flops: Vec<u64> = nonzero.iter().zip(positions).map(|(n, p)| 2 * u64::from(*n) * p).collect();
    // Which blocks are frozen, and how many passes each layer has: one of its weights, one of its input.
    let cases = [
        ([false, true, false, false], [1, 2, 2, 1, 1, 2, 2, 2, 2, 2, 2]),
        ([false, false, true, false], [1, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2]),
        ([false, false, false, true], [1, 2, 2, 2, 2, 2, 2, 2, 1, 1, 2]),
        ([true, false, true, false], [0, 0, 0, 1, 2, 1, 1, 1, 2, 2, 2]),
        ([true, true, false, true], [0, 0, 0, 0, 0, 1, 2, 1, 1, 1, 2]),
    ];
    for (blocks, passes) in cases {
        let frozen: FrozenBlocks = blocks.into_iter().collect();
        let by_layer = count_layers(&network, &nonzero, &frozen, 1);
        let backward: Vec<u64> = by_layer.iter().map(|cost| cost.backward).collect();
        let expected: Vec<u64> = flops.iter().zip(passes).map(|(flops, passes)| flops * passes).collect();
        assert_eq!(backward, expected, "{frozen}");
        assert!(by_layer.iter().map(|cost| cost.forward).eq(flops.iter().copied()));
        // What observing adds makes up the two passes that each layer but the stem has.
        let all = 2 * flops.iter().sum::<u64>() - flops[0];
        assert_eq!(observed(&network, &nonzero, &frozen, 1, 0), all - expected.iter().sum::<u64>());
    }
}

#[test]
fn rows_freeze_and_thaw_blocks_wherever_they_are() {
    let network = example::residual(&[2, 4], 1, 4);
    let row = |layer, diff| FreezeRow { epoch: 1, step: 0, layer, diff, reason: String::new() };
    let after = |frozen: &FrozenBlocks, rows: &[FreezeRow]| frozen_blocks_after(&network, frozen, rows);
    let last = after(&FrozenBlocks::default(), &[row(3, 1), row(4, 1), row(5, 1)]).unwrap();
    assert_eq!(last.to_string(), "0+1");
    let both = after(&last, &[row(0, 1), row(1, 1), row(2, 1)]).unwrap();
    assert_eq!(both, FrozenBlocks::from(2));
    assert_eq!(after(&both, &[row(0, -1), row(1, -1), row(2, -1)]), Ok(last));
    assert!(after(&both, &[row(6, 1)]).is_err(), "the classifier never freezes");
}

#[test]
fn sums_stop_at_the_largest_number() {
    let huge = Cost { forward: u64::MAX, backward: 1 };
    assert_eq!((huge + huge).total(), u64::MAX);
    assert_eq!(huge.reduction_from(&huge), 0.0);
    assert_eq!(Cost::default().reduction_from(&Cost::default()), 0.0);
}
