//! Max pooling: the greatest pixel of windows of 2 · 2 pixels, sample by sample.

use crate::kernel::vector::{MOST_LANES, Vector};
use crate::kernel::{Stored, entry};

/// Rows and columns of a window, and the pixels between windows.
pub(crate) const WINDOW: usize = 2;

/// The windows over a pair of rows of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    /// The rows, one behind the other: `[2][channels][width]`.
    pub(crate) rows: &'a [f32],
    /// Pixels of a channel in each row; an odd last one lies in no window.
    pub(crate) width: usize,
}

impl Windows<'_> {
    /// Where the pixels of a window begin in the rows, row by row.
    #[inline(always)]
    fn places<V: Vector>(&self, channel: usize, column: usize) -> [usize; WINDOW * WINDOW] {
        let (corner, down) = ((channel * self.width + column * WINDOW) * V::LANES, self.rows.len() / WINDOW);
        [corner, corner + V::LANES, corner + down, corner + down + V::LANES]
    }

    /// The greatest pixel of a window and its number in each lane: the first of equals. NaN counts as
    /// greatest, so that it is seen. Lanes without branches, so that the compiler takes many at a time.
    #[inline(always)]
    fn greatest<V: Vector>(
        &self,
        places: [usize; WINDOW * WINDOW],
    ) -> ([f32; MOST_LANES], [u32; MOST_LANES]) {
        let (mut best, mut choice) = ([0.0; MOST_LANES], [0; MOST_LANES]);
        best[..V::LANES].copy_from_slice(&self.rows[places[0]..][..V::LANES]);
        for (number, place) in (1..).zip(&places[1..]) {
            let pixel = &self.rows[*place..][..V::LANES];
            for ((best, choice), value) in best.iter_mut().zip(&mut choice).zip(pixel) {
                let is_greater = *value > *best || value.is_nan();
                *best = if is_greater { *value } else { *best };
                *choice = if is_greater { number } else { *choice };
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
    for (channel, target) in target.chunks_exact_mut(windows.width / WINDOW * V::LANES).enumerate() {
        for (column, target) in target.chunks_exact_mut(V::LANES).enumerate() {
            V::read(&windows.greatest::<V>(windows.places::<V>(channel, column)).0).write(target);
        }
    }
}

entry! {
    /// Gives each of the `gradients` of a row of output pixels to the greatest pixel of its window, 0 to the
    /// others; `target` is laid out as the rows.
    ///
    /// # Panics
    /// If rows or target have too few pixels.
    fn give_to_greatest<S>(windows: Windows<'_>, gradients: &[S], target: &mut [S]) = give_body
}

#[inline(always)]
fn give_body<V: Vector, S: Stored>(windows: Windows<'_>, gradients: &[S], target: &mut [S]) {
    for (channel, gradients) in gradients.chunks_exact(windows.width / WINDOW * V::LANES).enumerate() {
        for (column, gradient) in gradients.chunks_exact(V::LANES).enumerate() {
            let places = windows.places::<V>(channel, column);
            let (_, choice) = windows.greatest::<V>(places);
            // A copy, so that the compiler may read gradients that it then does not give.
            let mut given = [S::default(); MOST_LANES];
            given[..V::LANES].copy_from_slice(gradient);
            for (number, place) in (0..).zip(places) {
                let target = &mut target[place..][..V::LANES];
                for ((target, choice), gradient) in target.iter_mut().zip(&choice).zip(&given) {
                    *target = if *choice == number { *gradient } else { S::default() };
                }
            }
        }
    }
}
