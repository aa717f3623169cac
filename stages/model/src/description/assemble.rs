//! From operations to a network: every check, and what follows from the operations.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use spfde_data::architecture::{Architecture, LayerKind, LayerShape};

use crate::description::recipe::{Recipe, Step, StepKind};
use crate::description::{
    Affine, BuildError, Description, InputShape, Kind, LayerDescription, Operation, Signal, Value,
};
use crate::geometry::{Geometry, Window};
use crate::lane::Lane;

/// Operations of a network, at most; so layers can be counted in 16 bits.
const OPERATIONS: usize = 4096;

/// Channels, rows, columns, features and classes, at most.
const EXTENT: usize = 1 << 16;

/// Numbers of a value of one sample, at most.
const NUMBERS: usize = 1 << 26;

/// What was checked, or what is wrong in words.
type Checked<T> = Result<T, String>;

impl Recipe {
    /// Checks the operations and works out what follows from them.
    pub(super) fn describe(self) -> Result<Description, BuildError> {
        let network = |problem: String| BuildError { at: "the network".into(), problem };
        self.check().map_err(network)?;
        let mut assembly = Assembly::default();
        assembly.values.push(Value { shape: self.input, layer: None });
        for (number, step) in self.operations.iter().enumerate() {
            let added = self.check_place(number).and_then(|()| assembly.add(step, self.classes));
            added.map_err(|problem| step.error(number, problem))?;
        }
        assembly.check_layers(self.blocks.len()).map_err(network)?;
        let readers = assembly.readers();
        for (number, step) in self.operations.iter().enumerate() {
            let checked = assembly.check_readers(step, number, &readers);
            checked.map_err(|problem| step.error(number, problem))?;
        }
        let architecture =
            Architecture { layers: assembly.shapes, blocks: self.blocks.clone(), activation_bytes: vec![] };
        let mut description = Description {
            architecture: Arc::new(architecture),
            values: assembly.values,
            operations: assembly.operations,
            layers: assembly.layers,
            logits: Signal { value: self.operations.len(), relu: false },
            classes: self.classes,
            recipe: self,
        };
        let activation_bytes = description.activation_bytes();
        Arc::make_mut(&mut description.architecture).activation_bytes = activation_bytes;
        Ok(description)
    }

    /// Checks extents and counts, and that there are blocks and one classifier.
    fn check(&self) -> Checked<()> {
        let InputShape { channels, height, width } = self.input;
        in_range("channels", channels, 1..=EXTENT)?;
        in_range("rows", height, 1..=EXTENT)?;
        in_range("columns", width, 1..=EXTENT)?;
        in_range("numbers of a sample", self.input.len(), 1..=NUMBERS)?;
        in_range("classes", self.classes, 1..=EXTENT)?;
        in_range("operations", self.operations.len(), 1..=OPERATIONS)?;
        let classifier = self.operations.iter().position(|step| step.operation == StepKind::Classifier);
        require(classifier == Some(self.operations.len() - 1), "a network ends with its only classifier")?;
        let has_block = !self.blocks.is_empty();
        require(has_block, "a network has at least one block of layers before its classifier")
    }

    /// Checks what an operation reads, its block and its ReLU.
    fn check_place(&self, number: usize) -> Checked<()> {
        let Step { operation, block, reads, relu, .. } = &self.operations[number];
        let is_last = *operation == StepKind::Classifier;
        let belongs = is_last == (*block == self.blocks.len()) && *block <= self.blocks.len();
        require(belongs, "it belongs to a block; the classifier alone follows the last one")?;
        let before = number.checked_sub(1).map_or(0, |before| self.operations[before].block);
        require(*block == before || *block == before + 1, "blocks follow one another")?;
        let terms = if *operation == StepKind::Addition { 2 } else { 1 };
        require(reads.len() == terms, "an addition reads two values, every other operation one")?;
        if let Some(value) = reads.iter().find(|value| **value > number) {
            let known = number + 1;
            return Err(format!(
                "it reads value {value}, which is not among the {known} values made before it"
            ));
        }
        let has_relu = matches!(operation, StepKind::Convolution { .. } | StepKind::Linear { .. });
        require(!relu || has_relu, "ReLU follows convolutions and linear layers in front of the classifier")
    }
}

/// A network as far as it has been put together.
#[derive(Default)]
struct Assembly {
    values: Vec<Value>,
    operations: Vec<Operation>,
    layers: Vec<LayerDescription>,
    shapes: Vec<LayerShape>,
    /// Whether ReLU applies where an operation's output is read.
    relus: Vec<bool>,
}

