//! A layer's state: its weights and what follows them, channel by channel.

use crate::description::{Affine, LayerDescription};
use crate::weights::Weights;

/// Trained numbers with what the optimiser keeps of them.
#[derive(Clone, Debug)]
pub(crate) struct Trained {
    pub(crate) values: Vec<f32>,
    pub(crate) momenta: Vec<f32>,
    /// As many, or none if the optimiser keeps none.
    pub(crate) squares: Vec<f32>,
}

impl Trained {
    fn new(count: usize, value: f32) -> Self {
        Self { values: vec![value; count], momenta: vec![0.0; count], squares: vec![] }
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

    /// The lists that are trained.
    pub(crate) fn trained(&mut self) -> Vec<&mut Trained> {
        match self {
            Self::BatchNorm(norm) => vec![&mut norm.gain, &mut norm.offset],
            Self::Bias(bias) => vec![bias],
        }
    }
}

/// The state of one layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) weights: Weights,
    pub(crate) affine: AffineState,
    /// Updates so far, counted if the optimiser keeps squares.
    pub(crate) steps: u32,
}

impl Layer {
    /// Keeps squares for the optimiser, from 0, or none.
    pub(crate) fn keep_squares(&mut self, keeps: bool) {
        self.weights.keep_squares(keeps);
        for trained in self.affine.trained() {
            trained.squares = vec![0.0; if keeps { trained.values.len() } else { 0 }];
        }
    }

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
        let weights = Weights::new(seed, number, description.geometry.clone(), lanes, density);
        Self { weights, affine, steps: 0 }
    }
}
