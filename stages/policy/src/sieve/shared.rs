//! The keys that sieve rules share, each declared once: how many samples are out, and when that is decided.

use super::SieveContext;
use crate::rounding::share_of;

/// What the shared keys of a rule say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shared {
    /// The share of all samples that is out, from 0 to below 1.
    pub fraction: f64,
    /// Epochs between two decisions, from 1.
    pub interval: u32,
    /// Epochs with the whole set first.
    pub warmup: u32,
    /// The share of the epochs after which the whole set is active with weight 1, from 0 to 1.
    pub until: f64,
}

impl Shared {
    /// How many samples are out while some are.
    pub fn out(&self, run: &SieveContext) -> u32 {
        share_of(self.fraction, run.samples)
    }

    /// Whether there is a decision for `epoch`: at the end of the warm-up, and every interval from it on.
    pub fn decides(&self, epoch: u32) -> bool {
        epoch.checked_sub(self.warmup).is_some_and(|since| since.is_multiple_of(self.interval))
    }

    /// The first decision that scores can make.
    pub fn first(&self) -> u32 {
        if self.warmup > 0 { self.warmup } else { self.interval }
    }

    /// The first epoch in which the whole set is active again: none of the run if `until` is 1, the first of
    /// all if less than an epoch may be cut.
    pub fn end(&self, run: &SieveContext) -> u32 {
        // The cast drops the part of an epoch; a product such as 0.29 · 100 may fall just below its number.
        match (self.until * f64::from(run.epochs) + 1e-9) as u32 {
            0 => 0,
            last => last.saturating_add(1),
        }
    }

    /// What rules have in common that differ in their fraction only ([`SieveRule::alike`]).
    ///
    /// [`SieveRule::alike`]: super::SieveRule::alike
    pub fn alike(&self, run: &SieveContext) -> Option<[u64; 3]> {
        let windows = u64::from(self.warmup) << 32 | u64::from(self.interval);
        Some([run.seed, windows, self.until.to_bits()])
    }
}

/// Declares the parameters of a sieve rule: those that it shares with others, such as `fraction(0.15),
/// interval(2, 1..), warmup(0), until(1.0)`, and its own as [`spfde_data::parameters!`] has them.
macro_rules! sieve_parameters {
    ($(#[$meta:meta])* pub struct $name:ident: $($key:ident($($value:tt)+)),+ { $($own:tt)* }) => {
        sieve_parameters! { @ [$(#[$meta])* $name] [$($key($($value)+))+] [$($own)*] }
    };
    (@ $rule:tt [fraction($default:literal) $($keys:tt)*] [$($known:tt)*]) => {
        sieve_parameters! { @ $rule [$($keys)*] [
            $($known)*
            /// share of the samples that is out of training
            pub fraction: f64 = $default, 0.0..1.0;
        ] }
    };
    (@ $rule:tt [interval($default:literal, $($range:tt)+) $($keys:tt)*] [$($known:tt)*]) => {
        sieve_parameters! { @ $rule [$($keys)*] [
            $($known)*
            /// epochs between two decisions
            pub interval: u32 = $default, $($range)+;
        ] }
    };
    (@ $rule:tt [warmup($default:literal) $($keys:tt)*] [$($known:tt)*]) => {
        sieve_parameters! { @ $rule [$($keys)*] [
            $($known)*
            /// epochs with the whole set before the first decision
            pub warmup: u32 = $default, ..;
        ] }
    };
    (@ $rule:tt [until($default:literal) $($keys:tt)*] [$($known:tt)*]) => {
        sieve_parameters! { @ $rule [$($keys)*] [
            $($known)*
            /// share of the epochs after which the whole set is active with weight 1
            pub until: f64 = $default, 0.0..=1.0;
        ] }
    };
    (@ [$(#[$meta:meta])* $name:ident] [] [$($known:tt)*]) => {
        spfde_data::parameters! {
            $(#[$meta])*
            pub struct $name in "sieve" { $($known)* }
        }
    };
}

/// The method `shared` of a rule that has all the shared keys, in its `impl SieveRule`.
macro_rules! shared {
    () => {
        fn shared(&self, _: &$crate::sieve::SieveContext) -> Option<$crate::sieve::Shared> {
            let Self { fraction, interval, warmup, until, .. } = *self;
            Some($crate::sieve::Shared { fraction, interval, warmup, until })
        }
    };
}

pub(super) use {shared, sieve_parameters};
