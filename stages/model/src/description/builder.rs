//! Puts a network together, operation by operation.

use std::sync::Arc;

use spfde_data::architecture::{Architecture, LayerKind, LayerShape};

use crate::description::{
    Affine, Consumer, Description, InputShape, Kind, LayerDescription, Operation, Shape, Signal, Value,
};
use crate::geometry::{Geometry, Window};

/// A network under construction.
pub(crate) struct Builder {
    description: Description,
    blocks: Vec<String>,
    layers: Vec<LayerShape>,
    /// The block to which operations are added: the number of blocks begun, less one.
    block: usize,
}

impl Builder {
    /// Begins a network that reads samples of shape `input`.
    pub(crate) fn new(input: InputShape) -> Self {
        let shape = Shape { channels: input.channels, height: input.height, width: input.width };
        let architecture = Architecture { layers: vec![], blocks: vec![], activation_bytes: vec![] };
        let description = Description {
            architecture: Arc::new(architecture),
            values: vec![Value { shape, producer: None, layer: None }],
            operations: vec![],
            layers: vec![],
            logits: Signal { value: 0, relu: false },
            classes: 0,
        };
        Self { description, blocks: vec![], layers: vec![], block: 0 }
    }

    /// The network's input.
    pub(crate) fn input(&self) -> Signal {
        Signal { value: 0, relu: false }
    }

    /// The shape of a signal.
    pub(crate) fn shape(&self, signal: Signal) -> Shape {
        self.description.values[signal.value].shape
    }

    /// What follows belongs to a new block.
    pub(crate) fn block(&mut self, name: impl Into<String>) {
        self.block = self.blocks.len();
        self.blocks.push(name.into());
    }

    /// A convolution and its batch norm or bias.
    pub(crate) fn convolution(
        &mut self,
        name: String,
        input: Signal,
        outputs: usize,
        window: Window,
        affine: Affine,
    ) -> Signal {
        let geometry = Geometry::convolution(self.shape(input), outputs, window);
        self.layer(name, LayerKind::Convolution, geometry, input, affine)
    }

    /// A linear layer and its bias. Its inputs are ordered (channel, row, column).
    pub(crate) fn linear(&mut self, name: String, input: Signal, outputs: usize) -> Signal {
        let geometry = Geometry::linear(self.shape(input), outputs);
        self.layer(name, LayerKind::Linear, geometry, input, Affine::Bias)
    }

    fn layer(
        &mut self,
        name: String,
        kind: LayerKind,
        geometry: Geometry,
        input: Signal,
        affine: Affine,
    ) -> Signal {
        let number = self.layers.len();
        let producer = self.description.values[input.value].producer;
        let reads_block_input =
            producer.is_none_or(|producer| self.description.operations[producer].block != self.block);
        self.layers.push(LayerShape {
            name,
            kind,
            outputs: geometry.outputs(),
            inputs: geometry.inputs(),
            kernel: geometry.kernel(),
            positions: geometry.output.positions() as u64,
            block: self.block,
            reads_block_input,
        });
        let operation = match kind {
            LayerKind::Convolution => Kind::Convolution(number),
            LayerKind::Linear => Kind::Linear(number),
        };
        let output = geometry.output;
        let signal = self.operation(operation, input, output, Some(number));
        let consumer = Consumer::Reader { relu: false };
        self.description.layers.push(LayerDescription { geometry, affine, value: signal.value, consumer });
        signal
    }

    /// The same layer's output after ReLU, for every reader.
    pub(crate) fn relu(&mut self, signal: Signal) -> Signal {
        let layer = self.description.values[signal.value].layer.expect("ReLU applies to outputs of layers");
        self.description.layers[layer].consumer = Consumer::Reader { relu: true };
        Signal { relu: true, ..signal }
    }

    /// ReLU of the sum of two signals of equal shape, of which the first is a layer's output.
    pub(crate) fn addition(&mut self, main: Signal, shortcut: Signal) -> Signal {
        assert_eq!(self.shape(main), self.shape(shortcut), "terms of a residual addition have one shape");
        let shape = self.shape(main);
        let sum = self.operation(Kind::Addition(shortcut), main, shape, None);
        for term in [main, shortcut] {
            if let (Some(layer), false) = (self.description.values[term.value].layer, term.relu) {
                self.description.layers[layer].consumer = Consumer::Addition { sum: sum.value };
            }
        }
        sum
    }

    /// The greatest of each window of 2 · 2 pixels; an odd last row or column is left out.
    pub(crate) fn max_pool(&mut self, input: Signal) -> Signal {
        let shape = self.shape(input);
        let output = Shape { height: shape.height / 2, width: shape.width / 2, ..shape };
        self.operation(Kind::MaxPool, input, output, None)
    }

    /// The mean over all pixels.
    pub(crate) fn average_pool(&mut self, input: Signal) -> Signal {
        let output = Shape { height: 1, width: 1, ..self.shape(input) };
        self.operation(Kind::AveragePool, input, output, None)
    }

    /// The last layer: `classes` logits; it belongs to no block.
    pub(crate) fn classifier(mut self, input: Signal, classes: usize) -> Description {
        self.block = self.blocks.len();
        let logits = self.linear("classifier".into(), input, classes);
        self.description.logits = logits;
        self.description.classes = classes;
        let mut architecture =
            Architecture { layers: self.layers, blocks: self.blocks, activation_bytes: vec![] };
        self.description.architecture = Arc::new(architecture.clone());
        architecture.activation_bytes = self.description.activation_bytes();
        self.description.architecture = Arc::new(architecture);
        self.description
    }

    fn operation(&mut self, kind: Kind, input: Signal, shape: Shape, layer: Option<usize>) -> Signal {
        let output = self.description.values.len();
        let producer = Some(self.description.operations.len());
        self.description.values.push(Value { shape, producer, layer });
        self.description.operations.push(Operation { kind, input, output, block: self.block });
        Signal { value: output, relu: false }
    }
}
