//! From operations to a network: every check, and what follows from the operations.

use std::collections::BTreeSet;
use std::sync::Arc;

use spfde_data::architecture::{Architecture, LayerKind, LayerShape};

use crate::description::recipe::{Recipe, Step, StepKind};
use crate::description::{
    Affine, BuildError, Consumer, Description, InputShape, Kind, LayerDescription, Operation, Signal, Value,
};
use crate::geometry::{Geometry, Window};
use crate::lane::Lane;

/// Operations of a network, at most; so layers can be counted in 16 bits.
const OPERATIONS: usize = 4096;

/// Channels, rows, columns, features and classes, at most.
const EXTENT: usize = 1 << 16;

/// Numbers of a value of one sample, at most.
const NUMBERS: usize = 1 << 26;

impl Step {
    /// How messages name it, the operation with number `number`.
    pub(super) fn at(&self, number: usize) -> String {
        match self.operation.word() {
            (true, word) => format!("{word} `{}`", self.name),
            (false, word) => format!("{word} (operation {number})"),
        }
    }
}

impl Recipe {
    /// Checks the operations and works out what follows from them.
    pub(super) fn describe(self) -> Result<Description, BuildError> {
        let network = || "the network".to_owned();
        let unsupported = |reason| Err(BuildError::Unsupported { at: network(), reason });
        let InputShape { channels, height, width } = self.input;
        for (what, found) in [("channels", channels), ("rows", height), ("columns", width)] {
            in_range(network(), what, found, 1..=EXTENT)?;
        }
        in_range(network(), "numbers of a sample", self.input.len(), 1..=NUMBERS)?;
        in_range(network(), "classes", self.classes, 1..=EXTENT)?;
        in_range(network(), "operations", self.operations.len(), 1..=OPERATIONS)?;
        let classifiers = self.operations.iter().map(|step| step.operation == StepKind::Classifier);
        if classifiers.enumerate().any(|(number, is)| is != (number + 1 == self.operations.len())) {
            return unsupported("a network ends with its only classifier");
        }
        if self.blocks.is_empty() {
            return unsupported("a network has at least one block of layers before its classifier");
        }
        let mut assembly = Assembly::default();
        assembly.values.push(Value { shape: self.input, producer: None, layer: None });
        for (number, step) in self.operations.iter().enumerate() {
            self.check_place(number)?;
            assembly.add(step, number, self.classes)?;
        }
        let layers = &assembly.shapes;
        let names: BTreeSet<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        if names.len() < layers.len() || names.contains("") {
            return unsupported("every layer has a name of its own");
        }
        if (0..self.blocks.len()).any(|block| layers.iter().all(|layer| layer.block != block)) {
            return unsupported("every block has a layer");
        }
        assembly.check_readers(&self)?;
        let logits = Signal { value: self.operations.len(), relu: false };
        let architecture =
            Architecture { layers: assembly.shapes, blocks: self.blocks.clone(), activation_bytes: vec![] };
        let mut description = Description {
            architecture: Arc::new(architecture),
            values: assembly.values,
            operations: assembly.operations,
            layers: assembly.layers,
            logits,
            classes: self.classes,
            recipe: self,
        };
        let activation_bytes = description.activation_bytes();
        Arc::make_mut(&mut description.architecture).activation_bytes = activation_bytes;
        Ok(description)
    }

    /// Checks what an operation reads, its block and its ReLU.
    fn check_place(&self, number: usize) -> Result<(), BuildError> {
        let step = &self.operations[number];
        let unsupported = |reason| Err(BuildError::Unsupported { at: step.at(number), reason });
        let before = number.checked_sub(1).map_or(0, |before| self.operations[before].block);
        let is_last = step.operation == StepKind::Classifier;
        if is_last != (step.block == self.blocks.len()) || step.block > self.blocks.len() {
            return unsupported("it belongs to a block; the classifier alone follows the last one");
        }
        if step.block != before && step.block != before + 1 {
            return unsupported("blocks follow one another");
        }
        if step.reads.len() != if step.operation == StepKind::Addition { 2 } else { 1 } {
            return unsupported("an addition reads two values, every other operation one");
        }
        if let Some(value) = step.reads.iter().find(|value| **value > number) {
            return Err(BuildError::Missing { at: step.at(number), value: *value, known: number + 1 });
        }
        let has_relu = matches!(step.operation, StepKind::Convolution { .. } | StepKind::Linear { .. });
        if step.relu && !has_relu {
            return unsupported("ReLU follows convolutions and linear layers in front of the classifier");
        }
        Ok(())
    }
}

/// A network as far as it has been put together.
#[derive(Default)]
struct Assembly {
    values: Vec<Value>,
    operations: Vec<Operation>,
    layers: Vec<LayerDescription>,
    shapes: Vec<LayerShape>,
    /// Whether ReLU applies where a value is read.
    relus: Vec<bool>,
}

