//! A reader and an interpreter of ONNX graphs, as far as exports need them: its own reading of protobuf, and
//! plain loops over numbers of 64 bits. It computes one image at a time: arrays have no batch.

use std::collections::BTreeMap;

/// An array, row-major.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Vec<f64>,
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Word(u32),
}

/// The fields of a message, each with its number.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn number(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return value;
            }
        }
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(number(&mut bytes)),
            2 => {
                let length = number(&mut bytes) as usize;
                let (own, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(own)
            }
            5 => {
                let (own, rest) = bytes.split_at(4);
                bytes = rest;
                Field::Word(u32::from_le_bytes(own.try_into().unwrap()))
            }
            kind => panic!("wire type {kind}"),
        };
        found.push((key >> 3, field));
    }
    found
}

/// The messages and texts that a message has under a number.
fn all(message: &[u8], wanted: u64) -> Vec<&[u8]> {
    let bytes = |(number, field)| match field {
        Field::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(bytes).collect()
}

fn numbers(message: &[u8], wanted: u64) -> Vec<usize> {
    let number = |(number, field)| match field {
        Field::Number(value) if number == wanted => Some(value as usize),
        _ => None,
    };
    fields(message).into_iter().filter_map(number).collect()
}

fn texts(message: &[u8], wanted: u64) -> Vec<String> {
    all(message, wanted).iter().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).collect()
}

/// An operation: its kind, its inputs and output, its whole numbers, its numbers.
struct Node {
    kind: String,
    inputs: Vec<String>,
    output: String,
    whole: BTreeMap<String, Vec<usize>>,
    number: BTreeMap<String, f64>,
}

/// A graph.
pub(super) struct Model {
    nodes: Vec<Node>,
    constants: BTreeMap<String, Array>,
    /// The graph's message.
    graph: Vec<u8>,
}

impl Model {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        assert_eq!(numbers(bytes, 1), [8], "the version of the format");
        let operators = all(bytes, 8);
        assert_eq!((operators.len(), numbers(operators[0], 2)), (1, vec![13]), "the operators' version");
        let graph = all(bytes, 7)[0];
        let nodes = all(graph, 1).into_iter().map(|node| {
            let (mut whole, mut number) = (BTreeMap::new(), BTreeMap::new());
            for attribute in all(node, 5) {
                let name = texts(attribute, 1).remove(0);
                let float = fields(attribute).into_iter().find_map(|(_, field)| match field {
                    Field::Word(word) => Some(f64::from(f32::from_bits(word))),
                    _ => None,
                });
                match (numbers(attribute, 20)[0], float) {
                    (1, Some(float)) => drop(number.insert(name, float)),
                    (2, None) => drop(whole.insert(name, numbers(attribute, 3))),
                    (7, None) => drop(whole.insert(name, numbers(attribute, 8))),
                    other => panic!("{name}: {other:?}"),
                }
            }
            let output = texts(node, 2).remove(0);
            Node { kind: texts(node, 4).remove(0), inputs: texts(node, 1), output, whole, number }
        });
        let constants = all(graph, 5).into_iter().map(|tensor| {
            let bytes = all(tensor, 9)[0];
            let float = |word: &[u8]| f64::from(f32::from_le_bytes(word.try_into().unwrap()));
            let whole = |word: &[u8]| i64::from_le_bytes(word.try_into().unwrap()) as f64;
            let numbers_of: Vec<f64> = match numbers(tensor, 2)[..] {
                [1] => bytes.chunks(4).map(float).collect(),
                [7] => bytes.chunks(8).map(whole).collect(),
                ref kind => panic!("{kind:?}"),
            };
            let array = Array { shape: numbers(tensor, 1), numbers: numbers_of };
            assert_eq!(array.shape.iter().product::<usize>(), array.numbers.len());
            (texts(tensor, 8).remove(0), array)
        });
        Self { nodes: nodes.collect(), constants: constants.collect(), graph: graph.to_vec() }
    }

    pub(super) fn inputs(&self) -> Vec<String> {
        all(&self.graph, 11).into_iter().flat_map(|value| texts(value, 1)).collect()
    }

    pub(super) fn outputs(&self) -> Vec<String> {
        all(&self.graph, 12).into_iter().flat_map(|value| texts(value, 1)).collect()
    }

    /// The extents of an input or output.
    pub(super) fn shape(&self, name: &str) -> Vec<String> {
        let values = [all(&self.graph, 11), all(&self.graph, 12)].concat();
        let value = values.into_iter().find(|value| texts(value, 1) == [name]).unwrap();
        let tensor = all(all(value, 2)[0], 1)[0];
        assert_eq!(numbers(tensor, 1), [1], "32-bit floating point numbers");
        let extent = |dimension: &[u8]| match numbers(dimension, 1).first() {
            Some(number) => number.to_string(),
            None => texts(dimension, 2).remove(0),
        };
        all(all(tensor, 2)[0], 1).into_iter().map(extent).collect()
    }

    /// What the graph makes of one image.
    pub(super) fn run(&self, image: Array) -> Array {
        let mut values = self.constants.clone();
        values.insert("pixels".to_owned(), image);
        for node in &self.nodes {
            let inputs: Vec<&Array> = node.inputs.iter().map(|name| &values[name]).collect();
            let output = compute(node, &inputs);
            values.insert(node.output.clone(), output);
        }
        values.remove("logits").unwrap()
    }
}

