//! Batch norm and bias, channel by channel: from sums to coefficients, forward and backward (Ioffe and
//! Szegedy 2015).

use crate::kernel::{Channel, Stored};
use crate::layer::{AffineState, BatchNorm};
use crate::operation::Pass;
use crate::workspace::Moments;

/// Keeps the variance of a batch norm away from 0.
const EPSILON: f64 = 1e-5;

impl<S: Stored> Pass<'_, S> {
    /// Whether the parameters of `layer` get gradients.
    pub(crate) fn is_trained(&self, layer: usize) -> bool {
        !self.fixed.contains(self.description.architecture.layers[layer].block)
    }

    /// Whether `layer` normalises by the shard's own statistics.
    pub(crate) fn measures(&self, layer: usize) -> bool {
        matches!(self.layers[layer].affine, AffineState::BatchNorm(_)) && self.is_trained(layer)
    }

    /// Sets the moments of a layer to 0.
    pub(crate) fn clear_moments(&mut self, layer: usize) {
        self.workspace.moments[layer].iter_mut().for_each(|moments| moments.sums = [0.0; 2]);
    }

    /// Adds two lanes per channel of one group to the moments of a layer. Lanes without a sample are 0:
    /// packing has made the inputs, and so the outputs, and the gradients there 0.
    pub(crate) fn add_moments(&mut self, layer: usize, sums: &[f32]) {
        let lanes = self.lanes();
        for (sums, moments) in sums.chunks_exact(2 * lanes).zip(&mut self.workspace.moments[layer]) {
            for (lane, sum) in sums.chunks_exact(lanes).zip(&mut moments.sums) {
                *sum += lane.iter().map(|value| f64::from(*value)).sum::<f64>();
            }
        }
    }

    /// Numbers of each channel of the output of a layer in the shard.
    fn count(&self, layer: usize) -> f64 {
        (self.samples * self.description.layers[layer].geometry.output.positions()) as f64
    }

    /// Says how the outputs of layers that measure nothing are read: those with a bias, or with a batch norm
    /// that has its running statistics.
    pub(crate) fn fix(&mut self) {
        for layer in 0..self.layers.len() {
            if self.measures(layer) {
                continue;
            }
            for (number, channel) in self.workspace.channels[layer].iter_mut().enumerate() {
                match &self.layers[layer].affine {
                    AffineState::Bias(bias) => (channel.scale, channel.shift) = (1.0, bias.values[number]),
                    AffineState::BatchNorm(norm) => {
                        let variance = f64::from(norm.running_variance[number]);
                        let mean = f64::from(norm.running_mean[number]);
                        normalise(channel, norm, number, mean, 1.0 / (variance + EPSILON).sqrt());
                    }
                }
            }
        }
    }

    /// Measures the batch norm of a layer: its moments are the sums of the outputs and of their squares.
    pub(crate) fn measure(&mut self, layer: usize) {
        let AffineState::BatchNorm(norm) = &self.layers[layer].affine else { return };
        let count = self.count(layer);
        let channels = self.workspace.channels[layer].iter_mut().zip(&mut self.workspace.moments[layer]);
        for (number, (channel, moments)) in channels.enumerate() {
            let [sum, squares] = moments.sums;
            let mean = sum / count;
            let variance = (squares / count - mean * mean).max(0.0);
            channel.mean = mean as f32;
            channel.variance = (variance * count / (count - 1.0).max(1.0)) as f32;
            moments.inverse_deviation = 1.0 / (variance + EPSILON).sqrt();
            normalise(channel, norm, number, mean, moments.inverse_deviation);
        }
    }

    /// Sets the slopes of the outputs of a layer from the moments of its settled gradients, and writes what
    /// follows its weights in a part: gradients of gains, then of offsets, then the shard's share of means
    /// and variances; or gradients of biases; or nothing of a frozen layer, whose parameters are constants.
    pub(crate) fn differentiate(&mut self, layer: usize, part: &mut [f32]) {
        let (count, is_trained) = (self.count(layer), self.is_trained(layer));
        let (channels, moments) = (&mut self.workspace.channels[layer], &self.workspace.moments[layer]);
        for (number, (channel, moments)) in channels.iter_mut().zip(moments).enumerate() {
            let Moments { sums: [sum, product], inverse_deviation } = *moments;
            let slopes = match &self.layers[layer].affine {
                _ if !is_trained => (channel.scale, 0.0, 0.0),
                AffineState::Bias(_) => {
                    part[number] = sum as f32;
                    (1.0, 0.0, 0.0)
                }
                AffineState::BatchNorm(norm) => {
                    let gain_gradient = product * inverse_deviation;
                    let measured = [channel.mean, channel.variance].map(|number| self.share * number);
                    let numbers = [gain_gradient as f32, sum as f32, measured[0], measured[1]];
                    for (list, value) in numbers.into_iter().enumerate() {
                        part[list * norm.gain.values.len() + number] = value;
                    }
                    let slope = f64::from(norm.gain.values[number]) * inverse_deviation;
                    let output = -slope * inverse_deviation * gain_gradient / count;
                    let constant = -slope * sum / count - output * f64::from(channel.mean);
                    (slope as f32, output as f32, constant as f32)
                }
            };
            (channel.slope, channel.output_slope, channel.constant) = slopes;
        }
    }
}

/// Says how the outputs of a batch norm with this mean and deviation are read.
fn normalise(channel: &mut Channel, norm: &BatchNorm, number: usize, mean: f64, inverse_deviation: f64) {
    let scale = f64::from(norm.gain.values[number]) * inverse_deviation;
    let shift = f64::from(norm.offset.values[number]) - mean * scale;
    (channel.scale, channel.shift) = (scale as f32, shift as f32);
}
