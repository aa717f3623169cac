//! What attention is made of: products of small matrices and softmax, sample by sample in the lanes.

use crate::kernel::exponential::exponential;
use crate::kernel::vector::{MOST_LANES, Vector};
use crate::kernel::{entry, with_constant};

/// A matrix of lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    pub(crate) lanes: &'a [f32],
    /// Lanes from one row to the next, and from one column to the next.
    pub(crate) steps: [usize; 2],
}

impl Matrix<'_> {
    #[inline(always)]
    fn read<V: Vector>(&self, row: usize, column: usize) -> V {
        V::read(&self.lanes[(row * self.steps[0] + column * self.steps[1]) * V::LANES..])
    }
}

entry! {
    /// Writes `scale` times the product of two matrices, row by row. The sizes are those of the left one,
    /// rows and columns; `into` has room for as many rows, and so for as many columns as the right one has.
    ///
    /// # Panics
    /// If a matrix has fewer lanes.
    fn multiply(
        left: Matrix<'_>,
        right: Matrix<'_>,
        sizes: [usize; 2],
        scale: f32,
        into: &mut [f32],
    ) = multiply_body
}

#[inline(always)]
fn multiply_body<V: Vector>(
    left: Matrix<'_>,
    right: Matrix<'_>,
    [rows, inner]: [usize; 2],
    scale: f32,
    into: &mut [f32],
) {
    let columns = into.len() / V::LANES / rows;
    let mut row = 0;
    while row < rows {
        let mut column = 0;
        let high = 2.min(rows - row);
        while column < columns {
            let wide = 4.min(columns - column);
            with_constant!(R = high, [2, 1] => with_constant!(C = wide, [4, 3, 2, 1] => {
                let mut sums = [[V::zero(); C]; R];
                for k in 0..inner {
                    let mut across = [V::zero(); C];
                    for (c, across) in across.iter_mut().enumerate() {
                        *across = right.read(k, column + c);
                    }
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let down: V = left.read(row + r, k);
                        for (sum, across) in sums.iter_mut().zip(&across) {
                            *sum = down.mul_add(*across, *sum);
                        }
                    }
                }
                for (r, sums) in sums.iter().enumerate() {
                    for (c, sum) in sums.iter().enumerate() {
                        let place = ((row + r) * columns + column + c) * V::LANES;
                        sum.mul_add(V::splat(scale), V::zero()).write(&mut into[place..]);
                    }
                }
            }));
            column += wide;
        }
        row += high;
    }
}

entry! {
    /// Turns each row of `columns` scores into shares that make 1.
    ///
    /// # Panics
    /// If rows are not whole.
    fn softmax(scores: &mut [f32], columns: usize) = softmax_body
}

#[inline(always)]
fn softmax_body<V: Vector>(scores: &mut [f32], columns: usize) {
    assert!(scores.len().is_multiple_of(columns * V::LANES), "whole rows");
    for row in scores.chunks_exact_mut(columns * V::LANES) {
        let mut greatest = [f32::NEG_INFINITY; MOST_LANES];
        for lane in row.chunks_exact(V::LANES) {
            for (greatest, score) in greatest.iter_mut().zip(lane) {
                *greatest = if *score > *greatest { *score } else { *greatest };
            }
        }
        let mut sums = [0.0; MOST_LANES];
        for lane in row.chunks_exact_mut(V::LANES) {
            for ((score, greatest), sum) in lane.iter_mut().zip(&greatest).zip(&mut sums) {
                *score = exponential(*score - *greatest);
                *sum += *score;
            }
        }
        for lane in row.chunks_exact_mut(V::LANES) {
            for (score, sum) in lane.iter_mut().zip(&sums) {
                *score /= *sum;
            }
        }
    }
}

entry! {
    /// Turns gradients of such shares into those of the scores, row by row.
    ///
    /// # Panics
    /// If rows are not whole, or there are not as many shares.
    fn softmax_gradient(shares: &[f32], gradients: &mut [f32], columns: usize) = gradient_body
}

#[inline(always)]
fn gradient_body<V: Vector>(shares: &[f32], gradients: &mut [f32], columns: usize) {
    let len = columns * V::LANES;
    assert!(shares.len() == gradients.len() && shares.len().is_multiple_of(len), "whole rows");
    for (shares, gradients) in shares.chunks_exact(len).zip(gradients.chunks_exact_mut(len)) {
        let mut sum = V::zero();
        for (share, gradient) in shares.chunks_exact(V::LANES).zip(gradients.chunks_exact(V::LANES)) {
            sum = V::read(share).mul_add(V::read(gradient), sum);
        }
        let minus = sum.mul_add(V::splat(-1.0), V::zero());
        for (share, gradient) in shares.chunks_exact(V::LANES).zip(gradients.chunks_exact_mut(V::LANES)) {
            V::read(gradient).add(minus).mul_add(V::read(share), V::zero()).write(gradient);
        }
    }
}
