//! Attention among the pixels of a sample (Vaswani et al. 2017): each pixel takes the mean of the values of
//! all, weighted by the softmax of the products of its query with their keys; head by head.

use std::ops::Range;

use crate::description::{InputShape, Kind, Operation};
use crate::kernel::{Matrix, PackedRow, SignalRow, Stored, multiply, pack, softmax, softmax_gradient};
use crate::operation::Pass;

/// Computes the means.
pub(crate) fn forward<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    output: &mut [S],
) {
    let mut head = Head::new(pass, operation);
    let mut means = vec![0.0; head.len()];
    for group in groups {
        for number in 0..head.heads {
            head.read(pass, operation.reads[0], group, number);
            let (shares, values) = (head.by_key(&head.shares), head.by_pixel(&head.parts[2]));
            multiply(pass.kernel, values, shares, [head.channels, head.pixels], 1.0, &mut means);
            let run = Run { value: operation.output, group, number };
            head.write(pass, run, &means, false, output);
        }
    }
}

/// Gives queries, keys and values their gradients.
pub(crate) fn backward<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation) {
    let value = operation.reads[0];
    let Some((mut target, begun)) = pass.take_gradient(value) else { return };
    let mut head = Head::new(pass, operation);
    let (mut upstream, mut gradient) = (vec![0.0; head.len()], vec![0.0; head.len()]);
    let mut scores = vec![0.0; head.shares.len()];
    let (sizes, kernel) = ([head.channels, head.pixels], pass.kernel);
    for group in 0..pass.groups {
        for number in 0..head.heads {
            head.read(pass, value, group, number);
            head.read_gradient(pass, Run { value: operation.output, group, number }, &mut upstream);
            let [queries, keys, values] = [0, 1, 2].map(|part| head.by_pixel(&head.parts[part]));
            let (behind, pixels) = (head.by_pixel(&upstream), [head.pixels, head.channels]);
            multiply(kernel, transposed(behind), values, pixels, 1.0, &mut scores);
            softmax_gradient(kernel, &head.shares, &mut scores, head.pixels);
            let products = [
                (keys, head.by_key(&scores), head.scale),
                (queries, head.by_query(&scores), head.scale),
                (behind, head.by_query(&head.shares), 1.0),
            ];
            for (part, (left, right, scale)) in products.into_iter().enumerate() {
                multiply(kernel, left, right, sizes, scale, &mut gradient);
                let run = Run { value, group, number: part * head.heads + number };
                head.write(pass, run, &gradient, begun, &mut target);
            }
        }
    }
    pass.put_gradient(value, target);
}

/// Numbers that the attention of this many heads over an input of this shape keeps at hand for each lane.
pub(crate) fn at_hand(input: InputShape, heads: usize) -> usize {
    5 * input.len() / 3 / heads + 2 * input.positions().pow(2)
}

/// Channels of a group of samples that belong together: the queries, keys, values or means of one head.
#[derive(Clone, Copy)]
struct Run {
    value: usize,
    group: usize,
    /// From 0, in the order of the channels.
    number: usize,
}

/// Queries, keys and values of one head, and what each query takes of each value.
struct Head {
    heads: usize,
    /// Channels of a query, key or value.
    channels: usize,
    pixels: usize,
    lanes: usize,
    /// What products of queries and keys are multiplied by.
    scale: f32,
    /// Queries, keys, values: `[channels][pixels]`.
    parts: [Vec<f32>; 3],
    /// `[query][key]`.
    shares: Vec<f32>,
}

impl Head {
    fn new<S: Stored>(pass: &Pass<'_, S>, operation: &Operation) -> Self {
        let Kind::Attention { heads } = operation.kind else { panic!("it is an attention") };
        let (shape, lanes) = (pass.description.shapes[operation.output], pass.lanes());
        let (channels, pixels) = (shape.channels / heads, shape.positions());
        let parts = [(); 3].map(|()| vec![0.0; channels * pixels * lanes]);
        let shares = vec![0.0; pixels * pixels * lanes];
        Self { heads, channels, pixels, lanes, scale: 1.0 / (channels as f32).sqrt(), parts, shares }
    }

