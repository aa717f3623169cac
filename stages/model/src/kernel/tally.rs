//! The gradient of existing weights: products of the output's gradient with the inputs under each weight.

use crate::kernel::gather::{Strip, load, tile_width, tiles};
use crate::kernel::taps::{Entry, Taps};
use crate::kernel::vector::Vector;
use crate::kernel::{entry, with_constant};
use crate::lane::{LANES, Lane};

/// What is multiplied in one strip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors<'a> {
    /// Its target is where the gradients lie.
    pub(crate) strip: Strip,
    /// The inputs under the weights.
    pub(crate) source: &'a [Lane],
    /// The gradient of the output.
    pub(crate) gradient: &'a [Lane],
}

entry! {
    /// Adds to `totals`, one lane per tap in kernel order, the sum over the strip's pixels of the lane under
    /// the tap times the gradient of that pixel and channel.
    ///
    /// # Panics
    /// If taps, strip and slices do not fit together.
    fn tally(taps: &Taps, factors: Factors<'_>, totals: &mut [Lane]) = body
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

#[inline(always)]
fn groups_body<V: Vector>(taps: &Taps, factors: Factors<'_>, accumulate: bool, gradients: &mut [f32]) {
    let Factors { strip, source, gradient } = factors;
    strip.check(taps.rows, taps.reach, source.len(), gradient.len());
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
                let pixels = factors.gradient.as_ptr().add(strip.target + row * strip.target_channel);
                let pixels: [V; P] = std::array::from_fn(|p| V::load(&*pixels.add(p)));
                let source = factors.source.as_ptr().add(strip.source);
                let entries = taps.entries.get_unchecked(range.clone());
                let (entries, last_entries) = entries.as_chunks::<LANES>();
                let gradients = neighbours(taps.positions.get_unchecked(range), gradients);
                let (gradients, last_gradients) = gradients.as_chunks_mut::<LANES>();
                for (entries, gradients) in entries.iter().zip(gradients) {
                    let mut products = [V::zero(); LANES];
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
unsafe fn dot<V: Vector, const P: usize>(source: *const Lane, entry: &Entry, pixels: &[V; P]) -> V {
    let mut sum = V::zero();
    for (p, pixel) in pixels.iter().enumerate() {
        // SAFETY: by this function's contract.
        sum = V::load(unsafe { &*source.byte_add(entry.offset as usize).add(p) }).mul_add(*pixel, sum);
    }
    sum
}

#[inline(always)]
fn body<V: Vector>(taps: &Taps, factors: Factors<'_>, totals: &mut [Lane]) {
    let Factors { strip, source, gradient } = factors;
    strip.check(taps.rows, taps.reach, source.len(), gradient.len());
    assert_eq!(totals.len(), taps.entries.len(), "one total per tap");
    tiles!(strip, column, [R, P, S], T in [1] => {
        // SAFETY: `check` has compared all offsets with the slices' lengths, and the tile lies inside the
        // strip; there is a total for each tap.
        unsafe {
            let source = source.as_ptr().add(strip.source + column * S);
            let gradient = gradient.as_ptr().add(strip.target + column * T);
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
    source: *const Lane,
    gradient: *const Lane,
    totals: &mut [Lane],
) {
    for block in 0..taps.blocks {
        for row in 0..taps.rows {
            // SAFETY: block and row are in range; all lanes are inside by this function's contract.
            unsafe {
                let range = taps.range(block, row);
                let gradient = gradient.add(row * strip.target_channel);
                let mut tile = [[V::zero(); P]; R];
                load(&mut tile, gradient, [strip.target_row, 1], R);
                let totals = totals.get_unchecked_mut(range.clone());
                for (entry, total) in taps.entries.get_unchecked(range).iter().zip(totals) {
                    let lanes = source.byte_add(entry.offset as usize);
                    let mut sum = V::load(total);
                    for (r, tile) in tile.iter().enumerate() {
                        for (p, gradient) in tile.iter().enumerate() {
                            let lane = V::load(&*lanes.add(r * strip.source_row + p * S));
                            sum = lane.mul_add(*gradient, sum);
                        }
                    }
                    sum.store(total);
                }
            }
        }
    }
}
