//! Batch norm, channel by channel: from sums to coefficients, forward and backward (Ioffe and Szegedy 2015).

use crate::kernel::Channel;
use crate::lane::Lane;
use crate::layer::{AffineState, BatchNorm};

/// Keeps the variance of a batch norm away from 0.
const EPSILON: f64 = 1e-5;

/// Sets how outputs are read where that follows from parameters alone: a bias, or a batch norm with its
/// running statistics.
pub(crate) fn fix(channels: &mut [Channel], affine: &AffineState) {
    for (number, channel) in channels.iter_mut().enumerate() {
        match affine {
            AffineState::Bias(bias) => (channel.scale, channel.shift) = (1.0, bias.values[number]),
            AffineState::BatchNorm(norm) => {
                let variance = f64::from(norm.running_variance[number]);
                let mean = f64::from(norm.running_mean[number]);
                normalise(channel, norm, number, mean, 1.0 / (variance + EPSILON).sqrt());
            }
        }
    }
}

/// Adds two lanes per channel of one group to the channel's moments. Lanes without a sample are 0: packing
/// has made the inputs, and so the outputs, and the gradients there 0.
pub(crate) fn fold(channels: &mut [Channel], sums: &[Lane]) {
    for (sums, channel) in sums.chunks_exact(2).zip(channels) {
        for (lane, moment) in sums.iter().zip(&mut channel.moments) {
            *moment += lane.0.iter().map(|value| f64::from(*value)).sum::<f64>();
        }
    }
}

/// Measures a batch norm: its moments are the sums of `count` outputs and of their squares.
pub(crate) fn measure(channels: &mut [Channel], norm: &BatchNorm, count: usize) {
    let count = count as f64;
    for (number, channel) in channels.iter_mut().enumerate() {
        let [sum, squares] = channel.moments;
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.0);
        channel.mean = mean as f32;
        channel.variance = (variance * count / (count - 1.0).max(1.0)) as f32;
        channel.inverse_deviation = 1.0 / (variance + EPSILON).sqrt();
        normalise(channel, norm, number, mean, channel.inverse_deviation);
    }
}

/// Sets how the outputs of a batch norm with this mean and deviation are read.
fn normalise(channel: &mut Channel, norm: &BatchNorm, number: usize, mean: f64, inverse_deviation: f64) {
    let scale = f64::from(norm.gain.values[number]) * inverse_deviation;
    let shift = f64::from(norm.offset.values[number]) - mean * scale;
    (channel.scale, channel.shift) = (scale as f32, shift as f32);
}

/// Sets the slopes of outputs from the moments of `count` settled gradients, and writes what follows the
/// weights of the layer in a part: gradients of gains, then of offsets, then this `share` of means and
/// variances; or gradients of biases.
pub(crate) fn differentiate(
    channels: &mut [Channel],
    affine: &AffineState,
    count: usize,
    share: f32,
    part: &mut [f32],
) {
    let (all, count) = (channels.len(), count as f64);
    for (number, channel) in channels.iter_mut().enumerate() {
        let [sum, product] = channel.moments;
        match affine {
            AffineState::Bias(_) => {
                part[number] = sum as f32;
                (channel.slope, channel.output_slope, channel.constant) = (1.0, 0.0, 0.0);
            }
            AffineState::BatchNorm(norm) => {
                let gain_gradient = product * channel.inverse_deviation;
                let numbers =
                    [gain_gradient as f32, sum as f32, share * channel.mean, share * channel.variance];
                for (list, value) in numbers.into_iter().enumerate() {
                    part[list * all + number] = value;
                }
                let slope = f64::from(norm.gain.values[number]) * channel.inverse_deviation;
                let output = -slope * channel.inverse_deviation * gain_gradient / count;
                let constant = -slope * sum / count - output * f64::from(channel.mean);
                channel.slope = slope as f32;
                channel.output_slope = output as f32;
                channel.constant = constant as f32;
            }
        }
    }
}
