//! Max pooling: the greatest pixel of square windows, sample by sample.

use crate::kernel::vector::{MOST_LANES, Vector};
use crate::kernel::{Stored, entry, with_constant};

/// Pixels from one window to the next.
pub(crate) const STEP: usize = 2;

/// The windows of a row of output pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    /// The rows under them, one behind the other: `[side][channels][columns]`.
    pub(crate) rows: &'a [f32],
    /// Pixels of a channel in each row; last ones may lie in no window.
    pub(crate) columns: usize,
    /// Rows and columns of a window: 2 or 3.
    pub(crate) side: usize,
}

impl Windows<'_> {
    /// Windows of a row.
    #[inline(always)]
    fn count(&self) -> usize {
        (self.columns - self.side) / STEP + 1
    }

    /// Where a pixel of a window begins in the rows; the pixels are counted row by row.
    #[inline(always)]
    fn place<V: Vector, const SIDE: usize>(&self, channel: usize, column: usize, pixel: usize) -> usize {
        let [row, right] = [pixel / SIDE, pixel % SIDE];
        row * (self.rows.len() / SIDE) + (channel * self.columns + column * STEP + right) * V::LANES
    }

    /// The greatest pixel of a window and its number in each lane: the first of equals. NaN counts as
    /// greatest, so that it is seen. Lanes without branches, so that the compiler takes many at a time.
    #[inline(always)]
    fn greatest<V: Vector, const SIDE: usize>(
        &self,
        channel: usize,
        column: usize,
    ) -> ([f32; MOST_LANES], [u32; MOST_LANES]) {
        let (mut best, mut choice) = ([f32::NEG_INFINITY; MOST_LANES], [0; MOST_LANES]);
        for number in 0..SIDE * SIDE {
            let pixel = &self.rows[self.place::<V, SIDE>(channel, column, number)..][..V::LANES];
            for ((best, choice), value) in best.iter_mut().zip(&mut choice).zip(pixel) {
                let is_greater = *value > *best || value.is_nan();
                *best = if is_greater { *value } else { *best };
                *choice = if is_greater { number as u32 } else { *choice };
            }
        }
        (best, choice)
    }
}

entry! {
    /// Writes the greatest pixel of each window to `target`, a row of output pixels.
    ///
    /// # Panics
    /// If the rows have too few pixels for it.
    fn greatest<S>(windows: Windows<'_>, target: &mut [S]) = greatest_body
}

#[inline(always)]
fn greatest_body<V: Vector, S: Stored>(windows: Windows<'_>, target: &mut [S]) {
    with_constant!(SIDE = windows.side, [2, 3] => {
        for (channel, target) in target.chunks_exact_mut(windows.count() * V::LANES).enumerate() {
            for (column, target) in target.chunks_exact_mut(V::LANES).enumerate() {
                V::read(&windows.greatest::<V, SIDE>(channel, column).0).write(target);
            }
        }
    });
}

entry! {
    /// Adds each of the `gradients` of a row of output pixels to that of the greatest pixel of its window;
    /// `target` is laid out as the rows.
    ///
    /// # Panics
    /// If rows or target have too few pixels.
    fn give_to_greatest<S>(windows: Windows<'_>, gradients: &[S], target: &mut [f32]) = give_body
}

#[inline(always)]
fn give_body<V: Vector, S: Stored>(windows: Windows<'_>, gradients: &[S], target: &mut [f32]) {
    with_constant!(SIDE = windows.side, [2, 3] => {
        for (channel, gradients) in gradients.chunks_exact(windows.count() * V::LANES).enumerate() {
            for (column, gradient) in gradients.chunks_exact(V::LANES).enumerate() {
                let (_, choice) = windows.greatest::<V, SIDE>(channel, column);
                // A copy, so that the compiler may read gradients that it then does not give.
                let mut given = [0.0_f32; MOST_LANES];
                V::read(gradient).write(&mut given);
                for number in 0..SIDE * SIDE {
                    let place = windows.place::<V, SIDE>(channel, column, number);
                    let target = &mut target[place..][..V::LANES];
                    for ((target, choice), gradient) in target.iter_mut().zip(&choice).zip(&given) {
                        *target += if *choice == number as u32 { *gradient } else { 0.0 };
                    }
                }
            }
        }
    });
}
