//! The builder of networks.

use std::cell::RefCell;

use crate::description::recipe::Recipe;
use crate::description::{BuildError, Convolution, Description, InputShape, Kind, Node, Operation};

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
    pub(super) recipe: RefCell<Recipe>,
    /// The first thing said of an operation that it does not know.
    pub(super) misuse: RefCell<Option<BuildError>>,
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

    /// The greatest of each window of 3 · 3 pixels of `input`, which nothing else may read, with one pixel
    /// between the middles of neighbouring windows: it halves the extents, rounded up. Windows reach one
    /// pixel beyond the image.
    pub fn wide_max_pool(&self, input: Node<'_>) -> Node<'_> {
        self.push(Kind::WideMaxPool, Some(vec![input.value]))
    }

    /// The channels of `inputs`, two or more with the same rows and columns, behind one another.
    pub fn concatenate(&self, inputs: &[Node<'_>]) -> Node<'_> {
        self.push(Kind::Concatenation, Some(inputs.iter().map(|input| input.value).collect()))
    }

    /// GELU of `input`, each number times the share of a normal distribution below it.
    pub fn gelu(&self, input: Node<'_>) -> Node<'_> {
        self.push(Kind::Gelu, Some(vec![input.value]))
    }

    /// The sum of two values without ReLU.
    pub fn sum(&self, first: Node<'_>, second: Node<'_>) -> Node<'_> {
        self.push(Kind::Sum, Some(vec![first.value, second.value]))
    }

    /// The channels of each pixel of `input` with mean 0 and variance 1, without gain and offset.
    pub fn layer_norm(&self, input: Node<'_>) -> Node<'_> {
        self.push(Kind::LayerNorm, Some(vec![input.value]))
    }

    /// Squares of `side` rows and columns of pixels of `input` as the channels of one pixel, in the order
    /// (channel, row, column); last rows and columns that fill no square are left out. A convolution of 1×1
    /// behind it embeds patches.
    pub fn patches(&self, input: Node<'_>, side: usize) -> Node<'_> {
        self.push(Kind::Patches { side }, Some(vec![input.value]))
    }

    /// Attention among the pixels of `input`, whose channels are, in this order, queries, keys and values of
    /// as many channels, each those of the first head, then those of the second, and so on.
    pub fn attention(&self, input: Node<'_>, heads: usize) -> Node<'_> {
        self.push(Kind::Attention { heads }, Some(vec![input.value]))
    }

    /// While training, zeros in place of the `share` of the numbers of `input`, from 0 to below 1 in
    /// millionths; the others grow by 1 / (1 − share). Which ones is drawn for each sample and step.
    pub fn dropout(&self, input: Node<'_>, share: f64) -> Node<'_> {
        let millionths = (share * 1e6).round();
        // What is no share becomes what is refused.
        let millionths = if (0.0..1e6).contains(&millionths) { millionths as u32 } else { u32::MAX };
        self.push(Kind::Dropout { millionths }, Some(vec![input.value]))
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
