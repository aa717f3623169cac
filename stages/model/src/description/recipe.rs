//! The operations of a network as they are written down: what a builder collects and what is stored as JSON.

use serde::{Deserialize, Serialize};

use crate::description::{BuildError, InputShape};

/// A network as a list of operations, not yet checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    pub(crate) input: InputShape,
    pub(crate) classes: usize,
    /// The names of the blocks, front to back.
    pub(crate) blocks: Vec<String>,
    /// In forward order. Operation `i` writes value `i + 1`; value 0 is the network's input.
    pub(crate) operations: Vec<Operation>,
}

/// A step of the forward pass. It reads outputs of layers normalised and rectified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    #[serde(rename = "operation")]
    pub(crate) kind: Kind,
    /// The layer's name; empty where the operation is no layer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// The block it freezes with; the classifier's is the number of blocks.
    pub(crate) block: usize,
    /// The values that it reads: an addition two, of which the second is the shortcut, a sum two, a
    /// concatenation several, all others one.
    pub(crate) reads: Vec<usize>,
    /// Whether ReLU follows a layer's batch norm or bias.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) relu: bool,
    /// The value that it writes. This and the next field are set when the network is described.
    #[serde(skip)]
    pub(crate) output: usize,
    /// The number of the layer that it is, if it is one.
    #[serde(skip)]
    pub(crate) layer: Option<usize>,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Kind {
    Convolution(Convolution),
    /// Matrix product.
    Linear {
        features: usize,
    },
    /// ReLU of the sum of two values.
    Addition,
    /// Greatest of each window of 2 · 2 pixels.
    MaxPool,
    /// Greatest of each window of 3 · 3 pixels, two pixels apart, of the input with a pixel around it.
    WideMaxPool,
    /// Mean over all pixels.
    AveragePool,
    /// The channels of several values behind one another.
    Concatenation,
    /// Gaussian error linear unit.
    Gelu,
    /// The sum of two values.
    Sum,
    /// Mean 0 and variance 1 of the channels of each pixel.
    LayerNorm,
    /// Squares of so many rows and columns of pixels as the channels of one.
    Patches {
        side: usize,
    },
    /// Attention of so many heads among the pixels, whose channels are queries, keys and values.
    Attention {
        heads: usize,
    },
    /// Zeros in place of a share of the numbers, while training.
    Dropout {
        millionths: u32,
    },
    /// The linear layer whose outputs are the logits.
    Classifier,
}

/// A convolution, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Convolution {
    /// Output channels.
    pub(crate) channels: usize,
    /// Rows and columns of the kernel: odd, up to 7.
    pub(crate) kernel: usize,
    /// Pixels between neighbouring windows: 1 or 2.
    pub(crate) stride: usize,
    /// Rows and columns of zeros around the input.
    pub(crate) padding: usize,
    /// Runs of channels, as many of the input as of the output, that have nothing to do with each other.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) groups: usize,
    pub(crate) affine: Affine,
}

impl Convolution {
    /// With stride 1, as many zeros around the input as keep the extent, and a bias.
    pub(super) fn new(channels: usize, kernel: usize) -> Self {
        Self { channels, kernel, stride: 1, padding: kernel / 2, groups: 1, affine: Affine::Bias }
    }
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

/// What follows a layer, channel by channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Affine {
    /// Batch norm with gain and offset.
    BatchNorm,
    /// A bias.
    Bias,
}

impl Kind {
    /// Whether it makes one pixel of several.
    pub(crate) fn is_pool(self) -> bool {
        matches!(self, Self::MaxPool | Self::WideMaxPool | Self::AveragePool)
    }
}

impl Operation {
    /// Whether it is a layer, and what layers and operations of its kind are called.
    pub(crate) fn word(&self) -> (bool, &'static str) {
        match self.kind {
            Kind::Convolution(_) => (true, "convolution"),
            Kind::Linear { .. } => (true, "linear"),
            Kind::Classifier => (true, "classifier"),
            Kind::Addition => (false, "addition"),
            Kind::MaxPool => (false, "max pooling"),
            Kind::WideMaxPool => (false, "wide max pooling"),
            Kind::AveragePool => (false, "average pooling"),
            Kind::Concatenation => (false, "concatenation"),
            Kind::Gelu => (false, "GELU"),
            Kind::Sum => (false, "sum"),
            Kind::LayerNorm => (false, "layer norm"),
            Kind::Patches { .. } => (false, "patches"),
            Kind::Attention { .. } => (false, "attention"),
            Kind::Dropout { .. } => (false, "dropout"),
        }
    }

    /// What profiles call it: a layer by its name.
    pub(crate) fn label(&self) -> &str {
        if self.layer.is_some() { &self.name } else { self.word().1 }
    }

    /// The number of the layer that it is.
    ///
    /// # Panics
    /// If it is no layer.
    pub(crate) fn layer(&self) -> usize {
        self.layer.expect("convolutions and linear layers have a number")
    }

    /// What is wrong with it, the operation with number `number`.
    pub(super) fn error(&self, number: usize, problem: impl Into<String>) -> BuildError {
        let at = match self.word() {
            (true, word) => format!("{word} `{}`", self.name),
            (false, word) => format!("{word} (operation {number})"),
        };
        BuildError { at, problem: problem.into(), operation: Some(number) }
    }
}
