//! Batch norm, channel by channel: from sums to coefficients, forward and backward (Ioffe and Szegedy 2015).

use crate::kernel::{Coefficients, Slope};
use crate::layer::{AffineState, BatchNorm};

/// Keeps the variance of a batch norm away from 0.
const EPSILON: f64 = 1e-5;

/// What follows a layer in one pass: `scale · z + shift` forward, and the slope of that backward.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    /// The shard's mean; 0 for a bias.
    pub(crate) mean: Vec<f32>,
    /// The shard's unbiased variance.
    pub(crate) variance: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    /// 1 / √(variance + ε) of the shard, in full precision.
    inverse_deviation: Vec<f64>,
    slope_gradient: Vec<f32>,
    slope_output: Vec<f32>,
    slope_constant: Vec<f32>,
    /// The sums of the settled gradients `g` behind the layer and of `g · (z − mean)`.
    pub(crate) gradient_moments: Vec<[f64; 2]>,
}

impl Statistics {
    pub(crate) fn new(channels: usize) -> Self {
        let zeros = vec![0.0; channels];
        Self {
            mean: zeros.clone(),
            variance: zeros.clone(),
            scale: zeros.clone(),
            shift: zeros.clone(),
            inverse_deviation: vec![0.0; channels],
            slope_gradient: zeros.clone(),
            slope_output: zeros.clone(),
            slope_constant: zeros,
            gradient_moments: vec![[0.0; 2]; channels],
        }
    }

    /// The coefficients that follow from parameters alone: a bias, or a batch norm with its running
    /// statistics.
    pub(crate) fn fix(&mut self, affine: &AffineState) {
        match affine {
            AffineState::Bias(bias) => {
                self.scale.fill(1.0);
                self.shift.copy_from_slice(&bias.values);
            }
            AffineState::BatchNorm(norm) => {
                for channel in 0..self.scale.len() {
                    let mean = f64::from(norm.running_mean[channel]);
                    let variance = f64::from(norm.running_variance[channel]);
                    self.set(norm, channel, mean, 1.0 / (variance + EPSILON).sqrt());
                }
            }
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
            self.set(norm, channel, mean, self.inverse_deviation[channel]);
        }
    }

    fn set(&mut self, norm: &BatchNorm, channel: usize, mean: f64, inverse_deviation: f64) {
        let scale = f64::from(norm.gain.values[channel]) * inverse_deviation;
        self.scale[channel] = scale as f32;
        self.shift[channel] = (f64::from(norm.offset.values[channel]) - mean * scale) as f32;
    }

    /// Takes the moments of `count` settled gradients, sets the slope of the outputs and writes the gradients
    /// of the parameters: gains, then offsets; or biases.
    pub(crate) fn differentiate(&mut self, affine: &AffineState, count: usize, gradients: &mut [f32]) {
        let count = count as f64;
        let channels = self.scale.len();
        for (channel, [sum, product]) in self.gradient_moments.iter().enumerate() {
            match affine {
                AffineState::Bias(_) => {
                    self.slope_gradient[channel] = 1.0;
                    self.slope_output[channel] = 0.0;
                    self.slope_constant[channel] = 0.0;
                    gradients[channel] = *sum as f32;
                }
                AffineState::BatchNorm(norm) => {
                    let inverse_deviation = self.inverse_deviation[channel];
                    let gain_gradient = product * inverse_deviation;
                    let slope = f64::from(norm.gain.values[channel]) * inverse_deviation;
                    let output = -slope * inverse_deviation * gain_gradient / count;
                    let mean = f64::from(self.mean[channel]);
                    self.slope_gradient[channel] = slope as f32;
                    self.slope_output[channel] = output as f32;
                    self.slope_constant[channel] = (-slope * sum / count - output * mean) as f32;
                    gradients[channel] = gain_gradient as f32;
                    gradients[channels + channel] = *sum as f32;
                }
            }
        }
    }

    /// Sets the slope of the outputs where the coefficients are constants.
    pub(crate) fn differentiate_fixed(&mut self) {
        self.slope_gradient.copy_from_slice(&self.scale);
        self.slope_output.fill(0.0);
        self.slope_constant.fill(0.0);
    }

    /// What the layer's output is multiplied by and added to, forward.
    pub(crate) fn coefficients(&self) -> Coefficients<'_> {
        Coefficients { scale: &self.scale, shift: &self.shift }
    }

    /// How the gradient of the layer's output follows, backward.
    pub(crate) fn slope(&self) -> Slope<'_> {
        Slope { gradient: &self.slope_gradient, output: &self.slope_output, constant: &self.slope_constant }
    }
}
