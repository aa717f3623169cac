//! The shape of a network: what policies, cost accounting and traces need to know of it, and no more.

/// What a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// A two-dimensional convolution.
    Convolution,
    /// A matrix product.
    Linear,
}

/// One layer: a convolution or linear layer. Batch norms and biases belong to the layer before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Name within the network, such as `block3.convolution2`.
    pub name: String,
    /// What it does.
    pub kind: LayerKind,
    /// Output channels or features.
    pub outputs: usize,
    /// Input channels or features that each output reads: 1 for a depthwise convolution.
    pub inputs: usize,
    /// Groups of outputs that read other inputs each: 1 unless a convolution is grouped or depthwise.
    pub groups: usize,
    /// Rows and columns of the kernel; `(1, 1)` for a linear layer.
    pub kernel: (usize, usize),
    /// Output positions per sample (rows · columns of the output; 1 for a linear layer).
    pub positions: u64,
    /// The block it belongs to; the classifier's is `Architecture::blocks.len()`.
    pub block: usize,
    /// Whether it reads its block's input (for block 0: the network's input), so that it needs no gradient of
    /// its input once all blocks in front are frozen.
    pub reads_block_input: bool,
}

impl LayerShape {
    /// Weights of the dense layer: outputs · inputs · kernel rows · kernel columns.
    pub fn weights(&self) -> usize {
        self.outputs * self.inputs * self.kernel.0 * self.kernel.1
    }

    /// What the windows of the layer have under them, one number for each: all inputs · kernel rows · kernel
    /// columns.
    pub fn taps(&self) -> usize {
        self.inputs * self.groups * self.kernel.0 * self.kernel.1
    }

    /// Forward FLOPs of one existing weight for one sample: 2 per multiply-add and output position.
    pub fn flops_per_weight(&self) -> u64 {
        2 * self.positions
    }
}

/// The layers of a network, and the runs of them that freeze as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// All layers in forward order (a shortcut after its block's second convolution).
    pub layers: Vec<LayerShape>,
    /// The names of the blocks, front to back; the classifier belongs to none.
    pub blocks: Vec<String>,
    /// Bytes of activations that one sample keeps for the backward pass, by the number of frozen blocks:
    /// `blocks.len() + 1` entries, counted from shapes.
    pub activation_bytes: Vec<u64>,
}

impl Architecture {
    /// The layers of a block, in forward order.
    pub fn layers_of(&self, block: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.layers.len()).filter(move |layer| self.layers[*layer].block == block)
    }
}
