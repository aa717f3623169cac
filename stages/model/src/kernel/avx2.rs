//! Vectors of AVX2 with fused multiply-add.
//!
//! The methods are inlined into entry points compiled with these instructions, and nothing else calls them: a
//! [`Kernel`](crate::kernel::Kernel) leads there only on a machine that has them.

use std::arch::x86_64::*;

use crate::kernel::vector::{LaneMask, Vector};

/// Eight numbers in one register.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(pub(super) __m256);

impl Vector for Avx2 {
    const LANES: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above, and by this function's contract.
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above, and by this function's contract.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: as above, and by this function's contract.
        unsafe {
            let numbers = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(numbers)))
        }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        // SAFETY: as above, and by this function's contract. What is done to the bits is explained at `Bf16`.
        unsafe {
            let bits = _mm256_castps_si256(self.0);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
            let nan = _mm256_or_si256(bits, _mm256_set1_epi32(0x40_0000));
            let is_nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0));
            let exponent = _mm256_and_si256(bits, _mm256_set1_epi32(0x7F80_0000));
            let is_tiny = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
            let kept = _mm256_blendv_epi8(rounded, nan, is_nan);
            let kept = _mm256_andnot_si256(_mm256_srli_epi32::<1>(is_tiny), kept);
            let upper = _mm256_srli_epi32::<16>(kept);
            let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(upper, upper));
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed));
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        Self(unsafe { _mm256_fmadd_ps(self.0, by.0, plus.0) })
    }

    #[inline(always)]
    fn relu(self) -> Self {
        // SAFETY: the module's caller has checked for the instructions. Of two unordered numbers the
        // instruction gives the second, so NaN stays.
        Self(unsafe { _mm256_max_ps(_mm256_setzero_ps(), self.0) })
    }

    #[inline(always)]
    fn where_positive(self, sign: Self) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        Self(unsafe { _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GT_OQ>(sign.0, _mm256_setzero_ps())) })
    }

    #[inline(always)]
    fn keep(self, mask: &LaneMask) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        Self(unsafe { _mm256_and_ps(self.0, Self::read(&mask.0).0) })
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: the module's caller has checked for the instructions.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn sums(vectors: [Self; 8]) -> [f32; 8] {
        let [a, b, c, d, e, f, g, h] = vectors.map(|vector| vector.0);
        let mut sums = [0.0; 8];
        // Each step adds what `sum` adds: halves, then pairs, then the rest. SAFETY: the module's caller has
        // checked for the instructions; the array holds eight numbers.
        unsafe {
            let halves = |x: __m256, y: __m256| {
                _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(x, y), _mm256_permute2f128_ps::<0x31>(x, y))
            };
            let pairs = |x: __m256, y: __m256| {
                _mm256_add_ps(_mm256_shuffle_ps::<0x44>(x, y), _mm256_shuffle_ps::<0xEE>(x, y))
            };
            let left = pairs(halves(a, b), halves(c, d));
            let right = pairs(halves(e, f), halves(g, h));
            let rest =
                _mm256_add_ps(_mm256_shuffle_ps::<0x88>(left, right), _mm256_shuffle_ps::<0xDD>(left, right));
            _mm256_storeu_ps(sums.as_mut_ptr(), rest);
        }
        // The sums of a, c, e, g come first.
        let [a, c, e, g, b, d, f, h] = sums;
        [a, b, c, d, e, f, g, h]
    }
}
