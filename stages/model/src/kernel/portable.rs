//! Vectors in plain Rust: eight numbers in an array, which compilers turn into what the target has.

use crate::kernel::storage::{Bf16, Stored};
use crate::kernel::vector::{LaneMask, Vector};

const LANES: usize = 8;

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
    const LANES: usize = LANES;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: by this function's contract; an array is aligned like its numbers.
        Self(unsafe { *from.cast() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: by this function's contract; an array is aligned like its numbers.
        unsafe { *to.cast() = self.0 }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: by this function's contract; an array is aligned like its numbers.
        let numbers: [Bf16; LANES] = unsafe { *from.cast() };
        Self(numbers.map(Bf16::get))
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        // SAFETY: by this function's contract; an array is aligned like its numbers.
        unsafe { *to.cast() = self.0.map(Bf16::of) }
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
    fn keep(self, mask: &LaneMask) -> Self {
        self.zip(Self::read(&mask.0), |a, mask| f32::from_bits(a.to_bits() & mask.to_bits()))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}
