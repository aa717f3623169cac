//! The existing weights of a layer in the order in which a kernel runs over them.

use crate::kernel::vector::Vector;

/// A weight and the lane that it reads, counted in bytes from the tile's origin.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) offset: u32,
    pub(super) weight: f32,
}

/// A weight on its way into [`Taps`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    /// The channel it writes.
    pub(crate) row: usize,
    /// The channel it reads.
    pub(crate) column: usize,
    /// The lane it reads, from the tile's origin.
    pub(crate) offset: usize,
    /// Its position in the layer's list of existing weights.
    pub(crate) position: u32,
}

/// Bytes from a tile's origin to what lies so many lanes of `width` numbers behind it.
pub(super) fn bytes(lanes: usize, width: usize) -> u32 {
    u32::try_from(lanes * width * size_of::<f32>()).expect("a packed buffer is shorter than 4 GiB")
}

/// How a layer's weights are sorted for a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    /// Written channels.
    pub(crate) rows: usize,
    /// Read channels.
    pub(crate) columns: usize,
    /// How many of these a block holds.
    pub(crate) block: usize,
    /// Numbers of a lane.
    pub(crate) lanes: usize,
}

/// The existing weights of a layer, by block of read channels and written channel.
///
/// A block holds as many read channels as keep a tile's window in the first-level cache, or more where there
/// are few weights.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taps {
    pub(super) blocks: usize,
    pub(super) rows: usize,
    /// Where each block's rows begin in `entries`: `blocks · rows + 1` numbers.
    pub(super) starts: Vec<u32>,
    pub(super) entries: Vec<Entry>,
    /// For each entry, its position in the layer's list of existing weights.
    pub(crate) positions: Vec<u32>,
    /// No offset reaches this lane.
    pub(super) reach: usize,
    /// Numbers of a lane: offsets are in bytes.
    pub(super) lanes: usize,
}

impl Taps {
    /// Sorts `taps` by block of read channels and written channel. Within a row the order is that of `taps`.
    /// Weights are zero until [`Taps::refresh`].
    ///
    /// # Panics
    /// If an offset does not fit 32 bits of bytes.
    pub(crate) fn new(extents: Extents, taps: impl Iterator<Item = Tap> + Clone) -> Self {
        let Extents { rows, columns, block, lanes } = extents;
        let blocks = columns.div_ceil(block).max(1);
        // Divided once for a channel, not for a weight: a mask update spends most of its time here.
        let first_bins: Vec<usize> = (0..columns).map(|column| column / block * rows).collect();
        let bin = |tap: &Tap| first_bins[tap.column] + tap.row;
        let mut starts = vec![0_u32; blocks * rows + 1];
        for tap in taps.clone() {
            starts[bin(&tap) + 1] += 1;
        }
        for bin in 0..blocks * rows {
            starts[bin + 1] += starts[bin];
        }
        let count = starts[blocks * rows] as usize;
        let mut next = starts.clone();
        let mut entries = vec![Entry { offset: 0, weight: 0.0 }; count];
        let mut positions = vec![0; count];
        let mut reach = 0;
        for tap in taps {
            let place = &mut next[bin(&tap)];
            entries[*place as usize].offset = bytes(tap.offset, lanes);
            positions[*place as usize] = tap.position;
            reach = reach.max(tap.offset + 1);
            *place += 1;
        }
        Self { blocks, rows, starts, entries, positions, reach, lanes }
    }

    /// Panics unless they were sorted for these vectors; without weights there is nothing to sort.
    #[inline(always)]
    pub(super) fn check<V: Vector>(&self) {
        assert!(
            self.entries.is_empty() || self.lanes == V::LANES,
            "weights that were sorted for these kernels"
        );
    }

    /// Takes the weights from the layer's list.
    pub(crate) fn refresh(&mut self, values: &[f32]) {
        for (entry, position) in self.entries.iter_mut().zip(&self.positions) {
            entry.weight = values[*position as usize];
        }
    }

    /// The entries that `block` contributes to `row`.
    ///
    /// # Safety
    /// `block` and `row` are below `blocks` and `rows`.
    #[inline(always)]
    pub(super) unsafe fn range(&self, block: usize, row: usize) -> std::ops::Range<usize> {
        let bin = block * self.rows + row;
        // SAFETY: there are `blocks · rows + 1` starts.
        unsafe { *self.starts.get_unchecked(bin) as usize..*self.starts.get_unchecked(bin + 1) as usize }
    }
}
