//! Buffers: nothing is overwritten while it is needed, and freezing frees memory.

use spfde_data::parameter::Parameters;

use crate::description::{Description, InputShape, Kind, NetworkBuilder, Node, Reach};
use crate::models;
use crate::schedule::Schedule;

fn description(model: &str) -> Description {
    let shape = InputShape { channels: 1, height: 28, width: 28 };
    let entry = models::registry().into_iter().find(|entry| entry.name == model).unwrap();
    (entry.build)(&Parameters::defaults(&(entry.parameters)()), shape, 10).unwrap()
}

#[test]
fn values_that_the_backward_pass_reads_share_no_buffer() {
    for entry in models::registry() {
        let description = description(entry.name);
        for frozen in 0..=description.architecture.blocks.len() {
            let schedule = Schedule::training(&description, Reach::Block(frozen));
            let reach = Reach::Block(frozen);
            let operations = description.operations().iter();
            let mut kept: Vec<usize> = operations
                .filter(|operation| description.is_active(operation.output, reach))
                .flat_map(|operation| description.kept_for(operation, reach))
                .collect();
            kept.sort_unstable();
            kept.dedup();
            let mut buffers: Vec<usize> = kept.iter().filter_map(|value| schedule.values[*value]).collect();
            let count = buffers.len();
            buffers.sort_unstable();
            buffers.dedup();
            assert_eq!(buffers.len(), count, "{} with {frozen} frozen", entry.name);
        }
    }
}

#[test]
fn memory_falls_with_every_frozen_block_and_stays_near_what_shapes_say() {
    for entry in models::registry() {
        let description = description(entry.name);
        let counted = &description.architecture.activation_bytes;
        assert_eq!(counted.len(), description.architecture.blocks.len() + 1);
        let mut before = usize::MAX;
        for (frozen, counted) in counted.iter().enumerate() {
            let buffers = Schedule::training(&description, Reach::Block(frozen)).buffers;
            // What a sample costs; buffers of a single group do not grow with the shard.
            let whole = buffers.iter().filter(|buffer| !buffer.single);
            let bytes = 4 * whole.map(|buffer| buffer.lanes).sum::<usize>();
            assert!(bytes <= before, "{} with {frozen} frozen", entry.name);
            // Beyond what is kept there are the values and gradients in hand: at most five of the largest
            // value, and the network's input, which has no buffer here.
            let largest = description.shapes.iter().map(InputShape::len).max().unwrap();
            let input = 4 * description.shapes[0].len();
            assert!(
                bytes as u64 <= counted + (5 * 4 * largest) as u64 && bytes as u64 + input as u64 >= *counted,
                "{} with {frozen} frozen: {bytes}, counted {counted}",
                entry.name
            );
            before = bytes;
        }
    }
}

#[test]
fn activation_bytes_of_resnet20_are_those_counted_by_hand() {
    let counted = description("resnet20").architecture.activation_bytes.clone();
    // Numbers per sample: the input; outputs of stem and of 6 convolutions and 3 sums on 16·28·28; 6
    // convolutions, a shortcut and 3 sums on 32·14·14; the same on 64·7·7; pooled features and logits.
    let (large, middle, small) = (16 * 28 * 28, 32 * 14 * 14, 64 * 7 * 7);
    assert_eq!(counted[0], 4 * (784 + 10 * large + 10 * middle + 10 * small + 64 + 10));
    // Only the classifier is left: its input and its logits.
    assert_eq!(counted[9], 4 * (64 + 10));
    // One block frozen: its sum is the input of the next, all else of it is gone.
    assert_eq!(counted[1], counted[0] - 4 * (784 + 3 * large));
}

#[test]
fn what_only_moves_gradients_keeps_nothing() {
    let shape = InputShape { channels: 3, height: 4, width: 4 };
    let network = Description::build(shape, 5, |net| {
        let first = net.convolution(6, 3);
        let bent = net.gelu(first);
        let joined = net.concatenate(&[bent, first]);
        let turned = net.concatenate(&[first, bent]);
        let dropped = net.dropout(net.sum(joined, turned), 0.5);
        net.classifier(net.average_pool(net.patches(dropped, 2)))
    });
    let counted = network.unwrap().architecture.activation_bytes.clone();
    // The image and the convolution's output, which GELU reads again; the pooled features and the logits.
    assert_eq!(counted[0], 4 * (3 * 16 + 6 * 16 + 4 * 12 + 5));
}