impl Assembly {
    fn add(&mut self, step: &Step, number: usize, classes: usize) -> Result<(), BuildError> {
        let at = || step.at(number);
        let reads = |value: usize| Signal { value, relu: value > 0 && self.relus[value - 1] };
        let input = reads(step.reads[0]);
        let shape = self.values[input.value].shape;
        let layer = self.layers.len();
        let (kind, output) = match step.operation {
            StepKind::Convolution { channels, kernel, stride, padding, affine } => {
                in_range(at(), "channels", channels, 1..=EXTENT)?;
                if !matches!(kernel, 1 | 3 | 5 | 7) {
                    return Err(out_of_range(at(), "kernel", kernel, "1, 3, 5 or 7"));
                }
                in_range(at(), "stride", stride, 1..=2)?;
                in_range(at(), "padding", padding, 0..=kernel / 2)?;
                let window = Window { kernel, stride, padding };
                fits(at(), shape, kernel, padding)?;
                let geometry = Geometry::convolution(shape, channels, window);
                (Kind::Convolution(layer), self.layer(step, at(), geometry, input, affine)?)
            }
            StepKind::Linear { features } => {
                in_range(at(), "features", features, 1..=EXTENT)?;
                let geometry = Geometry::linear(shape, features);
                (Kind::Linear(layer), self.layer(step, at(), geometry, input, Affine::Bias)?)
            }
            StepKind::Classifier => {
                let geometry = Geometry::linear(shape, classes);
                (Kind::Linear(layer), self.layer(step, at(), geometry, input, Affine::Bias)?)
            }
            StepKind::Addition => {
                let shortcut = reads(step.reads[1]);
                let other = self.values[shortcut.value].shape;
                if shape != other {
                    return Err(BuildError::Shapes { at: at(), main: shape, shortcut: other });
                }
                (Kind::Addition(shortcut), shape)
            }
            StepKind::MaxPool => {
                fits(at(), shape, 2, 0)?;
                let output = InputShape { height: shape.height / 2, width: shape.width / 2, ..shape };
                (Kind::MaxPool, output)
            }
            StepKind::AveragePool => (Kind::AveragePool, InputShape { height: 1, width: 1, ..shape }),
        };
        let is_layer = self.layers.len() > layer;
        let value = Value { shape: output, producer: Some(number), layer: is_layer.then_some(layer) };
        self.values.push(value);
        self.relus.push(step.relu);
        self.operations.push(Operation { kind, input, output: number + 1, block: step.block });
        Ok(())
    }

    /// Adds a layer; the shape of its output.
    fn layer(
        &mut self,
        step: &Step,
        at: String,
        geometry: Geometry,
        input: Signal,
        affine: Affine,
    ) -> Result<InputShape, BuildError> {
        let output = geometry.output;
        // Indices of weights and offsets in packed buffers, in bytes, have 32 bits.
        in_range(at.clone(), "weights", geometry.weights(), 1..=u32::MAX as usize)?;
        in_range(at.clone(), "numbers of its output", output.len(), 1..=NUMBERS)?;
        let lanes = geometry.source.len().max(geometry.gradient.len());
        in_range(at, "packed numbers", lanes, 1..=u32::MAX as usize / size_of::<Lane>())?;
        let producer = self.values[input.value].producer;
        self.shapes.push(LayerShape {
            name: step.name.clone(),
            kind: if geometry.window.is_some() { LayerKind::Convolution } else { LayerKind::Linear },
            outputs: geometry.outputs(),
            inputs: geometry.inputs(),
            kernel: geometry.kernel(),
            positions: output.positions() as u64,
            block: step.block,
            reads_block_input: producer.is_none_or(|producer| self.operations[producer].block != step.block),
        });
        let consumer = Consumer::Reader { relu: step.relu };
        self.layers.push(LayerDescription { geometry, affine, value: self.values.len(), consumer });
        Ok(output)
    }

    /// Finds the layers that go into additions, and checks that the kernels can tell the readers of each
    /// value apart.
    fn check_readers(&mut self, recipe: &Recipe) -> Result<(), BuildError> {
        let mut readers = vec![vec![]; self.values.len()];
        for operation in &self.operations {
            operation.inputs().for_each(|input| readers[input.value].push(operation.output - 1));
        }
        for (number, step) in recipe.operations.iter().enumerate() {
            let unsupported = |reason| Err(BuildError::Unsupported { at: step.at(number), reason });
            let pools = matches!(step.operation, StepKind::MaxPool | StepKind::AveragePool);
            if pools && readers[step.reads[0]].len() > 1 {
                return unsupported("nothing else may read what a pooling reads");
            }
            if readers[number + 1].is_empty() && step.operation != StepKind::Classifier {
                return unsupported("nothing reads its output");
            }
            if step.operation != StepKind::Addition {
                continue;
            }
            for (term, value) in step.reads.iter().enumerate() {
                match self.values[*value].layer.filter(|_| !self.relus[*value - 1]) {
                    Some(layer) if readers[*value].len() == 1 => {
                        self.layers[layer].consumer = Consumer::Addition { sum: number + 1 };
                    }
                    Some(_) => return unsupported("a term without ReLU must have no other reader"),
                    None if term == 0 => return unsupported("its first term must be a layer without ReLU"),
                    None => {}
                }
            }
        }
        Ok(())
    }
}

fn out_of_range(at: String, what: &'static str, found: usize, expected: impl Into<String>) -> BuildError {
    BuildError::Range { at, what, found, expected: expected.into() }
}

fn in_range(
    at: String,
    what: &'static str,
    found: usize,
    range: std::ops::RangeInclusive<usize>,
) -> Result<(), BuildError> {
    let expected = || format!("{} to {}", range.start(), range.end());
    if range.contains(&found) { Ok(()) } else { Err(out_of_range(at, what, found, expected())) }
}

/// Checks that a window of `window` · `window` pixels lies inside the padded input.
fn fits(at: String, shape: InputShape, window: usize, padding: usize) -> Result<(), BuildError> {
    let [height, width] = [shape.height, shape.width].map(|pixels| pixels + 2 * padding);
    let input = InputShape { height, width, ..shape };
    if height.min(width) < window { Err(BuildError::Vanishes { at, input, window }) } else { Ok(()) }
}
