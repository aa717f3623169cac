//! What a network is made of: values, the operations that produce them, layers and blocks.

use std::collections::BTreeSet;
use std::sync::Arc;

use spfde_data::architecture::Architecture;

mod assemble;
mod builder;
mod front;
mod geometry;
mod node;
mod recipe;

pub use builder::{Logits, NetworkBuilder};
pub use geometry::InputShape;
pub(crate) use geometry::{Cell, Geometry, PANEL, Packed, STRIP, square};
pub use node::Node;
use recipe::Recipe;
pub(crate) use recipe::{Affine, Convolution, Kind, Operation};

/// Why operations make no network: a number out of range, shapes that do not fit together, a value that no
/// operation in front has written, something that the kernels cannot compute, or text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct BuildError {
    /// The operation, `the network`, or `the description of the network`.
    pub at: String,
    /// What is wrong and what would be right.
    pub problem: String,
    /// The number of the operation in forward order, from 0, if it is one.
    pub operation: Option<usize>,
}

/// A convolution or linear layer; its name and shape stand in the architecture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerDescription {
    /// How its kernels find inputs and outputs.
    pub(crate) geometry: Geometry,
    /// The value that it writes.
    pub(crate) value: usize,
    /// The value of the residual addition with ReLU of which it is a term, if it is one: then the gradient is
    /// that of the sum. Otherwise the gradient arrives in that of the layer's own value.
    pub(crate) sum: Option<usize>,
}

/// How far the backward pass goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Down to the block with this number: those in front are skipped.
    Block(usize),
    /// Through all blocks and on to the network's input.
    Input,
}

/// A network without its weights: what a [`NetworkBuilder`] builds. It can be written as JSON and read again.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The operations that all else follows from.
    recipe: Recipe,
    pub(crate) architecture: Arc<Architecture>,
    /// The shapes of the stored values: of the network's input, then of what each operation writes. Outputs
    /// of layers are stored as they are before batch norm or bias.
    pub(crate) shapes: Vec<InputShape>,
    /// For each value the last block that may be the first to train so that its gradient is computed. None if
    /// no layer has a part in it: what has no weights only hands gradients on.
    reaches: Vec<Option<usize>>,
    pub(crate) layers: Vec<LayerDescription>,
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
        let recipe = serde_json::from_str(json).map_err(|error| BuildError {
            at: "the description of the network".into(),
            problem: format!("it cannot be read: {error}"),
            operation: None,
        })?;
        Self::of(recipe)
    }

    /// The layers and blocks.
    pub fn architecture(&self) -> &Arc<Architecture> {
        &self.architecture
    }

    /// The images that it takes, and how many classes it tells apart.
    pub fn task(&self) -> (InputShape, usize) {
        (self.recipe.input, self.recipe.classes)
    }

    /// Channels, rows and columns of every value: of the images, then of what each operation writes.
    pub fn shapes(&self) -> impl Iterator<Item = [usize; 3]> + '_ {
        self.shapes.iter().map(|shape| [shape.channels, shape.height, shape.width])
    }

    /// The operations in forward order; operation `i` writes value `i + 1`.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.recipe.operations
    }

    /// The operation that writes `value`; none for the network's input.
    pub(crate) fn producer(&self, value: usize) -> Option<&Operation> {
        value.checked_sub(1).map(|number| &self.recipe.operations[number])
    }

    /// The value whose channels are the logits, before the classifier's bias.
    pub(crate) fn logits(&self) -> usize {
        self.recipe.operations.len()
    }

    /// Whether the gradient of `value`, and so the backward pass through the operation that writes it, is
    /// computed.
    pub(crate) fn is_active(&self, value: usize, reach: Reach) -> bool {
        match reach {
            Reach::Block(first) => self.reaches[value].is_some_and(|last| last >= first),
            Reach::Input => true,
        }
    }

    /// Whether it has dropout, which needs [`noise`](crate::Shard::noise).
    pub fn drops(&self) -> bool {
        self.operations().iter().any(|operation| matches!(operation.kind, Kind::Dropout { .. }))
    }

    /// The value in whose gradient that behind `layer` is gathered: the sum for a term of an addition.
    pub(crate) fn gradient_of(&self, layer: usize) -> usize {
        self.layers[layer].sum.unwrap_or(self.layers[layer].value)
    }

    /// The layers whose outputs the gradient of `value` arrives behind: the layer itself, or those among the
    /// terms of a sum.
    pub(crate) fn layers_behind(&self, value: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.layers.len()).filter(move |layer| self.gradient_of(*layer) == value)
    }

    /// The values that the backward pass of `operation` reads.
    pub(crate) fn kept_for(&self, operation: &Operation, reach: Reach) -> Vec<usize> {
        let input = operation.reads[0];
        match operation.kind {
            Kind::Convolution(_) | Kind::Linear { .. } | Kind::Classifier => vec![input, operation.output],
            Kind::Addition => vec![],
            kind => {
                // The others only move gradients. What layers have behind them settles by its signs.
                let reads_again = matches!(
                    kind,
                    Kind::MaxPool | Kind::WideMaxPool | Kind::Gelu | Kind::LayerNorm | Kind::Attention { .. }
                );
                let is_read = |value: &usize| reads_again || self.layers_behind(*value).next().is_some();
                let values = operation.reads.iter().copied();
                values.filter(|value| self.contributes(*value, reach) && is_read(value)).collect()
            }
        }
    }

    /// Whether an operation that reads `value` adds to the gradient of that: not if it belongs to a skipped
    /// block, and not if it is a layer's output that goes into an addition, which reads the sum's gradient.
    pub(crate) fn contributes(&self, value: usize, reach: Reach) -> bool {
        let layer = self.producer(value).and_then(|operation| operation.layer);
        self.is_active(value, reach) && layer.is_none_or(|layer| self.layers[layer].sum.is_none())
    }

    /// Bytes of activations that one sample keeps for the backward pass, by the number of frozen blocks:
    /// every stored value that some active operation reads again, once, four bytes a number.
    fn activation_bytes(&self) -> Vec<u64> {
        let of = |frozen: usize| -> u64 {
            let reach = Reach::Block(frozen);
            let active = self.operations().iter().filter(|operation| self.is_active(operation.output, reach));
            let kept: BTreeSet<usize> =
                active.flat_map(|operation| self.kept_for(operation, reach)).collect();
            kept.into_iter().map(|value| 4 * self.shapes[value].len() as u64).sum()
        };
        (0..=self.recipe.blocks.len()).map(of).collect()
    }
}
