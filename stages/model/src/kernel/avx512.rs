//! Vectors of AVX-512, whose foundation alone is needed; its conversion to bf16 is used where there is one.
//!
//! The methods are inlined into entry points compiled with these instructions, and nothing else calls them: a
//! [`Kernel`](crate::kernel::Kernel) leads there only on a machine that has them.

use std::arch::x86_64::*;

use crate::kernel::avx2::Avx2;
use crate::kernel::vector::{LaneMask, Vector};

/// Sixteen numbers in one register, `CONVERTS` if the machine has an instruction that makes bf16 of them: it
/// gives the same bits.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const CONVERTS: bool>(__m512);

impl<const CONVERTS: bool> Avx512<CONVERTS> {
    /// The sum of both halves.
    #[inline(always)]
    fn halves(self) -> Avx2 {
        // SAFETY: the module's caller has checked for the instructions.
        unsafe {
            let pairs = _mm512_castps_pd(self.0);
            let low: __m256 = _mm256_castpd_ps(_mm512_castpd512_pd256(pairs));
            Avx2(_mm256_add_ps(low, _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(pairs))))
        }
    }
}

impl<const CONVERTS: bool> Vector for Avx512<CONVERTS> {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above, and by this function's contract.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above, and by this function's contract.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: as above, and by this function's contract.
        unsafe {
            let numbers = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(numbers)))
        }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) {
        // SAFETY: as above, and by this function's contract. What is done to the bits is explained at `Bf16`.
        unsafe {
            if CONVERTS {
                let halves = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(self.0));
                return _mm256_storeu_si256(to.cast(), halves);
            }
            let bits = _mm512_castps_si512(self.0);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
            let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
            let kept = _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x40_0000));
            let is_tiny = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7F80_0000));
            let kept = _mm512_mask_and_epi32(kept, is_tiny, bits, _mm512_set1_epi32(i32::MIN));
            _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(kept)));
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        Self(unsafe { _mm512_fmadd_ps(self.0, by.0, plus.0) })
    }

    #[inline(always)]
    fn relu(self) -> Self {
        // SAFETY: the module's caller has checked for the instructions. Of two unordered numbers the
        // instruction gives the second, so NaN stays.
        Self(unsafe { _mm512_max_ps(_mm512_setzero_ps(), self.0) })
    }

    #[inline(always)]
    fn where_positive(self, sign: Self) -> Self {
        // SAFETY: the module's caller has checked for the instructions.
        unsafe {
            let is_positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(sign.0, _mm512_setzero_ps());
            Self(_mm512_maskz_mov_ps(is_positive, self.0))
        }
    }

    #[inline(always)]
    fn keep(self, mask: &LaneMask) -> Self {
        let mask = Self::read(&mask.0);
        // SAFETY: the module's caller has checked for the instructions.
        unsafe {
            let kept = _mm512_and_si512(_mm512_castps_si512(self.0), _mm512_castps_si512(mask.0));
            Self(_mm512_castsi512_ps(kept))
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        self.halves().sum()
    }

    #[inline(always)]
    fn sums(vectors: [Self; 8]) -> [f32; 8] {
        // Not by a closure or a function that is handed on: neither is inlined where the instructions are.
        let [a, b, c, d, e, f, g, h] = vectors;
        let [a, b, c, d] = [a.halves(), b.halves(), c.halves(), d.halves()];
        Avx2::sums([a, b, c, d, e.halves(), f.halves(), g.halves(), h.halves()])
    }
}
