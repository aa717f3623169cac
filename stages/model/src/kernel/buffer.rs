//! Memory for numbers that kernels read and write.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::kernel::storage::Stored;

/// A cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
struct Line([u8; 64]);

/// Numbers the first of which begins a cache line, so that no vector lies in two.
#[derive(Clone, Debug)]
pub(crate) struct Buffer<S> {
    lines: Vec<Line>,
    len: usize,
    numbers: PhantomData<S>,
}

impl<S> Default for Buffer<S> {
    fn default() -> Self {
        Self { lines: vec![], len: 0, numbers: PhantomData }
    }
}

impl<S: Stored> Buffer<S> {
    /// Lets the buffer have at least this length, whatever it holds; what is new is 0.
    pub(crate) fn make_room(&mut self, numbers: usize) {
        if self.len < numbers {
            self.lines.resize((numbers * size_of::<S>()).div_ceil(size_of::<Line>()), Line([0; 64]));
            self.len = numbers;
        }
    }

    /// Gives the buffer a length and fills it with zeros.
    pub(crate) fn clear(&mut self, numbers: usize) {
        self.lines.clear();
        self.len = 0;
        self.make_room(numbers);
    }
}

impl<S: Stored> Deref for Buffer<S> {
    type Target = [S];

    fn deref(&self) -> &[S] {
        // SAFETY: the lines hold `len` numbers at least: zeros, as `Stored` promises, or what was written.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<S: Stored> DerefMut for Buffer<S> {
    fn deref_mut(&mut self) -> &mut [S] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