    /// Numbers of a part.
    fn len(&self) -> usize {
        self.channels * self.pixels * self.lanes
    }

    /// A part as a matrix of channels and pixels.
    fn by_pixel<'a>(&self, lanes: &'a [f32]) -> Matrix<'a> {
        Matrix { lanes, steps: [self.pixels, 1] }
    }

    /// Shares or scores as a matrix of queries and keys.
    fn by_query<'a>(&self, lanes: &'a [f32]) -> Matrix<'a> {
        Matrix { lanes, steps: [self.pixels, 1] }
    }

    /// Shares or scores as a matrix of keys and queries.
    fn by_key<'a>(&self, lanes: &'a [f32]) -> Matrix<'a> {
        transposed(self.by_query(lanes))
    }

    /// Reads the parts of head `number` of a group and computes the shares.
    fn read<S: Stored>(&mut self, pass: &Pass<'_, S>, value: usize, group: usize, number: usize) {
        let InputShape { height, width, .. } = pass.description.shapes[value];
        for (part, lanes) in self.parts.iter_mut().enumerate() {
            let first = (part * self.heads + number) * self.channels;
            for row in 0..height {
                let SignalRow { lanes: numbers, affine, relu, .. } = pass.signal_row(value, group, row);
                let numbers = &numbers[first * width * self.lanes..][..self.channels * width * self.lanes];
                let affine = affine.map(|channels| &channels[first..][..self.channels]);
                let signal = SignalRow { lanes: numbers, width, affine, relu };
                let (start, channel_step) = (row * width, self.pixels);
                pack(
                    pass.kernel,
                    &signal,
                    pass.mask(group),
                    PackedRow { lanes, start, channel_step, pixel_step: 1 },
                );
            }
        }
        let [queries, keys, _] = &self.parts;
        let (queries, keys) = (transposed(self.by_pixel(queries)), self.by_pixel(keys));
        let mut shares = std::mem::take(&mut self.shares);
        multiply(pass.kernel, queries, keys, [self.pixels, self.channels], self.scale, &mut shares);
        softmax(pass.kernel, &mut shares, self.pixels);
        self.shares = shares;
    }

    /// Reads the gradient of the head's output.
    fn read_gradient<S: Stored>(&self, pass: &Pass<'_, S>, run: Run, into: &mut [f32]) {
        let gradient = pass.gradient(run.value);
        self.each_run(pass, run, |stored, own| {
            into[own].iter_mut().zip(&gradient[stored]).for_each(|(into, stored)| *into = stored.get());
        });
    }

    /// Writes `[channels][pixels]` to the channels of a run, or adds them to what is there.
    fn write<S: Stored>(
        &self,
        pass: &Pass<'_, S>,
        run: Run,
        numbers: &[f32],
        accumulate: bool,
        target: &mut [S],
    ) {
        self.each_run(pass, run, |stored, own| {
            for (target, number) in target[stored].iter_mut().zip(&numbers[own]) {
                *target = S::of(if accumulate { target.get() + number } else { *number });
            }
        });
    }

    /// Calls `each` with the numbers of each row and channel of a run: where they are in its value, and where
    /// in `[channels][pixels]`.
    fn each_run<S: Stored>(
        &self,
        pass: &Pass<'_, S>,
        Run { value, group, number }: Run,
        mut each: impl FnMut(Range<usize>, Range<usize>),
    ) {
        let InputShape { height, width, .. } = pass.description.shapes[value];
        let length = width * self.lanes;
        for row in 0..height {
            let first = pass.row_range(value, group, row).start + number * self.channels * length;
            for channel in 0..self.channels {
                let (stored, own) = (first + channel * length, (channel * height + row) * length);
                each(stored..stored + length, own..own + length);
            }
        }
    }
}

fn transposed(matrix: Matrix<'_>) -> Matrix<'_> {
    let [row, column] = matrix.steps;
    Matrix { steps: [column, row], ..matrix }
}
