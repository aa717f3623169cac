//! What a batch norm measures of a layer's outputs.

use crate::kernel::vector::Vector;
use crate::lane::Lane;

/// Adds the sum of a tile's values and that of their squares to two lanes.
#[inline(always)]
pub(super) fn add_moments<V: Vector, const R: usize, const P: usize>(
    values: &[[V; P]; R],
    sums: &mut [Lane],
) {
    // Two chains, so that one addition need not wait for the other.
    let (mut sum, mut square) = ([V::load(&sums[0]), V::zero()], [V::load(&sums[1]), V::zero()]);
    for row in values {
        for (p, value) in row.iter().enumerate() {
            sum[p % 2] = sum[p % 2].add(*value);
            square[p % 2] = value.mul_add(*value, square[p % 2]);
        }
    }
    sum[0].add(sum[1]).store(&mut sums[0]);
    square[0].add(square[1]).store(&mut sums[1]);
}
