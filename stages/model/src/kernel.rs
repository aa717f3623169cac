//! The kernels: all that happens to a group of samples at once, written once and compiled for each machine.
//!
//! Each kernel is a generic function over [`Vector`](vector::Vector), the arithmetic of eight or sixteen
//! numbers. It is compiled for AVX-512, for AVX2 with fused multiply-add, both chosen at run time, for NEON
//! on 64-bit ARM, and for any machine in plain Rust. They differ in rounding (fused or not) and in the order
//! of sums over samples; each gives the same bits on every call.
//!
//! Values and gradients are larger than caches, so the passes over them decide what a step of few weights
//! takes. A pass reads or writes all numbers of a tensor, once:
//!
//! | passes of | forward | backward | in all (before) |
//! |---|---:|---:|---:|
//! | a convolution: input, output; gradient, output, input, the input's gradient | 2 | 4 | 6 (8) |
//! | one behind a sum: its terms, sum, output; the same, the sum's gradient again, a term | 4 | 6 | 10 (12) |
//! | max pooling: its input; the input and its gradient, three to settle that | 1 | 5 | 6 (6) |
//! | average pooling behind a sum: the sum; its gradient, four to settle that | 1 | 5 | 6 (6) |
//!
//! Before, a gradient was read and written once more to settle it. Passes over small tensors are left out:
//! the outputs of pooling, and all of linear layers.
//! [`Description::traffic`](crate::Description::traffic) counts the passes. What is not there to be removed:
//! a batch norm needs all of a shard before it gives anything, so each output is written and read, forward
//! and backward. Normalised inputs are recomputed wherever they are packed, and stored nowhere.
//!
//! Measured on an Intel Xeon with AVX-512 and left out, because they gain nothing: tiles of 2 · 8 pixels in
//! the sparse kernel; sums over lanes in place of a lane of totals for each weight; two chains of totals;
//! rows fetched ahead while the kernel computes; more than 256 KiB of packed rows. Pages of 2 MiB gain 3 to
//! 4 %, but need memory aligned to them. Pairs of bf16 inputs (`vdpbf16ps`, for a mask of 1 × 2 blocks) reach
//! 1.2 times the rate of f32 at 2 % density, and 0.7 times from 10 % on: one starts in a cycle, of f32's
//! multiply-adds two.
//!
//! Kernels read and write slices of plain numbers; what a group's samples have at one place, a *lane*, lies
//! side by side in them. Strips, taps and rows count in lanes.
//!
//! This module is the only place with unsafe code. Its functions check slices and offsets once, at their
//! entry; the loops inside rely on that. Miri follows every access of the portable ones, on a nightly
//! toolchain with that component: `MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p spfde-model
//! --lib -- vector_tests small_`.
#![allow(unsafe_code)]

use spfde_data::parameter::{Parameter, ParameterError, Value};

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod buffer;
mod dense;
mod elementwise;
mod exponential;
mod finish;
mod gather;
mod gelu;
mod gradient;
mod layer_norm;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pool;
mod portable;
mod product;
mod storage;
mod tally;
mod taps;
mod vector;
#[cfg(test)]
mod vector_tests;

pub(crate) use attention::{Matrix, multiply, softmax, softmax_gradient};
pub(crate) use buffer::Buffer;
pub(crate) use elementwise::{Channel, PackedRow, SignalRow, add, copy, pack, sum};
pub(crate) use finish::{Finish, Settling, Sign};
pub(crate) use gather::{Gather, Strip, gather};
pub(crate) use gelu::{gelu, gelu_gradient};
pub(crate) use gradient::pack_gradient;
pub(crate) use layer_norm::{layer_norm, layer_norm_gradient};
pub(crate) use pool::{STEP, Windows, give_to_greatest, greatest};
pub use product::Form;
pub(crate) use product::Product;
pub(crate) use storage::{Bf16, Stored};
pub(crate) use tally::{Factors, fold, tally, tally_groups};
pub(crate) use taps::{Extents, Tap, Taps};
pub(crate) use vector::{LaneMask, MOST_LANES};

/// Which compiled form of the kernels runs.
///
/// A value of this type is proof that the machine can run it, so there is no way to make one but
/// [`Kernel::resolve`], [`Kernel::all`] and [`Kernel::PORTABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Instructions);

/// What kernels are compiled for, the fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    /// With the conversion to bf16.
    Avx512Bf16,
    Avx512,
    Avx2,
    Neon,
    Portable,
}

