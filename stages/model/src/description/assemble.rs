//! From operations to a network: every check, and what follows from the operations.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use spfde_data::architecture::{Architecture, LayerKind, LayerShape};

use crate::description::recipe::Recipe;
use crate::description::{
    BuildError, Convolution, Description, Geometry, InputShape, Kind, LayerDescription, Operation, Reach,
};
use crate::kernel::MOST_LANES;

/// Operations of a network, at most; so layers can be counted in 16 bits.
const OPERATIONS: usize = 4096;

/// Pixels that attend to each other, at most: each has a number for each.
const ATTENDING: usize = 1 << 12;

/// Values of a concatenation, at most.
const MOST_JOINED: usize = 64;

/// Channels, rows, columns, features and classes, at most.
const EXTENT: usize = 1 << 16;

/// Numbers of a value of one sample, at most.
const NUMBERS: usize = 1 << 26;

/// What was checked, or what is wrong in words.
type Checked<T> = Result<T, String>;

impl Description {
    /// Checks the operations and works out what follows from them.
    pub(super) fn of(recipe: Recipe) -> Result<Self, BuildError> {
        let network = |problem: String| BuildError { at: "the network".into(), problem, operation: None };
        recipe.check().map_err(network)?;
        let (blocks, shapes) = (recipe.blocks.clone(), vec![recipe.input]);
        let architecture = Architecture { layers: vec![], blocks, activation_bytes: vec![] };
        let architecture = Arc::new(architecture);
        let mut description = Self { recipe, architecture, shapes, reaches: vec![None], layers: vec![] };
        description.each(Self::add)?;
        description.check_layers().map_err(network)?;
        description.each(Self::check_readers)?;
        let activation_bytes = description.activation_bytes();
        Arc::make_mut(&mut description.architecture).activation_bytes = activation_bytes;
        Ok(description)
    }

    /// Does something with one operation after the other, and says which one was wrong.
    fn each(&mut self, step: fn(&mut Self, usize) -> Checked<()>) -> Result<(), BuildError> {
        (0..self.operations().len()).try_for_each(|number| {
            step(self, number).map_err(|problem| self.operations()[number].error(number, problem))
        })
    }