/// What a buffer holds; at once the gradient of a sum and that of the shortcut that inherits it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    Value(usize),
    Gradient(usize),
}

/// Goes through a training pass of two groups in the order of its operations and follows what is written over
/// what.
struct Simulation<'a> {
    description: &'a Description,
    schedule: &'a Schedule,
    reach: Reach,
    buffers: Vec<Vec<Content>>,
    begun: Vec<bool>,
}

impl Simulation<'_> {
    fn new<'a>(description: &'a Description, schedule: &'a Schedule, reach: Reach) -> Simulation<'a> {
        let buffers = vec![vec![]; schedule.buffers.len()];
        let begun = vec![false; description.shapes.len()];
        Simulation { description, schedule, reach, buffers, begun }
    }

    /// All operations up to the logits.
    fn run_forward(&mut self) {
        for group in 0..2 {
            (0..self.schedule.prefix).for_each(|number| self.forward(number, group));
        }
        (self.schedule.prefix..self.description.operations().len())
            .for_each(|number| self.forward(number, 0));
        self.read_value(self.description.logits());
    }

    fn run(description: &Description, reach: Reach) {
        let schedule = Schedule::training(description, reach);
        let mut simulation = Simulation::new(description, &schedule, reach);
        simulation.run_forward();
        let logits = description.logits();
        simulation.buffers[schedule.gradients[logits].unwrap()] = vec![Content::Gradient(logits)];
        for number in (0..description.operations().len()).rev() {
            if description.is_active(number + 1, reach) {
                simulation.backward(number);
            }
        }
    }

    fn read_value(&self, value: usize) {
        if let Some(buffer) = self.schedule.values[value] {
            assert_eq!(self.buffers[buffer], [Content::Value(value)], "value {value} has been overwritten");
        }
    }

    fn read_gradient(&self, value: usize) {
        let buffer = self.schedule.gradients[value].expect("a gradient that is read has a place");
        let held = &self.buffers[buffer];
        assert!(held.contains(&Content::Gradient(value)), "gradient of {value} is read, there is {held:?}");
    }

    fn forward(&mut self, number: usize, group: usize) {
        let operation = &self.description.operations()[number];
        let buffer = self.schedule.values[operation.output].unwrap();
        if group > 0 && !self.schedule.buffers[buffer].single {
            self.read_value(operation.output);
        }
        self.buffers[buffer] = vec![Content::Value(operation.output)];
        // Row by row: what is read must outlive what is written; a merged addition happens in between.
        operation.reads.iter().for_each(|value| self.read_value(*value));
        let before = self.description.producer(operation.output - 1);
        if let Some(addition) = before.filter(|before| self.schedule.merged[before.output]) {
            addition.reads.iter().for_each(|value| self.read_value(*value));
        }
    }

    fn backward(&mut self, number: usize) {
        let operation = &self.description.operations()[number];
        let read = match operation.layer {
            Some(layer) => self.description.gradient_of(layer),
            None => operation.output,
        };
        self.read_gradient(read);
        let contributes = |value: &&usize| self.description.contributes(**value, self.reach);
        for &value in operation.reads.iter().filter(contributes) {
            let buffer = self.schedule.gradients[value].expect("a gradient that is written has a place");
            let begun = std::mem::replace(&mut self.begun[value], true);
            if self.schedule.gradients[read] == Some(buffer) {
                assert!(operation.kind == Kind::Addition && !begun, "only shortcuts inherit");
                self.buffers[buffer].push(Content::Gradient(value));
            } else {
                if begun {
                    self.read_gradient(value);
                }
                self.buffers[buffer] = vec![Content::Gradient(value)];
            }
            // Signs and outputs, where this completes the gradient.
            if self.schedule.completes[value] == Some(operation.output) {
                for layer in self.description.layers_behind(value) {
                    self.read_value(self.description.layers[layer].value);
                    if let Some(sum) = self.description.layers[layer].sum {
                        self.read_value(sum);
                    }
                }
            }
        }
        self.read_gradient(read);
        self.description.kept_for(operation, self.reach).into_iter().for_each(|value| self.read_value(value));
    }
}