fn compute(node: &Node, inputs: &[&Array]) -> Array {
    let x = inputs[0];
    let map = |f: &dyn Fn(f64) -> f64| Array {
        shape: x.shape.clone(),
        numbers: x.numbers.iter().map(|n| f(*n)).collect(),
    };
    // A number for each channel.
    let channels = |f: &dyn Fn(f64, usize) -> f64| {
        let plane = x.numbers.len() / x.shape[0];
        let numbers = x.numbers.iter().enumerate().map(|(place, number)| f(*number, place / plane)).collect();
        Array { shape: x.shape.clone(), numbers }
    };
    match &*node.kind {
        "Mul" => broadcast(x, inputs[1], |a, b| a * b),
        "Add" => broadcast(x, inputs[1], |a, b| a + b),
        "Sub" => broadcast(x, inputs[1], |a, b| a - b),
        "Div" => broadcast(x, inputs[1], |a, b| a / b),
        "Sqrt" => map(&f64::sqrt),
        "Erf" => map(&error_function),
        "ReduceMean" => {
            assert_eq!((&node.whole["axes"], &node.whole["keepdims"]), (&vec![1], &vec![1]));
            let (plane, mut shape) = (x.numbers.len() / x.shape[0], x.shape.clone());
            let sum = |place: usize| x.numbers.iter().skip(place).step_by(plane).sum::<f64>();
            let numbers = (0..plane).map(|place| sum(place) / x.shape[0] as f64).collect();
            shape[0] = 1;
            Array { shape, numbers }
        }
        "Concat" => {
            assert_eq!(node.whole["axis"], [1]);
            let mut shape = x.shape.clone();
            shape[0] = inputs.iter().map(|input| input.shape[0]).sum();
            Array { shape, numbers: inputs.iter().flat_map(|input| input.numbers.clone()).collect() }
        }
        "Reshape" => {
            assert_eq!(inputs[1].numbers[0], 0.0, "the number of images stays");
            let shape: Vec<usize> = inputs[1].numbers[1..].iter().map(|extent| *extent as usize).collect();
            assert_eq!(shape.iter().product::<usize>(), x.numbers.len());
            Array { shape, numbers: x.numbers.clone() }
        }
        "Slice" => {
            let numbers = |input: usize| &inputs[input].numbers[..];
            assert_eq!((numbers(1), numbers(3)), (&[0.0, 0.0][..], &[2.0, 3.0][..]));
            let shape = vec![x.shape[0], numbers(2)[0] as usize, numbers(2)[1] as usize];
            gathered(x, &shape, |place| place.to_vec())
        }
        "Transpose" => {
            let order: Vec<usize> = node.whole["perm"][1..].iter().map(|axis| axis - 1).collect();
            let shape: Vec<usize> = order.iter().map(|axis| x.shape[*axis]).collect();
            gathered(x, &shape, |place| {
                let mut from = vec![0; place.len()];
                order.iter().zip(place).for_each(|(axis, at)| from[*axis] = *at);
                from
            })
        }
        "Gather" => {
            assert_eq!((&node.whole["axis"], inputs[1].shape.len()), (&vec![1], 0));
            let first = inputs[1].numbers[0] as usize;
            gathered(x, &x.shape[1..], |place| [&[first], place].concat())
        }
        "MatMul" => {
            let (left, right, rank) = (&x.shape, &inputs[1].shape, x.shape.len());
            let (rows, inner, columns) = (left[rank - 2], left[rank - 1], right[rank - 1]);
            assert_eq!((&left[..rank - 2], right[rank - 2]), (&right[..rank - 2], inner));
            let numbers = x.numbers.chunks(rows * inner).zip(inputs[1].numbers.chunks(inner * columns));
            let product = |(a, b): (&[f64], &[f64])| -> Vec<f64> {
                let cell = |place: usize| {
                    let (row, column) = (place / columns, place % columns);
                    (0..inner).map(|k| a[row * inner + k] * b[k * columns + column]).sum()
                };
                (0..rows * columns).map(cell).collect()
            };
            let shape = [&left[..rank - 1], &[columns]].concat();
            Array { shape, numbers: numbers.flat_map(product).collect() }
        }
        "Softmax" => {
            // -1: the last axis.
            assert_eq!(node.whole["axis"], [usize::MAX]);
            let share = |row: &[f64]| -> Vec<f64> {
                let sum: f64 = row.iter().map(|number| number.exp()).sum();
                row.iter().map(|number| number.exp() / sum).collect()
            };
            let numbers = x.numbers.chunks(*x.shape.last().unwrap()).flat_map(share).collect();
            Array { shape: x.shape.clone(), numbers }
        }
        "Relu" => map(&|number| number.max(0.0)),
        "Flatten" => {
            assert_eq!(node.whole["axis"], [1]);
            Array { shape: vec![x.numbers.len()], numbers: x.numbers.clone() }
        }
        "BatchNormalization" => {
            let [gain, offset, mean, variance] = [1, 2, 3, 4].map(|input| &inputs[input].numbers);
            let epsilon = node.number["epsilon"];
            channels(&|number, c| (number - mean[c]) / (variance[c] + epsilon).sqrt() * gain[c] + offset[c])
        }
        "Gemm" => {
            assert_eq!(node.whole["transB"], [1]);
            let rows = inputs[1].numbers.chunks_exact(x.numbers.len()).zip(&inputs[2].numbers);
            let dot = |(row, bias): (&[f64], &f64)| {
                row.iter().zip(&x.numbers).map(|(a, b)| a * b).sum::<f64>() + bias
            };
            Array { shape: vec![inputs[2].numbers.len()], numbers: rows.map(dot).collect() }
        }
        "GlobalAveragePool" => {
            let plane = x.numbers.len() / x.shape[0];
            let means =
                x.numbers.chunks_exact(plane).map(|plane| plane.iter().sum::<f64>() / plane.len() as f64);
            Array { shape: vec![x.shape[0], 1, 1], numbers: means.collect() }
        }
        "MaxPool" => {
            assert_eq!((&node.whole["kernel_shape"], &node.whole["strides"]), (&vec![2, 2], &vec![2, 2]));
            windows(x, 2, 2, 0, x.shape[0], |window, channel| {
                window
                    .iter()
                    .filter(|(c, ..)| *c == channel)
                    .map(|(.., n)| *n)
                    .fold(f64::NEG_INFINITY, f64::max)
            })
        }
        "Conv" => {
            let weights = inputs[1];
            let (kernel, per) = (node.whole["kernel_shape"][0], weights.numbers.len() / weights.shape[0]);
            let (stride, pad) = (node.whole["strides"][0], node.whole["pads"][0]);
            assert_eq!(weights.shape[2], kernel);
            let (group, inputs_of) = (weights.shape[0] / node.whole["group"][0], weights.shape[1]);
            windows(x, kernel, stride, pad, weights.shape[0], |window, output| {
                let own = &weights.numbers[output * per..][..per];
                let first = output / group * inputs_of;
                let product = |(c, row, column, n): &Cell| match c.checked_sub(first) {
                    Some(c) if c < inputs_of => own[(c * kernel + row) * kernel + column] * n,
                    _ => 0.0,
                };
                let bias = inputs.get(2).map_or(0.0, |bias| bias.numbers[output]);
                window.iter().map(product).sum::<f64>() + bias
            })
        }
        kind => panic!("{kind}"),
    }
}

