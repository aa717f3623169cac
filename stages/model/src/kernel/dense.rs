//! The product kernel for layers most of whose weights exist: four written channels share each input they
//! read.
//!
//! For each four channels and tile of two pixels eight sums stay in registers. A place that any of the four
//! reads costs two loads for eight multiply-adds, so unlike the sparse kernel this one is not bound by loads
//! but by multiply-adds; weights that do not exist are multiplied as zeros.

use crate::kernel::gather::{Gather, add_moments, load, store};
use crate::kernel::taps::{Extents, Tap, bytes};
use crate::kernel::vector::Vector;
use crate::kernel::{Stored, entry};

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
    /// Numbers of a lane: offsets are in bytes.
    lanes: usize,
}

impl Panels {
    /// Sorts `taps` by block of read channels and four written channels. Weights are zero until
    /// [`Panels::refresh`].
    ///
    /// # Panics
    /// If an offset does not fit 32 bits of bytes.
    pub(crate) fn new(extents: Extents, taps: impl Iterator<Item = Tap> + Clone) -> Self {
        let Extents { rows, columns, block, lanes } = extents;
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
            offsets: places.iter().map(|(_, offset)| bytes(*offset, lanes)).collect(),
            weights: vec![[0.0; ROWS]; positions.len()],
            positions,
            reach: places.iter().map(|(_, offset)| offset + 1).max().unwrap_or(0),
            lanes,
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
    fn gather_dense<N>(panels: &Panels, job: Gather<'_, N>) = body
}

#[inline(always)]
fn body<V: Vector, N: Stored>(panels: &Panels, job: Gather<'_, N>) {
    job.check::<V>(panels.rows, panels.reach);
    assert_eq!(panels.lanes, V::LANES, "weights that were sorted for these kernels");
    let Gather { strip, source, target, accumulate, sums, partials } = job;
    let several = panels.starts.len() > 2;
    partials.make_room(if several { panels.rows.next_multiple_of(ROWS) * 2 * V::LANES } else { 0 });
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
                source: source.as_ptr().add((strip.source + column * strip.source_step) * V::LANES),
                next_source,
                target: target.as_mut_ptr().add((strip.target + column * strip.target_step) * V::LANES),
                steps: [strip.target_channel, next_target],
                partials: partials.as_mut_ptr(),
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
struct Tile<N> {
    source: *const f32,
    /// From the first pixel's window to the second's.
    next_source: usize,
    target: *mut N,
    /// From one channel to the next and from the first pixel to the second.
    steps: [usize; 2],
    /// Where sums wait for the next block of read channels.
    partials: *mut f32,
}

impl<N: Stored> Tile<N> {
    /// # Safety
    /// `P` pixels lie inside source and target for all places and channels, `partials` has as many lanes for
    /// each channel if there are several blocks, and `sums` is empty or holds two lanes per channel.
    #[inline(always)]
    unsafe fn run<V: Vector, const P: usize>(&self, panels: &Panels, accumulate: bool, sums: &mut [f32]) {
        let blocks = panels.starts.len() - 1;
        for block in 0..blocks {
            let places = panels.starts[block] as usize..panels.starts[block + 1] as usize;
            let last = block + 1 == blocks;
            let offsets = &panels.offsets[places.clone()];
            let mut weights = &panels.weights[places.start * panels.rows.div_ceil(ROWS)..];
            for first in (0..panels.rows).step_by(ROWS) {
                let (own, rest) = weights.split_at(offsets.len());
                weights = rest;
                let rows = ROWS.min(panels.rows - first);
                let mut sum = [[V::zero(); P]; ROWS];
                // SAFETY: the rows exist; all lanes are inside by this function's contract.
                unsafe {
                    let target = self.target.add(first * self.steps[0] * V::LANES);
                    let partial = self.partials.wrapping_add(first * P * V::LANES);
                    if block > 0 {
                        load(&mut sum, partial, [P, 1], rows);
                    } else if accumulate {
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
                        let lane = row * P * V::LANES;
                        match last {
                            false => store(&[*sum], partial.wrapping_add(lane), [P, 1], 1),
                            true => store(
                                &[*sum],
                                target.add(row * self.steps[0] * V::LANES),
                                [0, self.steps[1]],
                                1,
                            ),
                        }
                        if last && !sums.is_empty() {
                            add_moments(&[*sum], &mut sums[2 * (first + row) * V::LANES..]);
                        }
                    }
                }
            }
        }
    }
}
