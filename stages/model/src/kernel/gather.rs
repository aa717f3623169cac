//! The product kernel: outputs of convolutions and linear layers, and gradients of their inputs.
//!
//! For each written channel and tile of up to 2 · 7 pixels the sums stay in registers while the kernel runs
//! over that channel's existing weights: each weight costs one broadcast and one multiply-add with a memory
//! operand per pixel.

use crate::kernel::taps::Taps;
use crate::kernel::vector::Vector;
use crate::kernel::{entry, with_constant};
use crate::lane::Lane;

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
pub(crate) struct Gather<'a> {
    pub(crate) strip: Strip,
    pub(crate) source: &'a [Lane],
    pub(crate) target: &'a mut [Lane],
    /// Whether the sums are added to what is there.
    pub(crate) accumulate: bool,
    /// Nothing, or two lanes per channel, to which the sums of the results and of their squares are added.
    pub(crate) sums: &'a mut [Lane],
}

impl Gather<'_> {
    /// Panics unless everything lies inside the slices, for so many written channels and windows that reach
    /// `reach` lanes far.
    pub(super) fn check(&self, rows: usize, reach: usize) {
        self.strip.check(rows, reach, self.source.len(), self.target.len());
        assert!(self.sums.is_empty() || self.sums.len() >= 2 * rows, "two sums per channel");
    }
}

impl Strip {
    /// Panics unless the windows of all pixels, which reach `reach` lanes far, lie inside a source and the
    /// sums of `rows` channels inside a target of these lengths.
    pub(super) fn check(&self, rows: usize, reach: usize, source: usize, target: usize) {
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
/// columns and the strip's steps in the source and in the target, of which some are known.
macro_rules! tiles {
    ($strip:ident, $column:ident, [$R:ident, $P:ident, $S:ident], $T:ident in $steps:tt => $tile:expr) => {
        with_constant!($R = $strip.rows, [1, 2] => with_constant!($S = $strip.source_step, [1, 2] => {
            with_constant!($T = $strip.target_step, $steps => {
                let mut $column = 0;
                while $column < $strip.columns {
                    let width = tile_width($strip.columns, $strip.columns - $column);
                    with_constant!($P = width, [7, 4, 3, 2, 1] => $tile);
                    $column += width;
                }
            })
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
    fn gather(taps: &Taps, job: Gather<'_>) = body
}

#[inline(always)]
fn body<V: Vector>(taps: &Taps, job: Gather<'_>) {
    job.check(taps.rows, taps.reach);
    let Gather { strip, source, target, accumulate, sums } = job;
    tiles!(strip, column, [R, P, S], T in [1, 2] => {
        // SAFETY: `check` has compared all offsets with the slices' lengths, the tile lies inside the strip,
        // and the sums hold two lanes per channel.
        unsafe {
            let source = source.as_ptr().add(strip.source + column * S);
            let target = target.as_mut_ptr().add(strip.target + column * T);
            tile::<V, R, P, S, T>(taps, &strip, source, target, accumulate, sums);
        }
    });
}

/// Computes a tile: the pixels whose sums fit into registers.
///
/// # Safety
/// `R` rows of `P` pixels, `S` and `T` lanes apart, lie inside source and target for all taps and channels,
/// and `sums` is empty or holds two lanes per channel.
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const P: usize, const S: usize, const T: usize>(
    taps: &Taps,
    strip: &Strip,
    source: *const Lane,
    target: *mut Lane,
    accumulate: bool,
    sums: &mut [Lane],
) {
    for block in 0..taps.blocks {
        let fresh = block == 0 && !accumulate;
        let last = block + 1 == taps.blocks;
        for row in 0..taps.rows {
            // SAFETY: block and row are in range; all lanes are inside by this function's contract.
            unsafe {
                let entries = taps.entries.get_unchecked(taps.range(block, row));
                let target = target.add(row * strip.target_channel);
                let mut sum = [[V::zero(); P]; R];
                if !fresh {
                    load(&mut sum, target, [strip.target_row, T], R);
                }
                for entry in entries {
                    let weight = V::splat(entry.weight);
                    let lanes = source.byte_add(entry.offset as usize);
                    for (r, sum) in sum.iter_mut().enumerate() {
                        for (p, sum) in sum.iter_mut().enumerate() {
                            *sum = V::load(&*lanes.add(r * strip.source_row + p * S)).mul_add(weight, *sum);
                        }
                    }
                }
                for (r, sum) in sum.iter().enumerate() {
                    for (p, sum) in sum.iter().enumerate() {
                        sum.store(&mut *target.add(r * strip.target_row + p * T));
                    }
                }
                if last && !sums.is_empty() {
                    add_moments(&sum, sums.get_unchecked_mut(2 * row..2 * row + 2));
                }
            }
        }
    }
}

/// Reads the first `rows` rows of a tile, whose rows and pixels lie `steps` lanes apart.
///
/// # Safety
/// All of them can be read.
#[inline(always)]
pub(super) unsafe fn load<V: Vector, const R: usize, const P: usize>(
    tile: &mut [[V; P]; R],
    from: *const Lane,
    steps: [usize; 2],
    rows: usize,
) {
    for (r, tile) in tile.iter_mut().enumerate().take(rows) {
        for (p, lane) in tile.iter_mut().enumerate() {
            // SAFETY: by this function's contract.
            *lane = V::load(unsafe { &*from.add(r * steps[0] + p * steps[1]) });
        }
    }
}

/// Adds the sum of a tile's values and that of their squares to two lanes.
#[inline(always)]
pub(super) fn add_moments<V: Vector, const R: usize, const P: usize>(tile: &[[V; P]; R], sums: &mut [Lane]) {
    // Two chains, so that one addition need not wait for the other.
    let (mut sum, mut square) = ([V::load(&sums[0]), V::zero()], [V::load(&sums[1]), V::zero()]);
    for row in tile {
        for (p, value) in row.iter().enumerate() {
            sum[p % 2] = sum[p % 2].add(*value);
            square[p % 2] = value.mul_add(*value, square[p % 2]);
        }
    }
    sum[0].add(sum[1]).store(&mut sums[0]);
    square[0].add(square[1]).store(&mut sums[1]);
}
