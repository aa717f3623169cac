//! The rows of an image that the kernels need at a time, packed.

use std::ops::Range;

use crate::description::Packed;
use crate::kernel::PackedRow;

/// Rows of a packed image, as many as fit the second-level cache beside what else an operation touches: the
/// image goes through them from top to bottom.
pub(super) struct Rolling<'a> {
    packed: Packed,
    /// Rows of pixels of the image.
    height: usize,
    lanes: usize,
    numbers: &'a mut [f32],
    /// The packed row that comes first.
    first: usize,
    /// The rows below this have been packed.
    end: usize,
}

impl<'a> Rolling<'a> {
    /// Rows in `numbers`, which hold zeros beside all pixels.
    pub(super) fn new(packed: Packed, height: usize, lanes: usize, numbers: &'a mut [f32]) -> Self {
        Self { packed, height, lanes, numbers, first: 0, end: 0 }
    }

    /// Begins at the top of another image.
    pub(super) fn restart(&mut self) {
        (self.first, self.end) = (0, 0);
    }

    /// Makes the packed rows `wanted` be there, as far as the image has them; rows above may go. `pack` packs
    /// a row of pixels, which is not there yet, to where it is told. Returns the rows of pixels it packed.
    pub(super) fn fill(
        &mut self,
        wanted: Range<usize>,
        mut pack: impl FnMut(usize, PackedRow<'_>),
    ) -> Range<usize> {
        let Packed { top, left, rows, pitch, columns } = self.packed;
        let (until, row) = (wanted.end.min(rows), pitch * self.lanes);
        if (until - self.first) * row > self.numbers.len() {
            let first = wanted.start.min(self.end);
            self.numbers.copy_within((first - self.first) * row..(self.end - self.first) * row, 0);
            self.first = first;
        }
        let fresh = self.end..until.max(self.end);
        for blank in fresh.clone().filter(|blank| *blank < top || top + self.height <= *blank) {
            self.numbers[(blank - self.first) * row..][..row].fill(0.0);
        }
        self.end = fresh.end;
        let [first, last] = [fresh.start, fresh.end].map(|row| row.saturating_sub(top).min(self.height));
        for row in first..last {
            let start = (top + row - self.first) * pitch + left;
            pack(row, PackedRow { lanes: self.numbers, start, channel_step: columns, pixel_step: 1 });
        }
        first..last
    }

    /// All of these rows of the pixels, with the zeros beside them.
    pub(super) fn rows(&mut self, rows: Range<usize>) -> &mut [f32] {
        let Packed { top, pitch, .. } = self.packed;
        let [first, last] =
            [rows.start, rows.end].map(|row| (top + row).saturating_sub(self.first) * pitch * self.lanes);
        &mut self.numbers[first..last]
    }

    /// What is there, from the first row on.
    pub(super) fn numbers(&self) -> &[f32] {
        self.numbers
    }

    /// Lanes from the first of [`Rolling::numbers`] to the packed row `row`.
    pub(super) fn lanes_to(&self, row: usize) -> usize {
        (row - self.first) * self.packed.pitch
    }
}
