//! A layer's state: its weights and what follows them, channel by channel.

use crate::description::{Affine, LayerDescription};
use crate::weights::Weights;

/// Trained numbers with their momenta.
#[derive(Clone, Debug)]
pub(crate) struct Trained {
    pub(crate) values: Vec<f32>,
    pub(crate) momenta: Vec<f32>,
}

impl Trained {
    fn new(count: usize, value: f32) -> Self {
        Self { values: vec![value; count], momenta: vec![0.0; count] }
    }
}

/// Batch norm (Ioffe and Szegedy 2015).
#[derive(Clone, Debug)]
pub(crate) struct BatchNorm {
    pub(crate) gain: Trained,
    pub(crate) offset: Trained,
    pub(crate) running_mean: Vec<f32>,
    pub(crate) running_variance: Vec<f32>,
}

/// The parameters that follow a layer.
#[derive(Clone, Debug)]
pub(crate) enum AffineState {
    BatchNorm(BatchNorm),
    Bias(Trained),
}

impl AffineState {
    /// What follows the weights of a layer in a part: so many lists, one number per channel each.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        match self {
            Self::BatchNorm(_) => &["gain gradient", "offset gradient", "mean", "variance"],
            Self::Bias(_) => &["bias gradient"],
        }
    }
}

/// The state of one layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) weights: Weights,
    pub(crate) affine: AffineState,
}

impl Layer {
    /// The layer as it is before the first step: dense, or masked and empty if its initial values are drawn
    /// for a `density`. Kernels have lanes of so many numbers.
    pub(crate) fn new(
        seed: u64,
        number: usize,
        description: &LayerDescription,
        lanes: usize,
        density: Option<f64>,
    ) -> Self {
        let channels = description.geometry.outputs();
        let affine = match description.geometry.convolution.affine {
            Affine::Bias => AffineState::Bias(Trained::new(channels, 0.0)),
            Affine::BatchNorm => AffineState::BatchNorm(BatchNorm {
                gain: Trained::new(channels, 1.0),
                offset: Trained::new(channels, 0.0),
                running_mean: vec![0.0; channels],
                running_variance: vec![1.0; channels],
            }),
        };
        Self { weights: Weights::new(seed, number, description.geometry.clone(), lanes, density), affine }
    }
}
