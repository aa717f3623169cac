//! The gradient of existing weights: products of the output's gradient with the inputs under each weight.

use crate::kernel::gather::{Strip, load, tile_width, tiles};
use crate::kernel::taps::{Entry, Taps};
use crate::kernel::vector::Vector;
use crate::kernel::{entry, with_constant};

/// What is multiplied in one strip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors<'a> {
    /// Its target is where the gradients lie.
    pub(crate) strip: Strip,
    /// The inputs under the weights.
    pub(crate) source: &'a [f32],
    /// The gradient of the output.
    pub(crate) gradient: &'a [f32],
}

/// Sums over lanes that are taken together.
const TOGETHER: usize = 8;

entry! {
    /// Adds to `totals`, one lane per tap in kernel order, the sum over the strip's pixels of the lane under
    /// the tap times the gradient of that pixel and channel.
    ///
    /// # Panics
    /// If taps, strip and slices do not fit together.
    fn tally(taps: &Taps, factors: Factors<'_>, totals: &mut [f32]) = body
}

entry! {
    /// The same for a strip of one row of up to four pixels that are groups of samples: writes the sum over
    /// pixels and samples to `gradients`, which is in the order of the layer's list of existing weights; with
    /// `accumulate` adds it to what is there.
    ///
    /// # Panics
    /// If taps, strip and slices do not fit together, the strip has several rows, gaps or more pixels, or the
    /// weights of a block of inputs and an output are no neighbours in the list, as those of a linear layer
    /// are.
    fn tally_groups(taps: &Taps, factors: Factors<'_>, accumulate: bool, gradients: &mut [f32]) = groups_body
}

entry! {
    /// Writes the sum of each lane of `totals` to `gradients`, at the position of its tap.
    ///
    /// # Panics
    /// If there is no position for a lane, or no gradient at a position.
    fn fold(totals: &[f32], positions: &[u32], gradients: &mut [f32]) = fold_body
}

#[inline(always)]
fn fold_body<V: Vector>(totals: &[f32], positions: &[u32], gradients: &mut [f32]) {
    assert_eq!(totals.len(), positions.len() * V::LANES, "a position for each lane");
    let (whole, rest) = positions.as_chunks::<TOGETHER>();
    let mut lanes = totals.chunks_exact(V::LANES);
    for positions in whole {
        let mut vectors = [V::zero(); TOGETHER];
        for (vector, lane) in vectors.iter_mut().zip(&mut lanes) {
            *vector = V::read(lane);
        }
        for (position, sum) in positions.iter().zip(V::sums(vectors)) {
            gradients[*position as usize] = sum;
        }
    }
    for (position, lane) in rest.iter().zip(lanes) {
        gradients[*position as usize] = V::read(lane).sum();
    }
}

#[inline(always)]
fn groups_body<V: Vector>(taps: &Taps, factors: Factors<'_>, accumulate: bool, gradients: &mut [f32]) {
    let Factors { strip, source, gradient } = factors;
    strip.check::<V>(taps.rows, taps.reach, source.len(), gradient.len());
    taps.check::<V>();
    assert_eq!((strip.rows, strip.source_step, strip.target_step), (1, 1, 1), "groups are neighbours");
    // SAFETY: `check` has compared all offsets with the slices' lengths.
    unsafe {
        with_constant!(
            P = strip.columns, [4, 3, 2, 1] => groups::<V, P>(taps, factors, accumulate, gradients)
        );
    }
}

/// # Safety
/// The strip is one row of `P` neighbouring pixels and has been checked against taps and slices.
#[inline(always)]
unsafe fn groups<V: Vector, const P: usize>(
    taps: &Taps,
    factors: Factors<'_>,
    accumulate: bool,
    gradients: &mut [f32],
) {
    let strip = factors.strip;
    let write = |into: &mut f32, sum: f32| *into = if accumulate { *into + sum } else { sum };
    for block in 0..taps.blocks {
        for row in 0..taps.rows {
            // SAFETY: block and row are in range; all lanes are inside by this function's contract.
            unsafe {
                let range = taps.range(block, row);
                let pixels = factors.gradient.as_ptr();
                let pixels = pixels.add((strip.target + row * strip.target_channel) * V::LANES);
                let mut tile = [[V::zero(); P]];
                load(&mut tile, pixels, [0, 1]);
                let [pixels] = tile;
                let source = factors.source.as_ptr().add(strip.source * V::LANES);
                let entries = taps.entries.get_unchecked(range.clone());
                let (entries, last_entries) = entries.as_chunks::<TOGETHER>();
                let gradients = neighbours(taps.positions.get_unchecked(range), gradients);
                let (gradients, last_gradients) = gradients.as_chunks_mut::<TOGETHER>();
                for (entries, gradients) in entries.iter().zip(gradients) {
                    let mut products = [V::zero(); TOGETHER];
                    for (product, entry) in products.iter_mut().zip(entries) {
                        *product = dot(source, entry, &pixels);
                    }
                    for (gradient, sum) in gradients.iter_mut().zip(V::sums(products)) {
                        write(gradient, sum);
                    }
                }
                for (entry, gradient) in last_entries.iter().zip(last_gradients) {
                    write(gradient, dot(source, entry, &pixels).sum());
                }
            }
        }
    }
}

/// The gradients of the weights at ascending `positions`, which have to be neighbours.
#[inline(always)]
fn neighbours<'a>(positions: &[u32], gradients: &'a mut [f32]) -> &'a mut [f32] {
    let first = positions.first().map_or(0, |position| *position as usize);
    let last = positions.last().map_or(first, |position| *position as usize + 1);
    assert_eq!(last - first, positions.len(), "a linear layer's weights of an output are neighbours");
    &mut gradients[first..last]
}

