//! The product kernel: outputs of convolutions and linear layers, and gradients of their inputs.
//!
//! For each written channel and tile of up to 2 · 7 pixels the sums stay in registers while the kernel runs
//! over that channel's existing weights: each weight costs one broadcast and one multiply-add with a memory
//! operand per pixel.

use crate::kernel::finish::{Finish, Site};
use crate::kernel::taps::Taps;
use crate::kernel::vector::Vector;
use crate::kernel::{Buffer, Stored, entry, with_constant};

/// One or two neighbouring rows of pixels: where their windows begin and where their sums go, in lanes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strip {
    /// The first pixel's window in the source.
    pub(crate) source: usize,
    /// From one row's windows to the next row's.
    pub(crate) source_row: usize,
    /// From one pixel's window to the next: 1 or 2.
    pub(crate) source_step: usize,
    /// The first pixel of channel 0 in the target.
    pub(crate) target: usize,
    /// From one row of the target to the next.
    pub(crate) target_row: usize,
    /// From one channel of the target to the next.
    pub(crate) target_channel: usize,
    /// From one pixel of the target to the next: 1 or 2.
    pub(crate) target_step: usize,
    /// Rows: 1 or 2.
    pub(crate) rows: usize,
    /// Pixels in a row.
    pub(crate) columns: usize,
}

/// What a product kernel does: reads one strip's windows and writes its sums.
#[derive(Debug)]
pub(crate) struct Gather<'a, 'b, N> {
    pub(crate) strip: Strip,
    pub(crate) source: &'a [f32],
    pub(crate) target: &'a mut [N],
    /// Whether the sums are added to what is there.
    pub(crate) accumulate: bool,
    /// What becomes of the sums.
    pub(crate) finish: Finish<'a, 'b, N>,
    /// Room for sums of which a block of read channels is only a part.
    pub(crate) partials: &'a mut Buffer<f32>,
}

impl<N: Stored> Gather<'_, '_, N> {
    /// Panics unless everything lies inside the slices, for so many written channels and windows that reach
    /// `reach` lanes far.
    #[inline(always)]
    pub(super) fn check<V: Vector>(&self, rows: usize, reach: usize) {
        self.strip.check::<V>(rows, reach, self.source.len(), self.target.len());
        self.finish.check::<V>(rows, self.target.len());
    }
}

impl Strip {
    /// Panics unless the windows of all pixels, which reach `reach` lanes far, lie inside a source and the
    /// sums of `rows` channels inside a target of so many numbers.
    #[inline(always)]
    pub(super) fn check<V: Vector>(&self, rows: usize, reach: usize, source: usize, target: usize) {
        let [source, target] = [source, target].map(|numbers| numbers / V::LANES);
        assert!(matches!(self.rows, 1 | 2) && self.columns > 0, "a strip is one or two rows of pixels");
        let pixels = (self.rows - 1) * self.source_row + (self.columns - 1) * self.source_step;
        assert!(
            reach == 0 || self.source + pixels + reach <= source,
            "windows reach behind the source: {self:?}, {pixels} + {reach}, length {source}",
        );
        let pixels = (self.rows - 1) * self.target_row + (self.columns - 1) * self.target_step;
        let channels = rows.saturating_sub(1) * self.target_channel;
        assert!(self.target + pixels + channels < target, "the strip reaches behind the target: {self:?}");
    }
}

/// The next tile's width where `left` pixels of a row of `columns` are left: 7 where rows are made of sevens,
/// else 4.
#[inline(always)]
pub(super) fn tile_width(columns: usize, left: usize) -> usize {
    if columns.is_multiple_of(7) { 7 } else { left.min(4) }
}

/// Goes through the tiles of a strip, from left to right. In `$tile` these are constants: the tile's rows and
/// columns and the strip's step in the source.
macro_rules! tiles {
    ($strip:ident, $column:ident, [$R:ident, $P:ident, $S:ident] => $tile:expr) => {
        with_constant!($R = $strip.rows, [1, 2] => with_constant!($S = $strip.source_step, [1, 2] => {
            let mut $column = 0;
            while $column < $strip.columns {
                let width = tile_width($strip.columns, $strip.columns - $column);
                with_constant!($P = width, [7, 4, 3, 2, 1] => $tile);
                $column += width;
            }
        }))
    };
}
pub(super) use tiles;

