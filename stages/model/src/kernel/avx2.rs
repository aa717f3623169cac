//! Vectors of AVX2 with fused multiply-add.
//!
//! The methods are inlined into entry points compiled with these instructions, and nothing else calls them: a
//! [`Kernel`](crate::kernel::Kernel) leads there only on a machine that has them.

use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_add_ps,
    _mm256_and_ps, _mm256_castps256_ps128, _mm256_cmp_ps, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_load_ps, _mm256_max_ps, _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_shuffle_ps, _mm256_store_ps,
};

use crate::kernel::vector::{LaneMask, Vector};
use crate::lane::{LANES, Lane};

/// Eight numbers in one register.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

impl Vector for Avx2 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    fn load(lane: &Lane) -> Self {
        // SAFETY: as above; a lane is 32 readable bytes, aligned to 32.
        Self(unsafe { _mm256_load_ps(lane.0.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, lane: &mut Lane) {
        // SAFETY: as above; a lane is 32 writable bytes, aligned to 32.
        unsafe { _mm256_store_ps(lane.0.as_mut_ptr(), self.0) }
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
    fn keep(self, mask: LaneMask) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        Self(unsafe { _mm256_and_ps(self.0, Self::load(&mask.0).0) })
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
    fn sums(vectors: [Self; LANES]) -> [f32; LANES] {
        let [a, b, c, d, e, f, g, h] = vectors.map(|vector| vector.0);
        let mut sums = Lane::ZERO;
        // Each step adds what `Lane::sum` adds: halves, then pairs, then the rest. SAFETY: the module's
        // caller has checked for the instructions; a lane is 32 writable bytes, aligned to 32.
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
            _mm256_store_ps(sums.0.as_mut_ptr(), rest);
        }
        // The sums of a, c, e, g come first.
        let [a, c, e, g, b, d, f, h] = sums.0;
        [a, b, c, d, e, f, g, h]
    }
}