/// An array of another shape, each number of which is where `from` says.
fn gathered(x: &Array, shape: &[usize], from: impl Fn(&[usize]) -> Vec<usize>) -> Array {
    let numbers = (0..shape.iter().product()).map(|mut number: usize| {
        let mut place = vec![0; shape.len()];
        for (at, extent) in place.iter_mut().zip(shape).rev() {
            (*at, number) = (number % extent, number / extent);
        }
        let from = from(&place);
        x.numbers[from.iter().zip(&x.shape).fold(0, |all, (at, extent)| all * extent + at)]
    });
    Array { shape: shape.to_vec(), numbers: numbers.collect() }
}

/// Numbers of two arrays together; an extent of 1, or none, of the second fits any.
fn broadcast(x: &Array, other: &Array, of: impl Fn(f64, f64) -> f64) -> Array {
    // Constants may have an extent for the images.
    let shape = if other.shape.len() > x.shape.len() { &other.shape[1..] } else { &other.shape };
    let plain = Array { shape: shape.to_vec(), numbers: other.numbers.clone() };
    let spread = gathered(&plain, &x.shape, |place| {
        let own = place[place.len() - shape.len()..].iter().zip(shape);
        own.map(|(at, extent)| if *extent == 1 { 0 } else { *at }).collect()
    });
    let numbers = x.numbers.iter().zip(spread.numbers).map(|(a, b)| of(*a, b)).collect();
    Array { shape: x.shape.clone(), numbers }
}

