//! The kernels: all that happens to eight samples at once, written once and compiled twice.
//!
//! Each kernel is a generic function over [`Vector`](vector::Vector), the arithmetic of eight numbers. It is
//! compiled for AVX2 with fused multiply-add, chosen at run time, and for any machine in plain Rust. The two
//! differ in rounding (fused or not), each gives the same bits on every call.
//!
//! This module is the only place with unsafe code. Its functions check slices and offsets once, at their
//! entry; the loops inside rely on that. Miri follows every access of the portable ones, on a nightly
//! toolchain with that component: `MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p spfde-model
//! --lib -- vector_tests small_`.
#![allow(unsafe_code)]

use spfde_data::parameter::{Parameter, ParameterError, Value};

#[cfg(target_arch = "x86_64")]
mod avx2;
mod dense;
mod elementwise;
mod gather;
mod gradient;
mod portable;
mod product;
mod tally;
mod taps;
mod vector;
#[cfg(test)]
mod vector_tests;

pub(crate) use elementwise::{Channel, PackedRow, SignalRow, add, pack};
pub(crate) use gather::{Gather, Strip};
pub(crate) use gradient::{Sign, pack_gradient, settle};
pub use product::Form;
pub(crate) use product::Product;
pub(crate) use tally::{Factors, tally, tally_groups};
pub(crate) use taps::{Tap, Taps};
pub(crate) use vector::LaneMask;

/// Which compiled form of the kernels runs.
///
/// A value of this type is proof that the machine can run it, so there is no way to make one but
/// [`Kernel::resolve`] and [`Kernel::PORTABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    has_avx2: bool,
}

impl Kernel {
    /// The names that [`Kernel::resolve`] knows.
    pub const NAMES: [&'static str; 3] = ["auto", "avx2", "portable"];

    /// Plain Rust: runs everywhere, several times slower.
    pub const PORTABLE: Self = Self { has_avx2: false };

    /// The kernels called `name`: `auto` takes the fastest that this machine has.
    ///
    /// # Errors
    /// If the name is unknown, or it is `avx2` and the machine lacks AVX2 or FMA.
    pub fn resolve(name: &str) -> Result<Self, ParameterError> {
        let key = "train.kernel";
        Parameter::choice(key, "auto", Self::NAMES.to_vec(), "").check(Value::Text(name.into()))?;
        #[cfg(target_arch = "x86_64")]
        let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        #[cfg(not(target_arch = "x86_64"))]
        let has_avx2 = false;
        if name == "avx2" && !has_avx2 {
            let reason = "this machine has no AVX2 with FMA; `auto` takes what it has";
            return Err(ParameterError::contradiction(key, reason));
        }
        Ok(Self { has_avx2: has_avx2 && name != "portable" })
    }

    /// The name under which [`Kernel::resolve`] gives exactly these kernels.
    pub fn name(self) -> &'static str {
        if self.has_avx2 { "avx2" } else { "portable" }
    }
}

/// Declares the entry point of a kernel: `name(kernel, arguments)` runs `body::<V>(arguments)` for the
/// vectors of that kernel. The body must be `#[inline(always)]`, or it is compiled without the instructions.
macro_rules! entry {
    ($(#[$meta:meta])* fn $name:ident($($argument:ident: $type:ty),+ $(,)?) = $body:ident) => {
        $(#[$meta])*
        pub(crate) fn $name(kernel: crate::kernel::Kernel, $($argument: $type),+) {
            #[cfg(target_arch = "x86_64")]
            if kernel.has_avx2 {
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),+) {
                    $body::<crate::kernel::avx2::Avx2>($($argument),+)
                }
                // SAFETY: a `Kernel` of this kind exists only where the machine has AVX2 and FMA.
                return unsafe { avx2($($argument),+) };
            }
            $body::<crate::kernel::portable::Portable>($($argument),+)
        }
    };
}
pub(crate) use entry;

/// Evaluates an expression in which `$name` is a constant: whichever of the numbers the value is.
macro_rules! with_constant {
    ($name:ident = $value:expr, [$($number:literal),+] => $body:expr) => {
        match $value {
            $($number => {
                const $name: usize = $number;
                $body
            })+
            other => panic!("no kernel for {other}"),
        }
    };
}
use with_constant;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_resolves_to_itself_and_an_unknown_one_is_refused() {
        let auto = Kernel::resolve("auto").unwrap();
        assert_eq!(Kernel::resolve(auto.name()), Ok(auto));
        assert_eq!(Kernel::resolve("portable").unwrap().name(), "portable");
        let error = Kernel::resolve("avx").unwrap_err().to_string();
        assert_eq!(
            error,
            "`train.kernel` = \"avx\" is not one of auto, avx2, portable; did you mean `avx2`?"
        );
    }
}
