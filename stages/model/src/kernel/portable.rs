//! Vectors in plain Rust: eight numbers in an array, which compilers turn into what the target has.

use crate::kernel::vector::{LaneMask, Vector};
use crate::lane::{LANES, Lane};

/// Eight numbers.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, function: impl Fn(f32, f32) -> f32) -> Self {
        let mut result = self.0;
        for (result, other) in result.iter_mut().zip(other.0) {
            *result = function(*result, other);
        }
        Self(result)
    }
}

impl Vector for Portable {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(lane: &Lane) -> Self {
        Self(lane.0)
    }

    #[inline(always)]
    fn store(self, lane: &mut Lane) {
        lane.0 = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        // Not `f32::mul_add`: without the instruction that is a call into a library.
        self.zip(by, |a, b| a * b).add(plus)
    }

    #[inline(always)]
    fn relu(self) -> Self {
        self.zip(self, |a, _| if a < 0.0 { 0.0 } else { a })
    }

    #[inline(always)]
    fn where_positive(self, sign: Self) -> Self {
        self.zip(sign, |a, sign| if sign > 0.0 { a } else { 0.0 })
    }

    #[inline(always)]
    fn keep(self, mask: LaneMask) -> Self {
        self.zip(Self(mask.0.0), |a, mask| f32::from_bits(a.to_bits() & mask.to_bits()))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        Lane(self.0).sum()
    }
}
