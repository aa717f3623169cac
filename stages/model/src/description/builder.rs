//! The builder of networks.

use std::cell::RefCell;

use crate::description::recipe::Recipe;
use crate::description::{Affine, BuildError, Convolution, Description, InputShape, Kind, Operation};

/// Collects the operations of a network; [`Description::build`] checks them.
///
/// ```
/// use spfde_model::{Description, InputShape, NetworkBuilder};
///
/// let images = InputShape { channels: 3, height: 32, width: 32 };
/// let small = Description::build(images, 10, |net: &NetworkBuilder| {
///     let x = net.convolution(32, 3).batch_norm().relu();
///     let x = net.block().convolution(64, 3).stride(2).batch_norm().relu().after(x);
///     net.classifier(net.average_pool(x))
/// })?;
/// assert_eq!(small.architecture().blocks, ["block0", "block1"]);
/// assert_eq!(Description::from_json(&small.to_json())?, small);
/// # Ok::<(), spfde_model::BuildError>(())
/// ```
#[derive(Debug)]
pub struct NetworkBuilder {
    recipe: RefCell<Recipe>,
    /// The first thing said of an operation that it does not know.
    misuse: RefCell<Option<BuildError>>,
}

/// What an operation writes, and the operation, whose options can still be set.
#[derive(Clone, Copy, Debug)]
pub struct Node<'n> {
    network: &'n NetworkBuilder,
    value: usize,
}

/// The classifier's output: what a network ends with.
#[derive(Debug)]
#[must_use = "a network ends with it"]
pub struct Logits(());

impl Description {
    /// The network for samples of shape `input` and a number of classes that `define` puts together.
    ///
    /// # Errors
    /// If shapes do not match, nothing is left of an extent, or the kernels do not know an operation.
    pub fn build(
        input: InputShape,
        classes: usize,
        define: impl FnOnce(&NetworkBuilder) -> Logits,
    ) -> Result<Self, BuildError> {
        let recipe = RefCell::new(Recipe { input, classes, blocks: vec![], operations: vec![] });
        let network = NetworkBuilder { recipe, misuse: RefCell::new(None) };
        let Logits(()) = define(&network);
        if let Some(misuse) = network.misuse.into_inner() {
            return Err(misuse);
        }
        let mut recipe = network.recipe.into_inner();
        recipe.operations = in_order(recipe.operations);
        Self::of(recipe)
    }
}

/// The operations in the order of their making, but each behind those whose values it reads. Where that
/// cannot be, one of them reads a later value.
fn in_order(steps: Vec<Operation>) -> Vec<Operation> {
    let mut order: Vec<Operation> = vec![];
    // Where each value comes to stand; the input stays.
    let mut places = vec![None; steps.len() + 1];
    places[0] = Some(0);
    for first in 1..=steps.len() {
        let mut waiting = vec![first];
        while let Some(value) = waiting.last().copied().filter(|value| places[*value].is_none()) {
            let is_open = |read: &&usize| places[**read].is_none() && !waiting.contains(read);
            if let Some(read) = steps[value - 1].reads.iter().find(is_open) {
                waiting.push(*read);
                continue;
            }
            order.push(steps[value - 1].clone());
            places[value] = Some(order.len());
            waiting.pop();
        }
    }
    for read in order.iter_mut().flat_map(|step| &mut step.reads) {
        *read = places[*read].expect("every value has been placed");
    }
    order
}

impl NetworkBuilder {
    /// The samples.
    pub fn input(&self) -> Node<'_> {
        Node { network: self, value: 0 }
    }

    /// The shape of the samples.
    pub fn input_shape(&self) -> InputShape {
        self.recipe.borrow().input
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.recipe.borrow().classes
    }

    /// What follows belongs to a new block, which freezes as one. Without a name it is called after its
    /// number, such as `block3`. The first operation begins a block by itself.
    pub fn block(&self) -> &Self {
        let name = format!("block{}", self.recipe.borrow().blocks.len());
        self.block_named(name)
    }

    /// As [`NetworkBuilder::block`], with a name.
    pub fn block_named(&self, name: impl Into<String>) -> &Self {
        self.recipe.borrow_mut().blocks.push(name.into());
        self
    }

    /// A convolution with `channels` outputs and a square kernel of 1, 3, 5 or 7 rows. Unless said otherwise
    /// it reads what the operation before it writes, has stride 1, as many zeros around it as keep the
    /// extent, and a bias.
    pub fn convolution(&self, channels: usize, kernel: usize) -> Node<'_> {
        self.push(Kind::Convolution(Convolution::new(channels, kernel)), None)
    }

    /// A linear layer with a bias over all numbers of its input, ordered (channel, row, column). Unless said
    /// otherwise it reads what the operation before it writes.
    pub fn linear(&self, features: usize) -> Node<'_> {
        self.push(Kind::Linear { features }, None)
    }

    /// ReLU of the sum of `main`, the output of a layer without ReLU that nothing else reads, and `shortcut`.
    pub fn add(&self, main: Node<'_>, shortcut: Node<'_>) -> Node<'_> {
        self.push(Kind::Addition, Some(vec![main.value, shortcut.value]))
    }

    /// The greatest of each window of 2 · 2 pixels of `input`, which nothing else may read; an odd last row
    /// or column is left out.
    pub fn max_pool(&self, input: Node<'_>) -> Node<'_> {
        self.push(Kind::MaxPool, Some(vec![input.value]))
    }

    /// The mean over all pixels of `input`, which nothing else may read.
    pub fn average_pool(&self, input: Node<'_>) -> Node<'_> {
        self.push(Kind::AveragePool, Some(vec![input.value]))
    }

    /// The last layer, which belongs to no block and never freezes: a logit for each class.
    pub fn classifier(&self, input: Node<'_>) -> Logits {
        self.push(Kind::Classifier, Some(vec![input.value]));
        Logits(())
    }

    /// Adds an operation; without `reads` it reads what the one before it writes.
    fn push(&self, kind: Kind, reads: Option<Vec<usize>>) -> Node<'_> {
        let is_last = kind == Kind::Classifier;
        if self.recipe.borrow().blocks.is_empty() && !is_last {
            self.block();
        }
        let recipe = &mut *self.recipe.borrow_mut();
        let block = recipe.blocks.len() - usize::from(!is_last);
        let output = recipe.operations.len() + 1;
        let reads = reads.unwrap_or_else(|| vec![output - 1]);
        let mut operation =
            Operation { kind, name: String::new(), block, reads, relu: false, output, layer: None };
        operation.name = match operation.word() {
            (true, word) if is_last => word.to_owned(),
            (true, word) => {
                let alike = recipe.operations.iter().filter(|other| other.block == block);
                let number = 1 + alike.filter(|other| other.word().1 == word).count();
                format!("{}.{word}{number}", recipe.blocks[block])
            }
            (false, _) => String::new(),
        };
        recipe.operations.push(operation);
        Node { network: self, value: output }
    }
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
            None => Some(BuildError { at: "the input".into(), problem: reason.into() }),
            Some(step) => (!change(step)).then(|| step.error(position, reason)),
        };
        let mut first = self.network.misuse.borrow_mut();
        *first = first.take().or(misuse);
        self
    }
}
