//! Vectors of NEON, which every 64-bit ARM has: eight numbers in two registers.

use std::arch::aarch64::*;

use crate::kernel::vector::{LaneMask, Vector};

/// Eight numbers.
#[derive(Clone, Copy)]
pub(crate) struct Neon(float32x4_t, float32x4_t);

impl Neon {
    #[inline(always)]
    fn map(self, function: impl Fn(float32x4_t) -> float32x4_t) -> Self {
        Self(function(self.0), function(self.1))
    }

    #[inline(always)]
    fn zip(self, other: Self, function: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
        Self(function(self.0, other.0), function(self.1, other.1))
    }
}

// NEON belongs to the target, so its functions are safe to call wherever they are inlined; pointers are good
// for eight numbers by the contracts of the functions that take them.
#[expect(clippy::undocumented_unsafe_blocks, reason = "the comment above holds for all of them")]
impl Vector for Neon {
    const LANES: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        let four = unsafe { vdupq_n_f32(value) };
        Self(four, four)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(vld1q_f32(from), vld1q_f32(from.add(4))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe {
            vst1q_f32(to, self.0);
            vst1q_f32(to.add(4), self.1);
        }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        unsafe {
            let numbers = vld1q_u16(from);
            let low = vshll_n_u16::<16>(vget_low_u16(numbers));
            let high = vshll_n_u16::<16>(vget_high_u16(numbers));
            Self(vreinterpretq_f32_u32(low), vreinterpretq_f32_u32(high))
        }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        // What is done to the bits is explained at `Bf16`.
        let upper = |a| unsafe {
            let bits = vreinterpretq_u32_f32(a);
            let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
            let rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF)));
            let nan = vorrq_u32(bits, vdupq_n_u32(0x40_0000));
            let is_tiny = vceqq_u32(vandq_u32(bits, vdupq_n_u32(0x7F80_0000)), vdupq_n_u32(0));
            let kept = vbslq_u32(vceqq_f32(a, a), rounded, nan);
            vshrn_n_u32::<16>(vbicq_u32(kept, vshrq_n_u32::<1>(is_tiny)))
        };
        unsafe { vst1q_u16(to, vcombine_u16(upper(self.0), upper(self.1))) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| unsafe { vaddq_f32(a, b) })
    }

    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        let fma = |plus, a, by| unsafe { vfmaq_f32(plus, a, by) };
        Self(fma(plus.0, self.0, by.0), fma(plus.1, self.1, by.1))
    }

    #[inline(always)]
    fn relu(self) -> Self {
        // Not the greatest of two: that makes +0 of −0.
        let zero = Self::zero().0;
        self.map(|a| unsafe { vbslq_f32(vcltq_f32(a, zero), zero, a) })
    }

    #[inline(always)]
    fn where_positive(self, sign: Self) -> Self {
        let zero = Self::zero().0;
        self.zip(sign, |a, sign| unsafe { vbslq_f32(vcgtq_f32(sign, zero), a, zero) })
    }

    #[inline(always)]
    fn keep(self, mask: &LaneMask) -> Self {
        let and = |a, mask| unsafe {
            vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(mask)))
        };
        self.zip(Self::read(&mask.0), and)
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe {
            let four = vaddq_f32(self.0, self.1);
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }
    }
}
