//! Initial weights, and masks that change.

use super::*;
use crate::description::{Affine, InputShape};

fn weights() -> Weights {
    let shape = InputShape { channels: 3, height: 6, width: 6 };
    let convolution =
        Convolution { channels: 4, kernel: 3, stride: 1, padding: 1, groups: 1, affine: Affine::Bias };
    Weights::new(5, 2, Geometry::convolution(shape, convolution), 8, None)
}

#[test]
fn initial_weights_depend_on_the_mask_through_the_density_alone() {
    let dense = weights();
    let mut masked = weights();
    masked.mask(0.25);
    masked.apply_mask(&[], &[3, 50, 107], Growth::Initial);
    for (position, index) in [3, 50, 107].into_iter().enumerate() {
        // A quarter of the density doubles the deviation.
        assert!((masked.values[position] - 2.0 * dense.values[index]).abs() < 1e-6);
    }
    let mean_square = dense.values.iter().map(|value| value * value).sum::<f32>() / 108.0;
    assert!((mean_square * 27.0 / 2.0 - 1.0).abs() < 0.5, "{mean_square}");
}

#[test]
fn deltas_merge_and_regrown_weights_begin_without_momentum() {
    let mut weights = weights();
    weights.mask(0.1);
    weights.keep_squares(true);
    weights.apply_mask(&[], &[1, 5, 9, 100], Growth::Zero);
    assert_eq!(weights.squares, [0.0; 4]);
    weights.values = vec![1.0, 2.0, 3.0, 4.0];
    weights.squares = vec![0.1, 0.2, 0.3, 0.4];
    weights.momenta = vec![10.0, 20.0, 30.0, 40.0];
    weights.apply_mask(&[5, 100], &[0, 5, 107], Growth::Zero);
    assert_eq!(weights.indices, [0, 1, 5, 9, 107]);
    assert_eq!(weights.values, [0.0, 1.0, 0.0, 3.0, 0.0]);
    assert_eq!(weights.momenta, [0.0, 10.0, 0.0, 30.0, 0.0]);
    assert_eq!(weights.squares, [0.0, 0.1, 0.0, 0.3, 0.0]);
}

#[test]
#[should_panic(expected = "exists already")]
fn a_weight_cannot_grow_twice() {
    let mut weights = weights();
    weights.mask(0.1);
    weights.apply_mask(&[], &[1, 5], Growth::Zero);
    weights.apply_mask(&[1], &[5], Growth::Zero);
}

#[test]
#[should_panic(expected = "dropped weights")]
fn a_weight_that_does_not_exist_cannot_be_dropped() {
    let mut weights = weights();
    weights.mask(0.1);
    weights.apply_mask(&[7], &[], Growth::Zero);
}