/// The products of the pixels' gradients with the lanes under an entry, added up.
///
/// # Safety
/// `P` pixels under the entry lie inside the source.
#[inline(always)]
unsafe fn dot<V: Vector, const P: usize>(source: *const f32, entry: &Entry, pixels: &[V; P]) -> V {
    let mut sum = V::zero();
    for (p, pixel) in pixels.iter().enumerate() {
        // SAFETY: by this function's contract.
        let lane = unsafe { V::load(source.byte_add(entry.offset as usize).add(p * V::LANES)) };
        sum = lane.mul_add(*pixel, sum);
    }
    sum
}

#[inline(always)]
fn body<V: Vector>(taps: &Taps, factors: Factors<'_>, totals: &mut [f32]) {
    let Factors { strip, source, gradient } = factors;
    strip.check::<V>(taps.rows, taps.reach, source.len(), gradient.len());
    taps.check::<V>();
    assert_eq!(totals.len(), taps.entries.len() * V::LANES, "one total per tap");
    assert_eq!(strip.target_step, 1, "pixels of a packed gradient are neighbours");
    tiles!(strip, column, [R, P, S] => {
        // SAFETY: `check` has compared all offsets with the slices' lengths, and the tile lies inside the
        // strip; there is a total for each tap.
        unsafe {
            let source = source.as_ptr().add((strip.source + column * S) * V::LANES);
            let gradient = gradient.as_ptr().add((strip.target + column) * V::LANES);
            tile::<V, R, P, S>(taps, &strip, source, gradient, totals);
        }
    });
}

/// # Safety
/// `R` rows of `P` pixels lie inside source and gradient for all taps and channels; there is a total per tap.
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const P: usize, const S: usize>(
    taps: &Taps,
    strip: &Strip,
    source: *const f32,
    gradient: *const f32,
    totals: &mut [f32],
) {
    for block in 0..taps.blocks {
        for row in 0..taps.rows {
            // SAFETY: block and row are in range; all lanes are inside by this function's contract.
            unsafe {
                let range = taps.range(block, row);
                let gradient = gradient.add(row * strip.target_channel * V::LANES);
                let mut tile = [[V::zero(); P]; R];
                load(&mut tile, gradient, [strip.target_row, 1]);
                let totals = totals.get_unchecked_mut(range.start * V::LANES..range.end * V::LANES);
                let totals = totals.chunks_exact_mut(V::LANES);
                for (entry, total) in taps.entries.get_unchecked(range).iter().zip(totals) {
                    let lanes = source.byte_add(entry.offset as usize);
                    let mut sum = V::read(total);
                    for (r, tile) in tile.iter().enumerate() {
                        for (p, gradient) in tile.iter().enumerate() {
                            let lane = V::load(lanes.add((r * strip.source_row + p * S) * V::LANES));
                            sum = lane.mul_add(*gradient, sum);
                        }
                    }
                    sum.write(total);
                }
            }
        }
    }
}
