//! Labelled images in memory: bytes as stored, normalised only where a batch is built.

use std::sync::Arc;

use crate::Augmentation;

/// Labelled images of one shape, bytes in `(sample, channel, row, column)` order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// Colour planes: 1 for grey, 3 for RGB.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `len() · channels · height · width` bytes.
    pub pixels: Vec<u8>,
    /// The class of each image, from 0.
    pub labels: Vec<u16>,
}

impl Images {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Bytes of one image.
    pub fn stride(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The bytes of one image.
    pub fn image(&self, sample: usize) -> &[u8] {
        &self.pixels[sample * self.stride()..][..self.stride()]
    }
}

/// Maps a byte `p` of a channel to `p · scale + shift`: mean 0 and variance 1 over the training set.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// Per channel: 1 / standard deviation.
    pub scale: Vec<f32>,
    /// Per channel: − mean / standard deviation.
    pub shift: Vec<f32>,
}

impl Normalization {
    /// Measures the channels of `images` exactly, from a histogram of their bytes; a constant channel gets
    /// scale 1.
    pub fn of(images: &Images) -> Self {
        let plane = images.height * images.width;
        let mut histograms = vec![[0u64; 256]; images.channels];
        for (index, pixels) in images.pixels.chunks_exact(plane.max(1)).enumerate() {
            let histogram = &mut histograms[index % images.channels];
            pixels.iter().for_each(|pixel| histogram[usize::from(*pixel)] += 1);
        }
        let (mut scale, mut shift) = (Vec::new(), Vec::new());
        for histogram in histograms {
            let count = histogram.iter().sum::<u64>().max(1) as f64;
            let moment = |power: i32| {
                let sum: f64 =
                    histogram.iter().enumerate().map(|(p, n)| (p as f64).powi(power) * *n as f64).sum();
                sum / count
            };
            let mean = moment(1);
            let deviation = (moment(2) - mean * mean).max(0.0).sqrt();
            let deviation = if deviation > 0.0 { deviation } else { 1.0 };
            scale.push((1.0 / deviation) as f32);
            shift.push((-mean / deviation) as f32);
        }
        Self { scale, shift }
    }
}

/// A data set: what is trained on, what is tested on, and which bytes it was.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Name for people and for the manifest, such as `fashion-mnist`.
    pub name: String,
    /// Number of classes; labels are below it.
    pub classes: usize,
    /// Training images; sample `i` of the trace is image `i`.
    pub train: Arc<Images>,
    /// Test images.
    pub test: Arc<Images>,
    /// How bytes become activations, measured on the training images.
    pub normalization: Normalization,
    /// BLAKE3 of the content, in hexadecimal: tells one data set from another whatever its file.
    pub fingerprint: String,
    /// How its training images are varied unless a run says otherwise.
    pub augment: Augmentation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised_channels_have_mean_zero_and_variance_one() {
        let pixels: Vec<u8> = (0..2 * 2 * 12).map(|i| (i * 37 % 251) as u8).collect();
        let images = Images { channels: 2, height: 3, width: 4, pixels, labels: vec![0, 1] };
        let normalization = Normalization::of(&images);
        for channel in 0..2 {
            let values: Vec<f64> = (0..2)
                .flat_map(|sample| images.image(sample)[channel * 12..][..12].to_vec())
                .map(|p| {
                    f64::from(p) * f64::from(normalization.scale[channel])
                        + f64::from(normalization.shift[channel])
                })
                .collect();
            let mean = values.iter().sum::<f64>() / 24.0;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 24.0;
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        }
    }

    #[test]
    fn a_constant_channel_stays_finite() {
        let images = Images { channels: 1, height: 1, width: 2, pixels: vec![9, 9], labels: vec![0] };
        assert_eq!(Normalization::of(&images), Normalization { scale: vec![1.0], shift: vec![-9.0] });
    }
}