    /// Checks an operation and works out its value and layer.
    fn add(&mut self, number: usize) -> Checked<()> {
        self.recipe.check_place(number)?;
        let operation = &mut self.recipe.operations[number];
        operation.output = number + 1;
        operation.layer = operation.word().0.then_some(self.layers.len());
        let shape = self.shapes[operation.reads[0]];
        let output = match operation.kind {
            Kind::Convolution(convolution) => {
                let Convolution { channels, kernel, stride, padding, groups, .. } = convolution;
                in_range("channels", channels, 1..=EXTENT)?;
                let known = matches!(kernel, 1 | 3 | 5 | 7);
                require(known, &format!("kernel is {kernel}, expected 1, 3, 5 or 7"))?;
                in_range("stride", stride, 1..=2)?;
                in_range("padding", padding, 0..=kernel / 2)?;
                in_range("groups", groups, 1..=EXTENT)?;
                let among = format!("{} input and {channels} output channels", shape.channels);
                let divides = shape.channels.is_multiple_of(groups) && channels.is_multiple_of(groups);
                require(divides, &format!("groups is {groups}, which does not divide {among}"))?;
                fits(shape, kernel, padding)?;
                self.add_layer(number, Geometry::convolution(shape, convolution))?
            }
            Kind::Linear { features } => {
                in_range("features", features, 1..=EXTENT)?;
                self.add_layer(number, Geometry::linear(shape, features))?
            }
            Kind::Classifier => self.add_layer(number, Geometry::linear(shape, self.recipe.classes))?,
            Kind::Addition | Kind::Sum => {
                let other = self.shapes[operation.reads[1]];
                let unlike = format!("its terms have the shapes {shape} and {other}, expected the same");
                require(shape == other, &unlike)?;
                shape
            }
            Kind::MaxPool => {
                fits(shape, 2, 0)?;
                InputShape { height: shape.height / 2, width: shape.width / 2, ..shape }
            }
            Kind::WideMaxPool => {
                let [height, width] = [shape.height, shape.width].map(|pixels| pixels.div_ceil(2));
                InputShape { height, width, ..shape }
            }
            Kind::AveragePool => InputShape { height: 1, width: 1, ..shape },
            Kind::Concatenation => {
                let shapes = || operation.reads.iter().map(|value| self.shapes[*value]);
                let alike = shapes().all(|other| (other.height, other.width) == (shape.height, shape.width));
                let found: Vec<String> = shapes().map(|shape| shape.to_string()).collect();
                let unlike = format!("it joins {}, expected the same rows and columns", found.join(", "));
                require(alike, &unlike)?;
                let channels = shapes().map(|shape| shape.channels).sum();
                in_range("channels", channels, 1..=EXTENT)?;
                in_range("numbers of its output", channels * shape.positions(), 1..=NUMBERS)?;
                InputShape { channels, ..shape }
            }
            Kind::Gelu | Kind::LayerNorm => shape,
            Kind::Patches { side } => {
                in_range("side", side, 1..=EXTENT)?;
                fits(shape, side, 0)?;
                let [height, width] = [shape.height / side, shape.width / side];
                let channels = shape.channels * side * side;
                in_range("channels", channels, 1..=EXTENT)?;
                InputShape { channels, height, width }
            }
            Kind::Attention { heads } => {
                in_range("heads", heads, 1..=EXTENT)?;
                in_range("pixels", shape.positions(), 1..=ATTENDING)?;
                let thirds = shape.channels.is_multiple_of(3 * heads);
                let otherwise = format!("{shape} are no queries, keys and values of {heads} heads");
                require(thirds, &otherwise)?;
                InputShape { channels: shape.channels / 3, ..shape }
            }
            Kind::Dropout { millionths } => {
                require(millionths < 1_000_000, "the share that it drops is not from 0 to below 1")?;
                shape
            }
        };
        let Operation { block, ref reads, .. } = self.recipe.operations[number];
        let handed = || reads.iter().filter_map(|read| self.reaches[*read]).max();
        let is_layer = self.recipe.operations[number].word().0;
        let reach = if is_layer { Some(block) } else { handed().map(|last| last.min(block)) };
        self.reaches.push(reach);
        self.shapes.push(output);
        Ok(())
    }

    /// Adds the layer that an operation is; the shape of its output.
    fn add_layer(&mut self, number: usize, geometry: Geometry) -> Checked<InputShape> {
        let (operation, output) = (&self.recipe.operations[number], geometry.output);
        // Indices of weights and offsets in packed buffers, in bytes, have 32 bits.
        in_range("weights", geometry.weights(), 1..=u32::MAX as usize)?;
        in_range("numbers of its output", output.len(), 1..=NUMBERS)?;
        let lanes = geometry.source.len().max(geometry.gradient.len());
        in_range("packed numbers", lanes, 1..=u32::MAX as usize / (MOST_LANES * size_of::<f32>()))?;
        let reads_active = self.is_active(operation.reads[0], Reach::Block(operation.block));
        let kernel = geometry.convolution.kernel;
        let shape = LayerShape {
            name: operation.name.clone(),
            kind: if geometry.is_linear { LayerKind::Linear } else { LayerKind::Convolution },
            outputs: geometry.outputs(),
            inputs: geometry.inputs_of_each(),
            groups: geometry.convolution.groups,
            kernel: (kernel, kernel),
            positions: output.positions() as u64,
            block: operation.block,
            reads_block_input: !reads_active,
        };
        self.layers.push(LayerDescription { geometry, value: operation.output, sum: None });
        Arc::make_mut(&mut self.architecture).layers.push(shape);
        Ok(output)
    }

