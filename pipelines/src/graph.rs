//! A network as a graph of operations, as `architecture.json` has it: for those who write other formats.

use serde::Deserialize;
use spfde_model::Description;

/// The operations of a network.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Graph {
    /// In forward order: operation i reads values and writes value i + 1; value 0 is the image.
    pub(crate) operations: Vec<Step>,
    /// Channels, rows and columns of each value.
    #[serde(skip)]
    pub(crate) shapes: Vec<[usize; 3]>,
}

/// An operation.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Step {
    operation: serde_json::Value,
    /// The layer's name; empty where the operation is no layer.
    #[serde(default)]
    pub(crate) name: String,
    /// The values that it reads.
    pub(crate) reads: Vec<usize>,
    /// Whether ReLU follows.
    #[serde(default)]
    pub(crate) relu: bool,
}

/// The numbers of a convolution.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Convolution {
    /// Rows and columns of the kernel.
    pub(crate) kernel: i64,
    /// Pixels between neighbouring windows.
    pub(crate) stride: i64,
    /// Rows and columns of zeros around the input.
    pub(crate) padding: i64,
    /// Runs of channels that have nothing to do with each other.
    #[serde(default = "one")]
    pub(crate) groups: i64,
}

fn one() -> i64 {
    1
}

impl Graph {
    /// The graph of a network.
    pub(crate) fn of(description: &Description) -> Self {
        let read = serde_json::from_str(&description.to_json());
        let graph: Self = read.expect("a description is a list of operations");
        Self { shapes: description.shapes().collect(), ..graph }
    }

    /// The operations that are layers, in the order of the architecture's layers.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &Step> {
        self.operations.iter().filter(|step| !step.name.is_empty())
    }
}

impl Step {
    /// What it does, such as `convolution` or `max_pool`.
    pub(crate) fn word(&self) -> &str {
        let named = self.operation.as_object().and_then(|object| object.keys().next());
        named.map(String::as_str).or(self.operation.as_str()).unwrap_or("nothing")
    }

    /// The numbers of a convolution; `None` if it is none.
    pub(crate) fn convolution(&self) -> Option<Convolution> {
        let numbers = self.operation.get("convolution")?;
        Some(Deserialize::deserialize(numbers).expect("a convolution has these numbers"))
    }

    /// A number of an operation that is no layer, such as the `heads` of an attention.
    pub(crate) fn number(&self, name: &str) -> usize {
        let number = self.operation[self.word()][name].as_u64();
        number.expect("the operation has this number") as usize
    }

    /// Whether batch norm follows, in place of a bias.
    pub(crate) fn has_batch_norm(&self) -> bool {
        self.operation["convolution"]["affine"] == "batch_norm"
    }
}