impl Assembly {
    /// Adds an operation of a network with so many classes.
    fn add(&mut self, step: &Step, classes: usize) -> Checked<()> {
        let reads = |value: usize| Signal { value, relu: value > 0 && self.relus[value - 1] };
        let input = reads(step.reads[0]);
        let shape = self.values[input.value].shape;
        let layer = self.layers.len();
        let (kind, output) = match step.operation {
            StepKind::Convolution { channels, kernel, stride, padding, affine } => {
                in_range("channels", channels, 1..=EXTENT)?;
                let known = matches!(kernel, 1 | 3 | 5 | 7);
                require(known, &format!("kernel is {kernel}, expected 1, 3, 5 or 7"))?;
                in_range("stride", stride, 1..=2)?;
                in_range("padding", padding, 0..=kernel / 2)?;
                fits(shape, kernel, padding)?;
                let geometry = Geometry::convolution(shape, channels, Window { kernel, stride, padding });
                (Kind::Convolution(layer), self.layer(step, geometry, input, affine)?)
            }
            StepKind::Linear { .. } | StepKind::Classifier => {
                let features =
                    if let StepKind::Linear { features } = step.operation { features } else { classes };
                in_range("features", features, 1..=EXTENT)?;
                let geometry = Geometry::linear(shape, features);
                (Kind::Linear(layer), self.layer(step, geometry, input, Affine::Bias)?)
            }
            StepKind::Addition => {
                let shortcut = reads(step.reads[1]);
                let other = self.values[shortcut.value].shape;
                let unlike = format!("its terms have the shapes {shape} and {other}, expected the same");
                require(shape == other, &unlike)?;
                (Kind::Addition(shortcut), shape)
            }
            StepKind::MaxPool => {
                fits(shape, 2, 0)?;
                let output = InputShape { height: shape.height / 2, width: shape.width / 2, ..shape };
                (Kind::MaxPool, output)
            }
            StepKind::AveragePool => (Kind::AveragePool, InputShape { height: 1, width: 1, ..shape }),
        };
        let is_layer = self.layers.len() > layer;
        self.operations.push(Operation { kind, input, output: self.values.len(), block: step.block });
        self.values.push(Value { shape: output, layer: is_layer.then_some(layer) });
        self.relus.push(step.relu);
        Ok(())
    }

    /// Adds a layer; the shape of its output.
    fn layer(
        &mut self,
        step: &Step,
        geometry: Geometry,
        input: Signal,
        affine: Affine,
    ) -> Checked<InputShape> {
        let output = geometry.output;
        // Indices of weights and offsets in packed buffers, in bytes, have 32 bits.
        in_range("weights", geometry.weights(), 1..=u32::MAX as usize)?;
        in_range("numbers of its output", output.len(), 1..=NUMBERS)?;
        let lanes = geometry.source.len().max(geometry.gradient.len());
        in_range("packed numbers", lanes, 1..=u32::MAX as usize / size_of::<Lane>())?;
        let before = input.value.checked_sub(1).map(|producer| self.operations[producer].block);
        self.shapes.push(LayerShape {
            name: step.name.clone(),
            kind: if geometry.window.is_some() { LayerKind::Convolution } else { LayerKind::Linear },
            outputs: geometry.outputs(),
            inputs: geometry.inputs(),
            kernel: (geometry.kernel(), geometry.kernel()),
            positions: output.positions() as u64,
            block: step.block,
            reads_block_input: before != Some(step.block),
        });
        let (value, relu) = (self.values.len(), step.relu);
        self.layers.push(LayerDescription { geometry, affine, value, relu, sum: None });
        Ok(output)
    }

    /// Checks that layers can be told apart and that blocks have some.
    fn check_layers(&self, blocks: usize) -> Checked<()> {
        let names: BTreeSet<&str> = self.shapes.iter().map(|layer| layer.name.as_str()).collect();
        let differ = names.len() == self.shapes.len() && !names.contains("");
        require(differ, "every layer has a name of its own")?;
        let filled = (0..blocks).all(|block| self.shapes.iter().any(|layer| layer.block == block));
        require(filled, "every block has a layer")
    }

    /// How many operations read each value, one that adds it to itself twice.
    fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.values.len()];
        self.operations.iter().flat_map(Operation::inputs).for_each(|input| readers[input.value] += 1);
        readers
    }

    /// Finds the layers that go into an addition, and checks that the kernels can tell the readers of each
    /// value apart.
    fn check_readers(&mut self, step: &Step, number: usize, readers: &[usize]) -> Checked<()> {
        let pools = matches!(step.operation, StepKind::MaxPool | StepKind::AveragePool);
        require(!pools || readers[step.reads[0]] == 1, "nothing else may read what a pooling reads")?;
        let is_read = readers[number + 1] > 0 || step.operation == StepKind::Classifier;
        require(is_read, "nothing reads its output")?;
        if step.operation != StepKind::Addition {
            return Ok(());
        }
        for (term, value) in step.reads.iter().enumerate() {
            let Some(layer) = self.values[*value].layer.filter(|_| !self.relus[*value - 1]) else {
                require(term > 0, "its first term must be a layer without ReLU")?;
                continue;
            };
            require(readers[*value] == 1, "a term without ReLU must have no other reader")?;
            self.layers[layer].sum = Some(number + 1);
        }
        Ok(())
    }
}

fn require(holds: bool, otherwise: &str) -> Checked<()> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn in_range(what: &str, found: usize, range: RangeInclusive<usize>) -> Checked<()> {
    let otherwise = format!("{what} is {found}, expected {} to {}", range.start(), range.end());
    require(range.contains(&found), &otherwise)
}

/// Checks that a window of `window` · `window` pixels lies inside the padded input.
fn fits(shape: InputShape, window: usize, padding: usize) -> Checked<()> {
    let [height, width] = [shape.height, shape.width].map(|pixels| pixels + 2 * padding);
    let input = InputShape { height, width, ..shape };
    let otherwise = format!("an input of {input} has no room for a window of {window}x{window} pixels");
    require(height.min(width) >= window, &otherwise)
}
