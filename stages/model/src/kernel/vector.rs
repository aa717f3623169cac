//! The arithmetic of as many numbers as a register holds, for which every kernel is written.

use crate::kernel::storage::Stored;

/// The most numbers that a vector has.
pub(crate) const MOST_LANES: usize = 16;

/// As many numbers as a register, or two of them, hold, and what kernels do with them. All methods must be
/// inlined into the entry point that has the instructions.
pub(crate) trait Vector: Copy {
    /// How many numbers: 8 or 16.
    const LANES: usize;
    /// How many vectors fit into registers: 16 or 32.
    const REGISTERS: usize = 16;

    /// The same number in every lane.
    fn splat(value: f32) -> Self;
    /// The numbers from `from` on.
    ///
    /// # Safety
    /// So many can be read.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes the numbers from `to` on.
    ///
    /// # Safety
    /// So many can be written.
    unsafe fn store(self, to: *mut f32);
    /// As many numbers of [`Bf16`](super::Bf16) from `from` on.
    ///
    /// # Safety
    /// So many can be read.
    unsafe fn load_bf16(from: *const u16) -> Self;
    /// Writes the numbers, rounded to the nearest of [`Bf16`](super::Bf16), to even of two.
    ///
    /// # Safety
    /// So many can be written.
    unsafe fn store_bf16(self, to: *mut u16);
    /// Sums.
    fn add(self, other: Self) -> Self;
    /// `self · by + plus`, rounded once or twice.
    fn mul_add(self, by: Self, plus: Self) -> Self;
    /// The greater of 0 and the number; NaN stays.
    fn relu(self) -> Self;
    /// The number where `sign` is above 0, elsewhere 0.
    fn where_positive(self, sign: Self) -> Self;
    /// The number where the mask says so, elsewhere 0, whatever the number.
    fn keep(self, mask: &LaneMask) -> Self;

    /// The sum of the numbers: that of the upper and the lower half, lane by lane, is halved again, until one
    /// number is left.
    fn sum(self) -> f32;

    /// The sum of each of eight vectors, each in the order of [`Vector::sum`].
    #[inline(always)]
    fn sums(vectors: [Self; 8]) -> [f32; 8] {
        vectors.map(Self::sum)
    }

    /// Zeros.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0.0)
    }

    /// The first numbers of a slice.
    ///
    /// # Panics
    /// If there are too few.
    #[inline(always)]
    fn read<S: Stored>(numbers: &[S]) -> Self {
        assert!(numbers.len() >= Self::LANES, "a vector's numbers");
        // SAFETY: they are there.
        unsafe { S::load(numbers.as_ptr()) }
    }

    /// Writes the first numbers of a slice.
    ///
    /// # Panics
    /// If there are too few.
    #[inline(always)]
    fn write<S: Stored>(self, numbers: &mut [S]) {
        assert!(numbers.len() >= Self::LANES, "a vector's numbers");
        // SAFETY: they are there.
        unsafe { S::store(self, numbers.as_mut_ptr()) }
    }
}

/// Which of a group's samples are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneMask(pub(super) [f32; MOST_LANES]);

impl LaneMask {
    /// The first `samples`, or all.
    pub(crate) fn first(samples: usize) -> Self {
        let mut bits = [0.0; MOST_LANES];
        bits[..samples.min(MOST_LANES)].fill(f32::from_bits(u32::MAX));
        Self(bits)
    }
}
