//! The arithmetic of eight numbers, for which every kernel is written.

use crate::lane::{LANES, Lane};

/// Eight numbers and what kernels do with them. All methods must be inlined into the entry point that has the
/// instructions.
pub(crate) trait Vector: Copy {
    /// The same number eight times.
    fn splat(value: f32) -> Self;
    /// The eight numbers of a lane.
    fn load(lane: &Lane) -> Self;
    /// Writes the eight numbers.
    fn store(self, lane: &mut Lane);
    /// Sums.
    fn add(self, other: Self) -> Self;
    /// `self · by + plus`, rounded once or twice.
    fn mul_add(self, by: Self, plus: Self) -> Self;
    /// The greater of 0 and the number; NaN stays.
    fn relu(self) -> Self;
    /// The number where `sign` is above 0, elsewhere 0.
    fn where_positive(self, sign: Self) -> Self;
    /// The number where the mask says so, elsewhere 0, whatever the number.
    fn keep(self, mask: LaneMask) -> Self;

    /// The sum of the eight numbers, in the order of [`Lane::sum`].
    fn sum(self) -> f32;

    /// The sum of each of eight vectors, each in the order of [`Lane::sum`].
    #[inline(always)]
    fn sums(vectors: [Self; LANES]) -> [f32; LANES] {
        vectors.map(Self::sum)
    }

    /// Eight zeros.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0.0)
    }
}

/// Which of the eight samples are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneMask(pub(super) Lane);

impl LaneMask {
    /// The first `samples` of eight.
    pub(crate) fn first(samples: usize) -> Self {
        let mut lane = Lane::ZERO;
        lane.0[..samples.min(LANES)].fill(f32::from_bits(u32::MAX));
        Self(lane)
    }
}
