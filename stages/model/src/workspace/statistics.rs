//! Batch norm, channel by channel: from sums to coefficients, forward and backward (Ioffe and Szegedy 2015).

use crate::kernel::{Coefficients, Slope};
use crate::layer::{AffineState, BatchNorm};

/// Keeps the variance of a batch norm away from 0.
const EPSILON: f64 = 1e-5;

/// What follows a layer in one pass, channel by channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    /// The shard's mean; 0 for a bias.
    pub(crate) mean: Vec<f32>,
    /// The shard's unbiased variance.
    pub(crate) variance: Vec<f32>,
    /// What the layer's output is multiplied by and added to, forward.
    pub(crate) coefficients: Vec<Coefficients>,
    /// How the gradient of the layer's output follows, backward.
    pub(crate) slopes: Vec<Slope>,
    /// 1 / √(variance + ε) of the shard, in full precision.
    inverse_deviation: Vec<f64>,
    /// The sums of the settled gradients `g` behind the layer and of `g · (z − mean)`.
    pub(crate) gradient_moments: Vec<[f64; 2]>,
}

impl Statistics {
    pub(crate) fn new(channels: usize) -> Self {
        Self {
            mean: vec![0.0; channels],
            variance: vec![0.0; channels],
            coefficients: vec![Coefficients::default(); channels],
            slopes: vec![Slope::default(); channels],
            inverse_deviation: vec![0.0; channels],
            gradient_moments: vec![[0.0; 2]; channels],
        }
    }

    /// The coefficients that follow from parameters alone: a bias, or a batch norm with its running
    /// statistics.
    pub(crate) fn fix(&mut self, affine: &AffineState) {
        for (channel, coefficients) in self.coefficients.iter_mut().enumerate() {
            *coefficients = match affine {
                AffineState::Bias(bias) => Coefficients { scale: 1.0, shift: bias.values[channel] },
                AffineState::BatchNorm(norm) => {
                    let variance = f64::from(norm.running_variance[channel]);
                    let mean = f64::from(norm.running_mean[channel]);
                    normalising(norm, channel, mean, 1.0 / (variance + EPSILON).sqrt())
                }
            };
        }
    }

    /// The coefficients of a batch norm from the sums of `count` outputs and of their squares.
    pub(crate) fn measure(&mut self, norm: &BatchNorm, moments: &[[f64; 2]], count: usize) {
        let count = count as f64;
        for (channel, [sum, squares]) in moments.iter().enumerate() {
            let mean = sum / count;
            let variance = (squares / count - mean * mean).max(0.0);
            self.mean[channel] = mean as f32;
            self.variance[channel] = (variance * count / (count - 1.0).max(1.0)) as f32;
            self.inverse_deviation[channel] = 1.0 / (variance + EPSILON).sqrt();
            self.coefficients[channel] = normalising(norm, channel, mean, self.inverse_deviation[channel]);
        }
    }

    /// Takes the moments of `count` settled gradients, sets the slope of the outputs and writes the gradients
    /// of the parameters: gains, then offsets; or biases.
    pub(crate) fn differentiate(&mut self, affine: &AffineState, count: usize, gradients: &mut [f32]) {
        let count = count as f64;
        let channels = self.slopes.len();
        for (channel, [sum, product]) in self.gradient_moments.iter().enumerate() {
            self.slopes[channel] = match affine {
                AffineState::Bias(_) => {
                    gradients[channel] = *sum as f32;
                    Slope { gradient: 1.0, output: 0.0, constant: 0.0 }
                }
                AffineState::BatchNorm(norm) => {
                    let inverse_deviation = self.inverse_deviation[channel];
                    let gain_gradient = product * inverse_deviation;
                    gradients[channel] = gain_gradient as f32;
                    gradients[channels + channel] = *sum as f32;
                    let slope = f64::from(norm.gain.values[channel]) * inverse_deviation;
                    let output = -slope * inverse_deviation * gain_gradient / count;
                    let constant = -slope * sum / count - output * f64::from(self.mean[channel]);
                    Slope { gradient: slope as f32, output: output as f32, constant: constant as f32 }
                }
            };
        }
    }

    /// Sets the slope of the outputs where the coefficients are constants.
    pub(crate) fn differentiate_fixed(&mut self) {
        for (slope, coefficients) in self.slopes.iter_mut().zip(&self.coefficients) {
            *slope = Slope { gradient: coefficients.scale, output: 0.0, constant: 0.0 };
        }
    }
}

/// The coefficients of a batch norm with this mean and deviation.
fn normalising(norm: &BatchNorm, channel: usize, mean: f64, inverse_deviation: f64) -> Coefficients {
    let scale = f64::from(norm.gain.values[channel]) * inverse_deviation;
    let shift = f64::from(norm.offset.values[channel]) - mean * scale;
    Coefficients { scale: scale as f32, shift: shift as f32 }
}
