//! Granularity: in which units weights exist or are absent.
//!
//! A rule scores single weights; the [`Units`] of the layer say which of them go and come together. The score
//! of a unit is the L2 norm of its weights' scores, a random unit is drawn by its first weight.
//!
//! | `mask.granularity` | a unit | source |
//! |---|---|---|
//! | `unstructured` | one weight | |
//! | `block-4x1`, `block-1x2`, … | outputs × inputs at one position of the kernel | MEST's blocks, [arXiv 2110.14032](https://arxiv.org/abs/2110.14032) |
//! | `channel` | all weights of one output | |
//! | `pattern` | four of a 3×3 kernel, one of eight patterns; as many kernels for each output; at most 4/9 of the weights | MEST, the same |
//! | `2:4`, `n:m` | one weight; n of m consecutive inputs exist | |
//!
//! A layer that its units do not divide is masked weight by weight: an odd number of outputs under
//! `block-2x1`, a 1×1 kernel under `pattern`.

use spfde_data::{LayerShape, ParameterError};

use super::units::Units;

/// In which units weights exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// Every weight is a unit of its own.
    Unstructured,
    /// So many consecutive outputs and inputs at one position of the kernel.
    Block {
        /// Outputs.
        outputs: u32,
        /// Inputs.
        inputs: u32,
    },
    /// All weights of one output.
    Channel,
    /// Four weights of a 3×3 kernel in one of eight patterns; every output has as many kernels.
    Pattern,
    /// Of so many consecutive inputs at one position of the kernel some exist.
    Share {
        /// How many exist.
        existing: u32,
        /// Of how many.
        of: u32,
    },
}

impl Granularity {
    /// Reads the word of a configuration.
    ///
    /// # Errors
    /// If it names no granularity.
    pub fn parse(word: &str) -> Result<Self, ParameterError> {
        let pair = |text: &str, between: char| -> Option<(u32, u32)> {
            let (left, right) = text.split_once(between)?;
            Some((
                left.parse().ok().filter(|left| *left > 0)?,
                right.parse().ok().filter(|right| *right > 0)?,
            ))
        };
        let block = || pair(word.strip_prefix("block-")?, 'x');
        match (word, block(), pair(word, ':')) {
            ("unstructured", ..) => Ok(Self::Unstructured),
            ("channel", ..) => Ok(Self::Channel),
            ("pattern", ..) => Ok(Self::Pattern),
            (_, Some((outputs, inputs)), _) => Ok(Self::Block { outputs, inputs }),
            (_, _, Some((existing, of))) if existing < of => Ok(Self::Share { existing, of }),
            _ => Err(ParameterError::contradiction(
                "mask.granularity",
                format!(
                    "\"{word}\" names no units; it takes unstructured, block-4x1 (outputs x inputs), \
                     pattern, channel, or n:m such as 2:4"
                ),
            )),
        }
    }

    /// The sparsity, where units leave a choice.
    ///
    /// # Errors
    /// If n of m say another than the one asked for.
    pub(super) fn sparsity(self, asked: f64) -> Result<f64, ParameterError> {
        let Self::Share { existing, of } = self else { return Ok(asked) };
        let own = 1.0 - f64::from(existing) / f64::from(of);
        match (own - asked).abs() < 1e-6 {
            true => Ok(own),
            false => Err(ParameterError::contradiction(
                "mask.sparsity",
                format!("{existing}:{of} of `mask.granularity` is a sparsity of {own:.4}, not {asked}"),
            )),
        }
    }

    /// The units of a layer: single weights where these do not divide it.
    pub fn units(self, layer: &LayerShape) -> Units {
        let (outputs, inputs) = (layer.outputs as u32, layer.inputs as u32);
        let kernel = layer.weights() as u32 / (outputs * inputs);
        let divides = match self {
            Self::Unstructured | Self::Channel => true,
            Self::Block { outputs: high, inputs: wide } => {
                outputs.is_multiple_of(high) && inputs.is_multiple_of(wide)
            }
            Self::Pattern => layer.kernel == (3, 3) && kernel == 9,
            Self::Share { of, .. } => inputs.is_multiple_of(of),
        };
        Units { granularity: if divides { self } else { Self::Unstructured }, outputs, inputs, kernel }
    }
}
