//! The operations of a network as they are written down: what a builder collects and what is stored as JSON.

use serde::{Deserialize, Serialize};

use crate::description::{Affine, BuildError, Description, InputShape};

/// A network as a list of operations, not yet checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    pub(crate) input: InputShape,
    pub(crate) classes: usize,
    /// The names of the blocks, front to back.
    pub(crate) blocks: Vec<String>,
    /// In forward order. Operation `i` writes value `i + 1`; value 0 is the network's input.
    pub(crate) operations: Vec<Step>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) operation: StepKind,
    /// The layer's name; empty where the operation is no layer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// The block it freezes with; the classifier's is the number of blocks.
    pub(crate) block: usize,
    /// The values that it reads.
    pub(crate) reads: Vec<usize>,
    /// Whether ReLU follows a layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) relu: bool,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum StepKind {
    Convolution { channels: usize, kernel: usize, stride: usize, padding: usize, affine: Affine },
    Linear { features: usize },
    Addition,
    MaxPool,
    AveragePool,
    Classifier,
}

impl StepKind {
    /// Whether it is a layer, and what layers and operations of its kind are called.
    pub(crate) fn word(&self) -> (bool, &'static str) {
        match self {
            Self::Convolution { .. } => (true, "convolution"),
            Self::Linear { .. } => (true, "linear"),
            Self::Classifier => (true, "classifier"),
            Self::Addition => (false, "addition"),
            Self::MaxPool => (false, "max pooling"),
            Self::AveragePool => (false, "average pooling"),
        }
    }
}

impl Step {
    /// What is wrong with it, the operation with number `number`.
    pub(super) fn error(&self, number: usize, problem: impl Into<String>) -> BuildError {
        let at = match self.operation.word() {
            (true, word) => format!("{word} `{}`", self.name),
            (false, word) => format!("{word} (operation {number})"),
        };
        BuildError { at, problem: problem.into() }
    }
}

impl Description {
    /// The network as JSON: a list of operations with their parameters.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(&self.recipe).expect("numbers and names can be written")
    }

    /// The network that [`Description::to_json`] has written.
    ///
    /// # Errors
    /// If the text is no such JSON, or a builder would refuse the operations.
    pub fn from_json(json: &str) -> Result<Self, BuildError> {
        let recipe: Recipe = serde_json::from_str(json).map_err(|error| BuildError {
            at: "the description of the network".into(),
            problem: format!("it cannot be read: {error}"),
        })?;
        recipe.describe()
    }
}

impl PartialEq for Description {
    fn eq(&self, other: &Self) -> bool {
        self.recipe == other.recipe
    }
}
