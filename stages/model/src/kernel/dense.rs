//! The product kernel for layers most of whose weights exist: four written channels share each input they
//! read.
//!
//! For each four channels and tile of two pixels eight sums stay in registers. A place that any of the four
//! reads costs two loads for eight multiply-adds, so unlike the sparse kernel this one is not bound by loads
//! but by multiply-adds; weights that do not exist are multiplied as zeros.

use crate::kernel::entry;
use crate::kernel::gather::{Gather, add_moments, load};
use crate::kernel::taps::{Tap, bytes};
use crate::kernel::vector::Vector;
use crate::lane::Lane;

/// Channels that are written together.
const ROWS: usize = 4;

/// Marks a place without a weight.
const ABSENT: u32 = u32::MAX;

/// The weights of a layer by block of read channels, four written channels, and place that is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panels {
    rows: usize,
    /// Where each block's places begin in `offsets`: one number more than blocks.
    starts: Vec<u32>,
    /// The places that are read, counted in bytes from the tile's origin.
    offsets: Vec<u32>,
    /// For each block, four written channels and place in it: the four weights.
    weights: Vec<[f32; ROWS]>,
    /// For each of these its position in the layer's list of existing weights.
    positions: Vec<[u32; ROWS]>,
    /// No offset reaches this lane.
    reach: usize,
}

impl Panels {
    /// Sorts `taps` into `rows` written channels and blocks of `block` out of `columns` read channels.
    /// Weights are zero until [`Panels::refresh`].
    ///
    /// # Panics
    /// If an offset does not fit 32 bits of bytes.
    pub(crate) fn new([rows, columns, block]: [usize; 3], taps: impl Iterator<Item = Tap> + Clone) -> Self {
        let blocks = columns.div_ceil(block).max(1);
        let (mut places, mut most): (Vec<(usize, usize)>, _) = (vec![], 1024);
        for tap in taps.clone() {
            places.push((tap.column, tap.offset));
            // Rows read the same places: never all of theirs at once.
            if places.len() == most {
                tidy(&mut places);
                most = 2 * places.len().max(1024);
            }
        }
        tidy(&mut places);
        let starts: Vec<u32> = (0..=blocks)
            .map(|number| places.partition_point(|(column, _)| *column < number * block) as u32)
            .collect();
        let panels = rows.div_ceil(ROWS);
        let mut positions = vec![[ABSENT; ROWS]; panels * places.len()];
        for tap in taps {
            let place = places.binary_search(&(tap.column, tap.offset)).expect("every tap is listed");
            let number = tap.column / block;
            let (start, end) = (starts[number] as usize, starts[number + 1] as usize);
            let panel = start * panels + tap.row / ROWS * (end - start);
            positions[panel + place - start][tap.row % ROWS] = tap.position;
        }
        Self {
            rows,
            starts,
            offsets: places.iter().map(|(_, offset)| bytes(*offset)).collect(),
            weights: vec![[0.0; ROWS]; positions.len()],
            positions,
            reach: places.iter().map(|(_, offset)| offset + 1).max().unwrap_or(0),
        }
    }

    /// Takes the weights from the layer's list.
    pub(crate) fn refresh(&mut self, values: &[f32]) {
        for (weights, positions) in self.weights.iter_mut().zip(&self.positions) {
            for (weight, position) in weights.iter_mut().zip(positions) {
                *weight = if *position == ABSENT { 0.0 } else { values[*position as usize] };
            }
        }
    }
}

/// Sorts places, each of them once.
fn tidy(places: &mut Vec<(usize, usize)>) {
    places.sort_unstable();
    places.dedup();
}

entry! {
    /// Writes what [`gather`](crate::kernel::gather::gather) writes, in another order of additions.
    ///
    /// # Panics
    /// If panels, strip and slices do not fit together.
    fn gather_dense(panels: &Panels, job: Gather<'_>) = body
}

#[inline(always)]
fn body<V: Vector>(panels: &Panels, job: Gather<'_>) {
    job.check(panels.rows, panels.reach);
    let Gather { strip, source, target, accumulate, sums } = job;
    // Tiles of two pixels: one below the other, or side by side in a strip of one row.
    let (step, next_source, next_target) = match strip.rows {
        2 => (1, strip.source_row, strip.target_row),
        _ => (2, strip.source_step, strip.target_step),
    };
    for column in (0..strip.columns).step_by(step) {
        // SAFETY: `check` has compared all offsets with the slices' lengths, and the sums hold two lanes per
        // channel.
        unsafe {
            let tile = Tile {
                source: source.as_ptr().add(strip.source + column * strip.source_step),
                next_source,
                target: target.as_mut_ptr().add(strip.target + column * strip.target_step),
                steps: [strip.target_channel, next_target],
            };
            if strip.rows == 2 || column + 1 < strip.columns {
                tile.run::<V, 2>(panels, accumulate, sums);
            } else {
                tile.run::<V, 1>(panels, accumulate, sums);
            }
        }
    }
}

/// The pixels whose sums fit into registers, for four channels.
struct Tile {
    source: *const Lane,
    /// From the first pixel's window to the second's.
    next_source: usize,
    target: *mut Lane,
    /// From one channel to the next and from the first pixel to the second.
    steps: [usize; 2],
}

impl Tile {
    /// # Safety
    /// `P` pixels lie inside source and target for all places and channels, and `sums` is empty or holds two
    /// lanes per channel.
    #[inline(always)]
    unsafe fn run<V: Vector, const P: usize>(&self, panels: &Panels, accumulate: bool, sums: &mut [Lane]) {
        let blocks = panels.starts.len() - 1;
        for block in 0..blocks {
            let places = panels.starts[block] as usize..panels.starts[block + 1] as usize;
            let (fresh, last) = (block == 0 && !accumulate, block + 1 == blocks);
            let offsets = &panels.offsets[places.clone()];
            let mut weights = &panels.weights[places.start * panels.rows.div_ceil(ROWS)..];
            for first in (0..panels.rows).step_by(ROWS) {
                let (own, rest) = weights.split_at(offsets.len());
                weights = rest;
                let rows = ROWS.min(panels.rows - first);
                let mut sum = [[V::zero(); P]; ROWS];
                // SAFETY: the rows exist; all lanes are inside by this function's contract.
                unsafe {
                    let target = self.target.add(first * self.steps[0]);
                    if !fresh {
                        load(&mut sum, target, self.steps, rows);
                    }
                    for (offset, weights) in offsets.iter().zip(own) {
                        let mut lanes = [[V::zero(); P]];
                        load(&mut lanes, self.source.byte_add(*offset as usize), [0, self.next_source], 1);
                        for (sum, weight) in sum.iter_mut().zip(weights) {
                            let weight = V::splat(*weight);
                            for (sum, lane) in sum.iter_mut().zip(lanes[0]) {
                                *sum = lane.mul_add(weight, *sum);
                            }
                        }
                    }
                    for (row, sum) in sum.iter().enumerate().take(rows) {
                        for (p, sum) in sum.iter().enumerate() {
                            sum.store(&mut *target.add(row * self.steps[0] + p * self.steps[1]));
                        }
                        if last && !sums.is_empty() {
                            add_moments(&[*sum], &mut sums[2 * (first + row)..][..2]);
                        }
                    }
                }
            }
        }
    }
}