entry! {
    /// Writes, for each channel and pixel of the strip, the sum of existing weights times the lanes they
    /// point at.
    ///
    /// # Panics
    /// If taps, strip and slices do not fit together.
    fn gather<N>(taps: &Taps, job: Gather<'_, '_, N>) = body
}

#[inline(always)]
fn body<V: Vector, N: Stored>(taps: &Taps, mut job: Gather<'_, '_, N>) {
    job.check::<V>(taps.rows, taps.reach);
    taps.check::<V>();
    let strip = job.strip;
    let pixels = strip.rows * strip.columns.min(TILE);
    job.partials.make_room(if taps.blocks > 1 { taps.rows * pixels * V::LANES } else { 0 });
    tiles!(strip, column, [R, P, S] => {
        // SAFETY: `check` has compared all offsets with the slices' lengths, and the finish; the tile lies
        // inside the strip, and there is room for its parts.
        unsafe { tile::<V, N, R, P, S>(taps, &mut job, column) };
    });
}

/// The most pixels in a row of a tile.
const TILE: usize = 7;

/// Computes a tile, the pixels whose sums fit into registers, from a column of the strip on.
///
/// # Safety
/// `R` rows of `P` pixels, `S` lanes apart in the source, lie inside source and target for all taps and
/// channels, there is room for as many parts of sums for each channel if there are several blocks, and the
/// finish fits the target.
#[inline(always)]
unsafe fn tile<V: Vector, N: Stored, const R: usize, const P: usize, const S: usize>(
    taps: &Taps,
    job: &mut Gather<'_, '_, N>,
    column: usize,
) {
    let strip = job.strip;
    let steps = [strip.target_row, strip.target_step];
    let numbers = [steps[0] * V::LANES, steps[1] * V::LANES];
    // Without weights there need not be a source.
    let source = job.source.as_ptr().wrapping_add((strip.source + column * S) * V::LANES);
    let (target, partials) = (job.target.as_mut_ptr(), job.partials.as_mut_ptr());
    for block in 0..taps.blocks {
        let last = block + 1 == taps.blocks;
        for row in 0..taps.rows {
            // SAFETY: block and row are in range; all lanes are inside by this function's contract.
            unsafe {
                let entries = taps.entries.get_unchecked(taps.range(block, row));
                let first =
                    (strip.target + column * strip.target_step + row * strip.target_channel) * V::LANES;
                let partial = partials.wrapping_add(row * R * P * V::LANES);
                let mut sum = [[V::zero(); P]; R];
                if block > 0 {
                    load(&mut sum, partial, [P, 1]);
                } else if job.accumulate {
                    load(&mut sum, target.add(first), steps);
                }
                for entry in entries {
                    let weight = V::splat(entry.weight);
                    let lanes = source.byte_add(entry.offset as usize);
                    for (r, sum) in sum.iter_mut().enumerate() {
                        for (p, sum) in sum.iter_mut().enumerate() {
                            let lane = V::load(lanes.add((r * strip.source_row + p * S) * V::LANES));
                            *sum = lane.mul_add(weight, *sum);
                        }
                    }
                }
                if last {
                    job.finish.apply(&mut sum, Site { first, steps: numbers, channel: row });
                    store(&sum, target.add(first), steps);
                } else {
                    store(&sum, partial, [P, 1]);
                }
            }
        }
    }
}

/// Reads a tile whose rows and pixels lie `steps` lanes apart.
///
/// # Safety
/// All of it can be read.
#[inline(always)]
pub(super) unsafe fn load<V: Vector, N: Stored, const R: usize, const P: usize>(
    tile: &mut [[V; P]; R],
    from: *const N,
    steps: [usize; 2],
) {
    for (r, tile) in tile.iter_mut().enumerate() {
        for (p, lane) in tile.iter_mut().enumerate() {
            // SAFETY: by this function's contract.
            *lane = unsafe { N::load(from.add((r * steps[0] + p * steps[1]) * V::LANES)) };
        }
    }
}

/// Writes it.
///
/// # Safety
/// All of it can be written.
#[inline(always)]
pub(super) unsafe fn store<V: Vector, N: Stored, const R: usize, const P: usize>(
    tile: &[[V; P]; R],
    to: *mut N,
    steps: [usize; 2],
) {
    for (r, tile) in tile.iter().enumerate() {
        for (p, lane) in tile.iter().enumerate() {
            // SAFETY: by this function's contract.
            unsafe { N::store(*lane, to.add((r * steps[0] + p * steps[1]) * V::LANES)) };
        }
    }
}
