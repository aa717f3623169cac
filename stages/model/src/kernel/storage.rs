//! How numbers are stored between operations: as f32, or in half the bytes as bf16.

use crate::kernel::vector::Vector;

/// A number as it is stored between the operations of a pass. Kernels compute and add up in f32.
///
/// # Safety
/// Bits that are all 0 are the number 0.
pub(crate) unsafe trait Stored:
    Copy + Default + std::fmt::Debug + Send + Sync + 'static
{
    /// Whether it is made of f32 by rounding, for which there may be an instruction.
    const IS_HALF: bool;

    /// As many numbers as a vector has.
    ///
    /// # Safety
    /// So many can be read.
    unsafe fn load<V: Vector>(from: *const Self) -> V;

    /// Writes a vector, rounded to what can be stored.
    ///
    /// # Safety
    /// So many can be written.
    unsafe fn store<V: Vector>(vector: V, to: *mut Self);

    /// The nearest number that can be stored, the even one of two; see [`Bf16`] for the least ones.
    fn of(number: f32) -> Self;

    /// The number.
    fn get(self) -> f32;
}

// SAFETY: they are.
unsafe impl Stored for f32 {
    const IS_HALF: bool = false;

    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: by this function's contract.
        unsafe { V::load(from) }
    }

    #[inline(always)]
    unsafe fn store<V: Vector>(vector: V, to: *mut Self) {
        // SAFETY: by this function's contract.
        unsafe { vector.store(to) }
    }

    fn of(number: f32) -> Self {
        number
    }

    fn get(self) -> f32 {
        self
    }
}

/// The upper half of an f32: its sign, its exponent, and seven bits of its mantissa. A number below the least
/// normal one, 2⁻¹²⁶, becomes 0.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bf16(u16);

// SAFETY: they are.
unsafe impl Stored for Bf16 {
    const IS_HALF: bool = true;

    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: by this function's contract; the number is nothing but its bits.
        unsafe { V::load_bf16(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store<V: Vector>(vector: V, to: *mut Self) {
        // SAFETY: by this function's contract; the number is nothing but its bits.
        unsafe { vector.store_bf16(to.cast()) }
    }

    #[inline(always)]
    fn of(number: f32) -> Self {
        let bits = number.to_bits();
        // Half of the last bit that is kept, or a little less if that bit is even. NaN might become an
        // infinity or carry into the sign: it stays NaN by its highest bit. Of a denormal number the sign is
        // left, as by the instructions that make bf16.
        let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1));
        let kept = if number.is_nan() { bits | 0x40_0000 } else { rounded };
        let kept = if bits & 0x7F80_0000 == 0 { bits & 1 << 31 } else { kept };
        Self((kept >> 16) as u16)
    }

    #[inline(always)]
    fn get(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}
