//! What a network is made of: values, the operations that produce them, layers and blocks.

use std::collections::BTreeSet;
use std::sync::Arc;

use spfde_data::architecture::Architecture;

mod assemble;
mod builder;
mod error;
mod recipe;

pub use builder::{Logits, NetworkBuilder, Node};
pub use error::BuildError;
use recipe::Recipe;

use crate::geometry::Geometry;
pub use crate::input_shape::InputShape;

/// A stored value of the network. Value 0 is the network's input, value `i + 1` what operation `i` writes.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) shape: InputShape,
    /// The layer whose output it is, before batch norm or bias.
    pub(crate) layer: Option<usize>,
}

/// A value as an operation reads it: outputs of layers are normalised and rectified on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) value: usize,
    /// Whether ReLU applies after the layer's batch norm or bias (always false where the value is no layer's
    /// output).
    pub(crate) relu: bool,
}

/// What follows a layer, channel by channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Affine {
    /// Batch norm with gain and offset.
    BatchNorm,
    /// A bias.
    Bias,
}

/// A convolution or linear layer; its name and shape stand in the architecture.
#[derive(Clone, Debug)]
pub(crate) struct LayerDescription {
    /// How its kernels find inputs and outputs.
    pub(crate) geometry: Geometry,
    pub(crate) affine: Affine,
    /// The value that it writes.
    pub(crate) value: usize,
    /// Whether ReLU comes after its batch norm or bias.
    pub(crate) relu: bool,
    /// The value of the residual addition with ReLU of which it is a term, if it is one: then the gradient is
    /// that of the sum. Otherwise the gradient arrives in that of the layer's own value.
    pub(crate) sum: Option<usize>,
}

/// What an operation does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Convolution by the layer with this number.
    Convolution(usize),
    /// Matrix product by the layer with this number.
    Linear(usize),
    /// ReLU of the sum of the input and this other signal.
    Addition(Signal),
    /// Greatest of each window of 2 · 2 pixels.
    MaxPool,
    /// Mean over all pixels.
    AveragePool,
}

/// A step of the forward pass.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) kind: Kind,
    pub(crate) input: Signal,
    /// The value that it writes.
    pub(crate) output: usize,
    /// The block it freezes with; the classifier's is the number of blocks.
    pub(crate) block: usize,
}

impl Operation {
    /// Its place in forward order.
    pub(crate) fn number(&self) -> usize {
        self.output - 1
    }

    /// The signals it reads.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = Signal> + '_ {
        let shortcut = match self.kind {
            Kind::Addition(shortcut) => Some(shortcut),
            _ => None,
        };
        std::iter::once(self.input).chain(shortcut)
    }
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
#[derive(Clone, Debug)]
pub struct Description {
    pub(crate) architecture: Arc<Architecture>,
    pub(crate) values: Vec<Value>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) layers: Vec<LayerDescription>,
    /// The signal whose channels are the logits.
    pub(crate) logits: Signal,
    pub(crate) classes: usize,
    /// The operations that all of this follows from.
    recipe: Recipe,
}

impl Description {
    /// The layers and blocks.
    pub fn architecture(&self) -> &Arc<Architecture> {
        &self.architecture
    }

    /// The images that it takes, and how many classes it tells apart.
    pub fn task(&self) -> (InputShape, usize) {
        (self.recipe.input, self.classes)
    }

    /// Whether the backward pass through `operation` is computed.
    pub(crate) fn is_active(&self, operation: usize, reach: Reach) -> bool {
        match reach {
            Reach::Block(first) => self.operations[operation].block >= first,
            Reach::Input => true,
        }
    }

    /// Whether the gradient of `value` is needed.
    pub(crate) fn wants_gradient(&self, value: usize, reach: Reach) -> bool {
        match value.checked_sub(1) {
            Some(producer) => self.is_active(producer, reach),
            None => reach == Reach::Input,
        }
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
    pub(crate) fn kept_for(&self, operation: usize, reach: Reach) -> Vec<usize> {
        let operation = &self.operations[operation];
        match operation.kind {
            Kind::Convolution(_) | Kind::Linear(_) => vec![operation.input.value, operation.output],
            // The signs of what a pool reads are needed to settle its gradient.
            Kind::MaxPool | Kind::AveragePool if self.contributes(operation.input, reach) => {
                vec![operation.input.value]
            }
            Kind::Addition(_) | Kind::MaxPool | Kind::AveragePool => vec![],
        }
    }

    /// Whether an operation that reads `signal` adds to a gradient of its own value: not if that belongs to a
    /// skipped block, and not if the signal is a layer's output that goes into an addition, which reads the
    /// sum's gradient.
    pub(crate) fn contributes(&self, signal: Signal, reach: Reach) -> bool {
        let layer = self.values[signal.value].layer;
        let in_addition = layer.is_some_and(|layer| self.layers[layer].sum.is_some());
        self.wants_gradient(signal.value, reach) && !in_addition
    }

    /// Bytes of activations that one sample keeps for the backward pass, by the number of frozen blocks:
    /// every stored value that some active operation reads again, once, four bytes a number.
    fn activation_bytes(&self) -> Vec<u64> {
        let of = |frozen: usize| -> u64 {
            let reach = Reach::Block(frozen);
            let active = (0..self.operations.len()).filter(|operation| self.is_active(*operation, reach));
            let kept: BTreeSet<usize> =
                active.flat_map(|operation| self.kept_for(operation, reach)).collect();
            kept.into_iter().map(|value| 4 * self.values[value].shape.len() as u64).sum()
        };
        (0..=self.architecture.blocks.len()).map(of).collect()
    }
}
