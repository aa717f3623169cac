//! The product kernel for layers most of whose weights exist: four written channels share each input they
//! read.
//!
//! For each four channels and tile of two pixels eight sums stay in registers, or sixteen of four pixels
//! where there are 32 registers. A place that any of the four reads costs a load for each pixel and four for
//! the weights, so unlike the sparse kernel this one is not bound by loads but by multiply-adds; weights that
//! do not exist are multiplied as zeros.

use crate::kernel::finish::{Finish, Site};
use crate::kernel::gather::{Gather, Strip, load, store};
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
    fn gather_dense<N>(panels: &Panels, job: Gather<'_, '_, N>) = body
}

#[inline(always)]
fn body<V: Vector, N: Stored>(panels: &Panels, job: Gather<'_, '_, N>) {
    job.check::<V>(panels.rows, panels.reach);
    assert_eq!(panels.lanes, V::LANES, "weights that were sorted for these kernels");
    let Gather { strip, source, target, accumulate, mut finish, partials } = job;
    let several = panels.starts.len() > 2;
    let most = panels.rows.next_multiple_of(ROWS) * PIXELS * V::LANES;
    partials.make_room(if several { most } else { 0 });
    let mut column = 0;
    while column < strip.columns {
        // SAFETY: `check` has compared all offsets with the slices' lengths, and the finish.
        unsafe {
            let tile = Tile {
                // Without weights in a phase there need not be a source.
                source: source.as_ptr().wrapping_add((strip.source + column * strip.source_step) * V::LANES),
                target: target.as_mut_ptr(),
                first: (strip.target + column * strip.target_step) * V::LANES,
                partials: partials.as_mut_ptr(),
            };
            let left = strip.columns - column;
            column += match (strip.rows, V::REGISTERS) {
                (2, 32) if left > 1 => tile.run::<V, 2, 2>(panels, &strip, accumulate, &mut finish),
                (2, _) => tile.run::<V, 2, 1>(panels, &strip, accumulate, &mut finish),
                (_, 32) if left > 3 => tile.run::<V, 1, 4>(panels, &strip, accumulate, &mut finish),
                _ if left > 1 => tile.run::<V, 1, 2>(panels, &strip, accumulate, &mut finish),
                _ => tile.run::<V, 1, 1>(panels, &strip, accumulate, &mut finish),
            };
        }
    }
}

/// The most pixels of a tile.
const PIXELS: usize = 4;

/// The pixels whose sums fit into registers, for four channels.
struct Tile<N> {
    source: *const f32,
    target: *mut N,
    /// The number in the target at which the tile begins.
    first: usize,
    /// Where sums wait for the next block of read channels.
    partials: *mut f32,
}

impl<N: Stored> Tile<N> {
    /// Computes `R` rows of `P` pixels; `P`.
    ///
    /// # Safety
    /// The pixels lie inside source and target for all places and channels, `partials` has as many lanes for
    /// each channel if there are several blocks, and the finish fits the target.
    #[inline(always)]
    unsafe fn run<V: Vector, const R: usize, const P: usize>(
        &self,
        panels: &Panels,
        strip: &Strip,
        accumulate: bool,
        finish: &mut Finish<'_, '_, N>,
    ) -> usize {
        let (sources, targets) =
            ([strip.source_row, strip.source_step], [strip.target_row, strip.target_step]);
        let numbers = [targets[0] * V::LANES, targets[1] * V::LANES];
        let blocks = panels.starts.len() - 1;
        for block in 0..blocks {
            let places = panels.starts[block] as usize..panels.starts[block + 1] as usize;
            let last = block + 1 == blocks;
            let offsets = &panels.offsets[places.clone()];
            let mut weights = &panels.weights[places.start * panels.rows.div_ceil(ROWS)..];
            for channel in (0..panels.rows).step_by(ROWS) {
                let (own, rest) = weights.split_at(offsets.len());
                weights = rest;
                let rows = ROWS.min(panels.rows - channel);
                let mut begun = [[[V::zero(); P]; R]; ROWS];
                // SAFETY: the rows exist; all lanes are inside by this function's contract.
                unsafe {
                    let first = self.first + channel * strip.target_channel * V::LANES;
                    let partial = self.partials.wrapping_add(channel * R * P * V::LANES);
                    for (row, sum) in begun.iter_mut().enumerate().take(rows) {
                        if block > 0 {
                            load(sum, partial.add(row * R * P * V::LANES), [P, 1]);
                        } else if accumulate {
                            let first = first + row * strip.target_channel * V::LANES;
                            load(sum, self.target.add(first), targets);
                        }
                    }
                    // Copies, because a list of which a number of rows is used that is known at run time
                    // only is not kept in registers.
                    let mut sums = begun;
                    for (offset, weights) in offsets.iter().zip(own) {
                        let mut lanes = [[V::zero(); P]; R];
                        load(&mut lanes, self.source.byte_add(*offset as usize), sources);
                        for (sum, weight) in sums.iter_mut().zip(weights) {
                            let weight = V::splat(*weight);
                            for (sum, lanes) in sum.iter_mut().zip(&lanes) {
                                for (sum, lane) in sum.iter_mut().zip(lanes) {
                                    *sum = lane.mul_add(weight, *sum);
                                }
                            }
                        }
                    }
                    let mut done = sums;
                    for (row, sum) in done.iter_mut().enumerate().take(rows) {
                        if last {
                            let first = first + row * strip.target_channel * V::LANES;
                            finish.apply(sum, Site { first, steps: numbers, channel: channel + row });
                            store(sum, self.target.add(first), targets);
                        } else {
                            store(sum, partial.add(row * R * P * V::LANES), [P, 1]);
                        }
                    }
                }
            }
        }
        P
    }
}
