//! What the operations of a builder write, and their options.

use crate::description::{Affine, BuildError, Convolution, Kind, NetworkBuilder, Operation};

/// What an operation writes, and the operation, whose options can still be set.
#[derive(Clone, Copy, Debug)]
pub struct Node<'n> {
    pub(super) network: &'n NetworkBuilder,
    pub(super) value: usize,
}

impl Node<'_> {
    /// Reads `input` in place of what the operation before it writes.
    pub fn after(self, input: Node<'_>) -> Self {
        self.set("only a layer reads what `after` says", |step| {
            step.reads = vec![input.value];
            step.word().0
        })
    }

    /// Pixels between neighbouring windows of a convolution: 1 or 2.
    pub fn stride(self, pixels: usize) -> Self {
        self.set_convolution("only a convolution has a stride", |convolution| convolution.stride = pixels)
    }

    /// Rows and columns of zeros around the input of a convolution: up to half the kernel.
    pub fn padding(self, pixels: usize) -> Self {
        self.set_convolution("only a convolution has padding", |convolution| convolution.padding = pixels)
    }

    /// Groups of a convolution: the channels of its input and its own, each in order, are split into so many
    /// equal runs, and each output channel reads those of its run alone.
    pub fn groups(self, groups: usize) -> Self {
        self.set_convolution("only a convolution has groups", |convolution| convolution.groups = groups)
    }

    /// As many [groups](Node::groups) as a convolution has channels: each of them reads the channel of its
    /// own number, if its input has as many.
    pub fn depthwise(self) -> Self {
        let reason = "only a convolution has groups";
        self.set_convolution(reason, |convolution| convolution.groups = convolution.channels)
    }

    /// Batch norm in place of a convolution's bias.
    pub fn batch_norm(self) -> Self {
        let affine = Affine::BatchNorm;
        self.set_convolution("only a convolution has batch norm", |convolution| convolution.affine = affine)
    }

    /// ReLU after a layer's batch norm or bias, for every reader. (A sum passes ReLU anyway.)
    pub fn relu(self) -> Self {
        self.set("ReLU follows layers and additions only", |step| {
            step.relu = step.word().0;
            step.relu || step.kind == Kind::Addition
        })
    }

    /// Another name for a layer than `<block>.<kind><number>`.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.set("only layers have names", |step| {
            step.name = name.into();
            step.word().0
        })
    }

    /// Sets an option of a convolution.
    fn set_convolution(self, reason: &'static str, change: impl FnOnce(&mut Convolution)) -> Self {
        self.set(reason, |step| match &mut step.kind {
            Kind::Convolution(convolution) => {
                change(convolution);
                true
            }
            _ => false,
        })
    }

    /// Sets an option of the operation; where that has no such option, the builder remembers the `reason`.
    fn set(self, reason: &'static str, change: impl FnOnce(&mut Operation) -> bool) -> Self {
        let position = self.value.wrapping_sub(1);
        let mut recipe = self.network.recipe.borrow_mut();
        let misuse = match recipe.operations.get_mut(position) {
            None => Some(BuildError { at: "the input".into(), problem: reason.into(), operation: None }),
            Some(step) => (!change(step)).then(|| step.error(position, reason)),
        };
        let mut first = self.network.misuse.borrow_mut();
        *first = first.take().or(misuse);
        self
    }
}
