//! From stored values to numbers that a network takes.

use serde::{Deserialize, Serialize};

use super::{Images, Pixels};

/// Maps a value `p` of a channel, or of a column of a table, to `p · scale + shift`: mean 0 and variance 1
/// over the training set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// Per channel, or per column of a table: 1 / standard deviation.
    pub scale: Vec<f32>,
    /// Per channel, or per column of a table: − mean / standard deviation.
    pub shift: Vec<f32>,
}

impl Normalization {
    /// Of the mean and the standard deviation of each channel; deviations are above 0.
    pub fn from_moments(moments: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let (scale, shift) = moments
            .into_iter()
            .map(|(mean, deviation)| ((1.0 / deviation) as f32, (-mean / deviation) as f32))
            .unzip();
        Self { scale, shift }
    }

    /// The mean and the standard deviation of each channel: [`Normalization::from_moments`] makes the same
    /// bits of them.
    pub fn moments(&self) -> Vec<(f64, f64)> {
        let moments = |(scale, shift): (&f32, &f32)| {
            let deviation = 1.0 / f64::from(*scale);
            (-f64::from(*shift) * deviation, deviation)
        };
        self.scale.iter().zip(&self.shift).map(moments).collect()
    }

    /// Measures the channels of `images` exactly, from a histogram of their bytes, or the columns of a table
    /// in double precision; a constant one gets scale 1.
    ///
    /// # Panics
    /// If the pixels are not in memory.
    pub fn of(images: &Images) -> Self {
        match &images.pixels {
            Pixels::U8(pixels) => {
                let mut histograms = Histograms::new(images.channels, images.height * images.width);
                histograms.add(pixels);
                histograms.normalization()
            }
            Pixels::F32(values) => Self::of_columns(values, images.stride()),
            Pixels::Stored(_) => panic!("the pixels are not in memory"),
        }
    }

    fn of_columns(values: &[f32], width: usize) -> Self {
        let count = (values.len() / width.max(1)).max(1) as f64;
        let mean_of = |of: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; width];
            values.iter().enumerate().for_each(|(at, value)| {
                sums[at % width] += of(at % width, f64::from(*value));
            });
            sums.iter_mut().for_each(|sum| *sum /= count);
            sums
        };
        let mean = mean_of(&|_, value| value);
        let variance = mean_of(&|column, value| (value - mean[column]).powi(2));
        // Below that a column is constant but for rounding.
        let is_varied = |mean: f64, deviation: f64| deviation > 1e-12 * mean.abs().max(f64::MIN_POSITIVE);
        Self::from_moments(mean.iter().zip(variance).map(|(mean, variance)| {
            let deviation = variance.sqrt();
            (*mean, if is_varied(*mean, deviation) { deviation } else { 1.0 })
        }))
    }
}

/// How often each byte occurs in each channel of images.
#[derive(Clone, Debug)]
pub struct Histograms {
    channels: Vec<[u64; 256]>,
    /// Bytes of a channel of an image.
    plane: usize,
}

impl Histograms {
    /// Of no images of so many channels, each of `plane` bytes.
    pub fn new(channels: usize, plane: usize) -> Self {
        Self { channels: vec![[0; 256]; channels], plane: plane.max(1) }
    }

    /// Counts the bytes of whole images.
    pub fn add(&mut self, pixels: &[u8]) {
        for (index, pixels) in pixels.chunks_exact(self.plane).enumerate() {
            let place = index % self.channels.len();
            pixels.iter().for_each(|pixel| self.channels[place][usize::from(*pixel)] += 1);
        }
    }

    /// The normalization of the images that were counted.
    pub fn normalization(&self) -> Normalization {
        Normalization::from_moments(self.channels.iter().map(|histogram| {
            let count = histogram.iter().sum::<u64>().max(1) as f64;
            let moment = |power: i32| {
                let sum: f64 =
                    histogram.iter().enumerate().map(|(p, n)| (p as f64).powi(power) * *n as f64).sum();
                sum / count
            };
            let mean = moment(1);
            let deviation = (moment(2) - mean * mean).max(0.0).sqrt();
            (mean, if deviation > 0.0 { deviation } else { 1.0 })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised_channels_have_mean_zero_and_variance_one() {
        let pixels = (0..2 * 2 * 12).map(|i| (i * 37 % 251) as u8).collect();
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
    fn moments_and_back_are_the_same_bits() {
        let number = |bits: u64| (bits >> 40) as f32 / (1 << 24) as f32;
        let drawn = |place: u64| crate::draw(1, crate::Purpose::Synthetic, 0, place);
        let scale: Vec<f32> = (0..5000).map(|place| 1e-5 + number(drawn(place))).collect();
        let shift = (5000..10_000).map(|place| 1000.0 * number(drawn(place)) - 500.0).collect();
        let normalization = Normalization { scale, shift };
        assert_eq!(Normalization::from_moments(normalization.moments()), normalization);
    }

    #[test]
    fn a_constant_channel_stays_finite() {
        let images =
            Images { channels: 1, height: 1, width: 2, pixels: vec![9_u8, 9].into(), labels: vec![0] };
        assert_eq!(Normalization::of(&images), Normalization { scale: vec![1.0], shift: vec![-9.0] });
    }

    #[test]
    fn columns_of_a_table_have_their_own_scales() {
        let pixels = vec![1.0_f32, 0.1, 1e6, 3.0, 0.1, 3e6].into();
        let table = Images { channels: 1, height: 1, width: 3, pixels, labels: vec![0, 1] };
        let expected = Normalization { scale: vec![1.0, 1.0, 1e-6], shift: vec![-2.0, -0.1, -2.0] };
        assert_eq!(Normalization::of(&table), expected);
        assert_eq!(table.selected(&[1]).pixels, Pixels::F32(vec![3.0, 0.1, 3e6]));
    }
}
