//! Sums of what a layer reads and of the gradients of what it puts out, over samples and positions: from them
//! follows which weights are likely to have great gradients (GSE, [arXiv
//! 2401.06898](https://arxiv.org/abs/2401.06898), section 3), without any gradient of a weight.
//!
//! They take as many additions as the layer has taps and outputs, times positions of its output: a dense
//! gradient takes their product.

use spfde_data::random::mix;

use crate::description::{Convolution, Geometry, Operation};
use crate::kernel::{PackedRow, Stored, pack};
use crate::operation::Pass;
use crate::shard::Sums;

/// Sets the layer of its keys of signs apart from the operations of dropout.
const SIGNS: u64 = 1 << 63;

/// Adds up over the shard what is under the windows of `operation`, by (input, kernel row, kernel column).
/// The sums of the gradients of its outputs follow; their slopes must be known. Lanes are added in f32,
/// their totals in f64. A precision other than f32 rounds none of them.
///
/// # Panics
/// If sums are signed and samples have no keys.
pub(crate) fn add_up<S: Stored>(pass: &Pass<'_, S>, operation: &Operation, kind: Sums, into: &mut [f32]) {
    let (layer, lanes) = (operation.layer(), pass.lanes());
    let geometry = &pass.description.layers[layer].geometry;
    let mut totals = vec![0.0; into.len() * lanes];
    let (taps, outputs) = totals.split_at_mut((into.len() - geometry.outputs()) * lanes);
    let mut row = vec![0.0; geometry.input.row().max(geometry.output.row()) * lanes];
    for group in 0..pass.groups {
        let factors = match kind {
            Sums::Magnitudes => Vec::new(),
            Sums::Signed => signs(pass, layer, group, geometry.output.positions()),
        };
        let sum = Sum { factors, lanes };
        for y in 0..geometry.output.height {
            pass.pack_gradient(layer, group, y, whole(&mut row, geometry.output.width));
            let channels = row.chunks_exact(geometry.output.width * lanes);
            for (total, pixels) in outputs.chunks_exact_mut(lanes).zip(channels) {
                let positions = y * geometry.output.width..;
                positions.zip(pixels.chunks_exact(lanes)).for_each(|(at, pixel)| sum.add(total, at, pixel));
            }
        }
        for y in 0..geometry.input.height {
            let signal = pass.signal_row(operation.reads[0], group, y);
            pack(pass.kernel, &signal, pass.mask(group), whole(&mut row, geometry.input.width));
            match geometry.is_linear {
                true => add_features(&sum, geometry, y, &row, taps),
                false => add_windows(&sum, geometry, y, &row, taps),
            }
        }
    }
    for (into, total) in into.iter_mut().zip(totals.chunks_exact(lanes)) {
        *into = total.iter().map(|number| f64::from(*number)).sum::<f64>() as f32;
    }
}

/// A whole row of pixels of such a width.
fn whole(row: &mut [f32], width: usize) -> PackedRow<'_> {
    PackedRow { lanes: row, start: 0, channel_step: width, pixel_step: 1 }
}

/// Adds the numbers of one row, each a feature of its own.
fn add_features(sum: &Sum, geometry: &Geometry, y: usize, row: &[f32], taps: &mut [f32]) {
    let (shape, lanes) = (geometry.input, sum.lanes);
    for (number, pixel) in row.chunks_exact(lanes).take(shape.row()).enumerate() {
        let (channel, x) = (number / shape.width, number % shape.width);
        let feature = (channel * shape.height + y) * shape.width + x;
        sum.add(&mut taps[feature * lanes..][..lanes], 0, pixel);
    }
}

/// Adds the pixels of one row to the taps of all windows that have them under them.
fn add_windows(sum: &Sum, geometry: &Geometry, y: usize, row: &[f32], taps: &mut [f32]) {
    let (input, output, lanes) = (geometry.input, geometry.output, sum.lanes);
    let Convolution { kernel, stride, padding, .. } = geometry.convolution;
    for ky in 0..kernel {
        let Some(above) = (y + padding).checked_sub(ky).filter(|above| above.is_multiple_of(stride)) else {
            continue;
        };
        let out = above / stride;
        if out >= output.height {
            continue;
        }
        for channel in 0..input.channels {
            for kx in 0..kernel {
                let tap = (channel * kernel + ky) * kernel + kx;
                let total = &mut taps[tap * lanes..][..lanes];
                for column in 0..output.width {
                    let x = (column * stride + kx).checked_sub(padding).filter(|x| *x < input.width);
                    let Some(x) = x else { continue };
                    let pixel = &row[(channel * input.width + x) * lanes..][..lanes];
                    sum.add(total, out * output.width + column, pixel);
                }
            }
        }
    }
}

/// How numbers are added.
struct Sum {
    /// The signs of positions of the output, lane by lane; none where magnitudes are added.
    factors: Vec<f32>,
    lanes: usize,
}

impl Sum {
    /// Adds the numbers of a pixel, for a position of the output.
    fn add(&self, total: &mut [f32], position: usize, pixel: &[f32]) {
        match self.factors.get(position * self.lanes..) {
            Some(signs) if !signs.is_empty() => {
                let terms = pixel.iter().zip(signs);
                total.iter_mut().zip(terms).for_each(|(total, (number, sign))| *total += number * sign);
            }
            _ => total.iter_mut().zip(pixel).for_each(|(total, number)| *total += number.abs()),
        }
    }
}

/// A sign for each position of the output and each sample of a group, keyed by the sample.
fn signs<S: Stored>(pass: &Pass<'_, S>, layer: usize, group: usize, positions: usize) -> Vec<f32> {
    assert!(!pass.noise.is_empty(), "signs are drawn by the keys of the samples");
    let lanes = pass.lanes();
    let keys: Vec<u64> = pass.noise.iter().skip(group * lanes).take(lanes).map(|noise| mix(*noise)).collect();
    let mut signs = vec![0.0; positions * lanes];
    for (position, signs) in signs.chunks_exact_mut(lanes).enumerate() {
        // Lanes without a sample have no key, and nothing to add.
        for (sign, key) in signs.iter_mut().zip(&keys) {
            let drawn = mix(mix(key ^ SIGNS ^ layer as u64) ^ (position / 64) as u64);
            *sign = if drawn >> (position % 64) & 1 == 0 { 1.0 } else { -1.0 };
        }
    }
    signs
}