    /// Checks that layers can be told apart and that blocks have some.
    fn check_layers(&self) -> Checked<()> {
        let Architecture { layers, blocks, .. } = &*self.architecture;
        let names: BTreeSet<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        let differ = names.len() == layers.len() && !names.contains("");
        require(differ, "every layer has a name of its own")?;
        let filled = (0..blocks.len()).all(|block| layers.iter().any(|layer| layer.block == block));
        require(filled, "every block has a layer")
    }

    /// Finds the layers that go into an addition, and checks that the kernels can tell the readers of each
    /// value apart.
    fn check_readers(&mut self, number: usize) -> Checked<()> {
        let Operation { kind, reads, output, .. } = self.operations()[number].clone();
        require(
            !kind.is_pool() || self.readers(reads[0]) == 1,
            "nothing else may read what a pooling reads",
        )?;
        let is_read = kind == Kind::Classifier || self.readers(output) > 0;
        require(is_read, "nothing reads its output")?;
        let terms = if kind == Kind::Addition { reads } else { vec![] };
        for (term, value) in terms.into_iter().enumerate() {
            let producer = self.producer(value).filter(|producer| !producer.relu);
            let Some(layer) = producer.and_then(|producer| producer.layer) else {
                require(term > 0, "its first term must be a layer without ReLU")?;
                continue;
            };
            require(self.readers(value) == 1, "a term without ReLU must have no other reader")?;
            self.layers[layer].sum = Some(output);
        }
        Ok(())
    }

    /// How many operations read a value, one that adds it to itself twice.
    fn readers(&self, value: usize) -> usize {
        let reads = self.operations().iter().flat_map(|operation| &operation.reads);
        reads.filter(|read| **read == value).count()
    }
}

impl Recipe {
    /// Checks extents and counts, and that there are blocks and one classifier.
    fn check(&self) -> Checked<()> {
        let InputShape { channels, height, width } = self.input;
        let extents =
            [("channels", channels), ("rows", height), ("columns", width), ("classes", self.classes)];
        extents.into_iter().try_for_each(|(what, extent)| in_range(what, extent, 1..=EXTENT))?;
        in_range("numbers of a sample", self.input.len(), 1..=NUMBERS)?;
        in_range("operations", self.operations.len(), 1..=OPERATIONS)?;
        let classifier = self.operations.iter().position(|operation| operation.kind == Kind::Classifier);
        require(classifier == Some(self.operations.len() - 1), "a network ends with its only classifier")?;
        let has_block = !self.blocks.is_empty();
        require(has_block, "a network has at least one block of layers before its classifier")
    }

    /// Checks what an operation reads, its block and its ReLU.
    fn check_place(&self, number: usize) -> Checked<()> {
        let Operation { kind, block, reads, relu, .. } = &self.operations[number];
        let is_last = *kind == Kind::Classifier;
        let belongs = is_last == (*block == self.blocks.len()) && *block <= self.blocks.len();
        require(belongs, "it belongs to a block; the classifier alone follows the last one")?;
        let before = number.checked_sub(1).map_or(0, |before| self.operations[before].block);
        require(*block == before || *block == before + 1, "blocks follow one another")?;
        if *kind == Kind::Concatenation {
            in_range("values that it joins", reads.len(), 2..=MOST_JOINED)?;
            let differ = reads.iter().collect::<BTreeSet<_>>().len() == reads.len();
            require(differ, "it joins a value with itself")?;
        } else {
            let terms = if matches!(kind, Kind::Addition | Kind::Sum) { 2 } else { 1 };
            require(reads.len() == terms, "an addition reads two values, every other operation one")?;
            let differ = *kind != Kind::Sum || reads[0] != reads[1];
            require(differ, "it adds a value to itself")?;
        }
        let (known, later) = (number + 1, reads.iter().max().expect("it reads one"));
        let unknown = format!("it reads value {later}, which is not among the {known} values made before it");
        require(*later < known, &unknown)?;
        let has_relu = matches!(kind, Kind::Convolution(_) | Kind::Linear { .. });
        require(!relu || has_relu, "ReLU follows convolutions and linear layers in front of the classifier")
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