impl Instructions {
    const ALL: [Self; 5] = [Self::Avx512Bf16, Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    fn name(self) -> &'static str {
        match self {
            Self::Avx512Bf16 | Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Whether this machine has them.
    fn is_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => {
                // The compiler takes the one for granted with the other.
                let has = is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512bw");
                has && Self::Avx512.is_here()
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f") && Self::Avx2.is_here(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            // Every 64-bit ARM has it.
            Self::Neon => cfg!(target_arch = "aarch64"),
            Self::Portable => true,
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512Bf16 | Self::Avx512 | Self::Avx2 => false,
        }
    }
}

impl Kernel {
    /// The names that [`Kernel::resolve`] knows.
    pub const NAMES: [&'static str; 5] = ["auto", "avx512", "avx2", "neon", "portable"];

    /// Plain Rust: runs everywhere, several times slower.
    pub const PORTABLE: Self = Self(Instructions::Portable);

    /// The kernels that this machine runs, the fastest first.
    pub fn all() -> Vec<Self> {
        Instructions::ALL.into_iter().filter(|instructions| instructions.is_here()).map(Self).collect()
    }

    /// The kernels called `name`: `auto` takes the fastest that this machine has.
    ///
    /// # Errors
    /// If the name is unknown, or this machine lacks the instructions.
    pub fn resolve(name: &str) -> Result<Self, ParameterError> {
        let key = "train.kernel";
        Parameter::choice(key, "auto", Self::NAMES.to_vec(), "").check(Value::Text(name.into()))?;
        let here = Self::all();
        let found = here.iter().find(|kernel| name == "auto" || kernel.name() == name);
        found.copied().ok_or_else(|| {
            let has: Vec<&str> = here.iter().map(|kernel| kernel.name()).collect();
            let reason =
                format!("this machine has no {name}, it has {}; `auto` takes the first", has.join(", "));
            ParameterError::contradiction(key, reason)
        })
    }

    /// The name under which [`Kernel::resolve`] gives these kernels, or others that give the same bits.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// How many samples make a group, which kernels compute at once: 8, or 16 with AVX-512.
    pub fn lanes(self) -> usize {
        match self.0 {
            Instructions::Avx512Bf16 | Instructions::Avx512 => 16,
            Instructions::Avx2 | Instructions::Neon | Instructions::Portable => 8,
        }
    }

    /// How many groups hold `samples` samples.
    pub fn groups(self, samples: usize) -> usize {
        samples.div_ceil(self.lanes())
    }
}

/// Declares the entry point of a kernel: `name(kernel, arguments)` runs `body::<V>(arguments)` for the
/// vectors of that kernel; `name<S>` runs `body::<V, S>` for numbers that are stored as `S`. The body must be
/// `#[inline(always)]`, or it is compiled without the instructions.
macro_rules! entry {
    (
        $(#[$meta:meta])*
        fn $name:ident$(<$stored:ident>)?($($argument:ident: $type:ty),+ $(,)?) = $body:ident
    ) => {
        $(#[$meta])*
        pub(crate) fn $name$(<$stored: crate::kernel::Stored>)?(
            kernel: crate::kernel::Kernel,
            $($argument: $type),+
        ) {
            use crate::kernel::Instructions;
            match kernel.0 {
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx512Bf16 if false $(|| $stored::IS_HALF)? => crate::kernel::entry! {
                    with "avx512f,avx512bf16,avx2,fma", avx512::Avx512<true>:
                    $body$(<$stored>)?($($argument: $type),+)
                },
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx512Bf16 | Instructions::Avx512 => crate::kernel::entry! {
                    with "avx512f,avx2,fma", avx512::Avx512<false>: $body$(<$stored>)?($($argument: $type),+)
                },
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx2 => crate::kernel::entry! {
                    with "avx2,fma", avx2::Avx2: $body$(<$stored>)?($($argument: $type),+)
                },
                #[cfg(target_arch = "aarch64")]
                Instructions::Neon => $body::<crate::kernel::neon::Neon$(, $stored)?>($($argument),+),
                _ => $body::<crate::kernel::portable::Portable$(, $stored)?>($($argument),+),
            }
        }
    };
    (
        with $features:literal, $vectors:ident::$vector:ident$(<$converts:literal>)?:
        $body:ident$(<$stored:ident>)?($($argument:ident: $type:ty),+)
    ) => {{
        #[target_feature(enable = $features)]
        fn compiled$(<$stored: crate::kernel::Stored>)?($($argument: $type),+) {
            $body::<crate::kernel::$vectors::$vector$(<$converts>)?$(, $stored)?>($($argument),+)
        }
        // SAFETY: a `Kernel` of this kind exists only where the machine has the instructions.
        unsafe { compiled$(::<$stored>)?($($argument),+) }
    }};
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
    fn a_kernel_resolves_to_itself_and_an_unknown_or_absent_one_is_refused() {
        let here = Kernel::all();
        assert_eq!(here.last(), Some(&Kernel::PORTABLE));
        assert_eq!(Kernel::resolve("auto"), Ok(here[0]));
        for kernel in &here {
            assert_eq!(Kernel::resolve(kernel.name()).expect("it is here").name(), kernel.name());
        }
        let absent = |name: &&str| *name != "auto" && here.iter().all(|kernel| kernel.name() != *name);
        let absent = Kernel::NAMES.into_iter().find(absent).expect("no machine has all of them");
        let error = Kernel::resolve(absent).unwrap_err().to_string();
        assert!(error.contains(&format!("no {absent}")) && error.contains("portable"), "{error}");
        let error = Kernel::resolve("avx").unwrap_err().to_string();
        assert_eq!(
            error,
            "`train.kernel` = \"avx\" is not one of auto, avx512, avx2, neon, portable; did you mean `avx2`?"
        );
    }
}