#[test]
fn a_prefix_keeps_one_group_of_what_only_it_reads() {
    let description = description("resnet20");
    let single = |schedule: &Schedule, value: usize| {
        schedule.values[value].is_some_and(|buffer| schedule.buffers[buffer].single)
    };
    for frozen in 0..=description.architecture.blocks.len() {
        let training = Schedule::training(&description, Reach::Block(frozen));
        for (number, operation) in description.operations().iter().enumerate() {
            let readers = (0..description.operations().len())
                .filter(|reader| description.operations()[*reader].reads.contains(&operation.output));
            let last = readers.max().unwrap_or(usize::MAX);
            assert_eq!(number < training.prefix, operation.block < frozen, "operation {number}");
            assert_eq!(single(&training, operation.output), last < training.prefix, "operation {number}");
        }
    }
    // An evaluation keeps pooled features and logits of all samples, and no other value.
    let evaluating = Schedule::forward(&description, description.architecture.blocks.len() + 1);
    assert!(description.operations()[evaluating.prefix].kind == Kind::Classifier);
    let whole = evaluating.buffers.iter().filter(|buffer| !buffer.single);
    assert_eq!(whole.map(|buffer| buffer.lanes).collect::<Vec<_>>(), [64, 10]);
}

#[test]
fn a_pass_without_backward_finds_what_it_reads() {
    for entry in models::registry() {
        let description = description(entry.name);
        for fixed in 0..=description.architecture.blocks.len() + 1 {
            let schedule = Schedule::forward(&description, fixed);
            Simulation::new(&description, &schedule, Reach::Block(fixed)).run_forward();
        }
    }
}

#[test]
fn nothing_is_overwritten_before_its_last_reader() {
    for entry in models::registry() {
        let description = description(entry.name);
        for frozen in 0..=description.architecture.blocks.len() {
            Simulation::run(&description, Reach::Block(frozen));
        }
        Simulation::run(&description, Reach::Input);
    }
}

/// A residual network whose second sum has the first as its shortcut and, if `late`, another convolution that
/// reads the first sum after the second block has begun.
fn nested(late: bool) -> Description {
    let input = InputShape { channels: 4, height: 4, width: 4 };
    let network = Description::build(input, 3, |network: &NetworkBuilder| {
        let convolution = |input: Node<'_>| network.convolution(4, 3).batch_norm().after(input);
        let stem = convolution(network.input()).relu();
        let first = convolution(convolution(stem).relu());
        let first = network.add(first, stem);
        let second = convolution(first);
        let side = if late { convolution(first) } else { first };
        let second = network.add(second, first);
        let third = network.add(convolution(second), side);
        network.classifier(network.average_pool(third))
    });
    network.unwrap()
}

#[test]
fn a_shortcut_inherits_the_gradient_of_its_sum_only_if_nothing_adds_to_it_too_early() {
    let inherits = |description: &Description| -> Vec<bool> {
        let schedule = Schedule::training(description, Reach::Block(0));
        let additions = description.operations().iter().filter_map(|operation| match operation.kind {
            Kind::Addition => Some((operation.reads[1], operation.output)),
            _ => None,
        });
        additions
            .map(|(shortcut, sum)| {
                schedule.gradients[shortcut].is_some()
                    && schedule.gradients[shortcut] == schedule.gradients[sum]
            })
            .collect()
    };
    // The first sum is the shortcut of both the second and the third: only the third, the first to add to its
    // gradient, may hand on its own.
    let early = nested(false);
    Simulation::run(&early, Reach::Block(0));
    assert_eq!(inherits(&early), [true, false, true]);
    // `side` adds to the first sum's gradient before `second` has read that of the second sum.
    let late = nested(true);
    Simulation::run(&late, Reach::Block(0));
    assert_eq!(inherits(&late), [true, false, false]);
}
