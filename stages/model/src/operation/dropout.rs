//! Dropout (Srivastava et al. 2014): some numbers become 0, the others grow by what is missing. Which ones
//! depends on the sample's key alone, so the backward pass draws them again.

use std::ops::Range;

use spfde_data::random::mix;

use crate::description::{InputShape, Kind, Operation};
use crate::kernel::{MOST_LANES, Stored};
use crate::operation::Pass;

/// Drops numbers of the signal, or none where samples have no keys.
pub(crate) fn forward<S: Stored>(
    pass: &Pass<'_, S>,
    operation: &Operation,
    groups: Range<usize>,
    output: &mut [S],
) {
    let shape = pass.description.shapes[operation.output];
    let mut signal = vec![0.0; shape.row() * pass.lanes()];
    for group in groups {
        let factors = Factors::new(pass, operation, group);
        for row in 0..shape.height {
            pass.read_row(operation.reads[0], group, row, &mut signal);
            let target = &mut output[pass.row_range(operation.output, group, row)];
            factors.each(shape, row, |number, factor| target[number] = S::of(signal[number] * factor));
        }
    }
}

/// Gives what was not dropped its gradient.
pub(crate) fn backward<S: Stored>(pass: &mut Pass<'_, S>, operation: &Operation) {
    let (value, shape) = (operation.reads[0], pass.description.shapes[operation.output]);
    let Some((mut target, begun)) = pass.take_gradient(value) else { return };
    for group in 0..pass.groups {
        let factors = Factors::new(pass, operation, group);
        for row in 0..shape.height {
            let upstream = &pass.gradient(operation.output)[pass.row_range(operation.output, group, row)];
            let target = &mut target[pass.row_range(value, group, row)];
            factors.each(shape, row, |number, factor| {
                let before = if begun { target[number].get() } else { 0.0 };
                target[number] = S::of(before + upstream[number].get() * factor);
            });
        }
    }
    pass.put_gradient(value, target);
}

/// By what the numbers of a group of samples are multiplied.
struct Factors {
    keys: [u64; MOST_LANES],
    lanes: usize,
    /// A number with a draw below this is dropped.
    limit: u64,
    /// The factor of the others.
    kept: f32,
}

impl Factors {
    fn new<S: Stored>(pass: &Pass<'_, S>, operation: &Operation, group: usize) -> Self {
        let Kind::Dropout { millionths } = operation.kind else { panic!("it is a dropout") };
        let share = f64::from(if pass.noise.is_empty() { 0 } else { millionths }) / 1e6;
        let (lanes, mut keys) = (pass.lanes(), [0; MOST_LANES]);
        for (key, noise) in keys.iter_mut().zip(pass.noise.iter().skip(group * lanes).take(lanes)) {
            *key = mix(noise ^ operation.output as u64);
        }
        Self { keys, lanes, limit: (share * 2_f64.powi(64)) as u64, kept: (1.0 / (1.0 - share)) as f32 }
    }

    /// Calls `each` with the numbers of a row, in order, and their factors: a draw for each is keyed by its
    /// sample, the operation, and its place in the value, row-major in (channel, row, column).
    #[inline(always)]
    fn each(&self, shape: InputShape, row: usize, mut each: impl FnMut(usize, f32)) {
        for pixel in 0..shape.row() {
            let place = (pixel / shape.width * shape.height + row) * shape.width + pixel % shape.width;
            for (lane, key) in self.keys[..self.lanes].iter().enumerate() {
                let dropped = mix(key ^ place as u64) < self.limit;
                each(pixel * self.lanes + lane, if dropped { 0.0 } else { self.kept });
            }
        }
    }
}