/// 2/√π ∫ exp(−t²) from 0 to x, by its series.
fn error_function(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// A number of a window: its channel, its row and column within the window, and itself.
type Cell = (usize, usize, usize, f64);

/// What `of` makes of each window, for each of the output channels.
fn windows(
    x: &Array,
    kernel: usize,
    stride: usize,
    pad: usize,
    outputs: usize,
    of: impl Fn(&[Cell], usize) -> f64,
) -> Array {
    let &[channels, rows, columns] = &x.shape[..] else { panic!("{:?}", x.shape) };
    let extent = |side: usize| (side + 2 * pad - kernel) / stride + 1;
    let (height, width) = (extent(rows), extent(columns));
    let mut numbers = vec![0.0; outputs * height * width];
    for row in 0..height {
        for column in 0..width {
            let mut window = Vec::new();
            for (c, y, z) in (0..channels * kernel * kernel)
                .map(|i| (i / kernel / kernel, i / kernel % kernel, i % kernel))
            {
                let (at, across) =
                    ((row * stride + y).wrapping_sub(pad), (column * stride + z).wrapping_sub(pad));
                if at < rows && across < columns {
                    window.push((c, y, z, x.numbers[(c * rows + at) * columns + across]));
                }
            }
            for output in 0..outputs {
                numbers[(output * height + row) * width + column] = of(&window, output);
            }
        }
    }
    Array { shape: vec![outputs, height, width], numbers }
}
