//! By which probabilities candidates are drawn: the three distributions of guided stochastic exploration
//! ([arXiv 2401.06898](https://arxiv.org/abs/2401.06898), section 3), and draws from them.

use spfde_data::LayerShape;

spfde_data::choice! {
    /// By which probabilities inputs and outputs of candidates are drawn, independently of each other.
    pub enum Sampling {
        /// All alike.
        Uniform = "uniform",
        /// An input in proportion to the sum of |activation| over samples and positions, an output in
        /// proportion to the sum of |gradient|: their product bounds the gradient of the weight.
        Grabo = "grabo",
        /// In proportion to the magnitudes of sums with random signs, the same for inputs and outputs: the
        /// product of the two sums has the gradient of the weight as its mean.
        Graest = "graest",
    }
}

impl Sampling {
    /// How many sums a layer needs for it: one for each tap and each output. Each takes one addition for each
    /// sample and position of the output.
    pub fn sums(self, shape: &LayerShape) -> u64 {
        match self {
            Self::Uniform => 0,
            Self::Grabo | Self::Graest => (shape.taps() + shape.outputs) as u64,
        }
    }
}

/// Numbers from 0 on, each of which is drawn in proportion to the magnitude of its sum.
pub(super) struct Wheel {
    /// The sum of the magnitudes up to each number, that of the number among them. None if they say nothing:
    /// then all numbers are alike.
    ends: Vec<f64>,
}

impl Wheel {
    /// A number for each of these sums.
    pub(super) fn new(sums: &[f32]) -> Self {
        let mut end = 0.0;
        let magnitudes = sums.iter().map(|sum| f64::from(sum.abs()));
        let ends: Vec<f64> = magnitudes
            .map(|magnitude| {
                end += magnitude;
                end
            })
            .collect();
        Self { ends: if end > 0.0 && end.is_finite() { ends } else { Vec::new() } }
    }

    /// The number for a draw from 0 to below 2^32, of `count` numbers.
    pub(super) fn turn(&self, drawn: u64, count: u64) -> u64 {
        match self.ends.last() {
            Some(all) => {
                let place = drawn as f64 / 2_f64.powi(32) * all;
                self.ends.partition_point(|end| *end <= place) as u64
            }
            None => (drawn * count) >> 32,
        }
    }
}
