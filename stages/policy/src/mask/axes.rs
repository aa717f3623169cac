//! The axes that mask rules share, as parameters: how much where and in which pattern ([`Layers`]), and when
//! ([`Updates`]).

use spfde_data::{Architecture, ParameterError};

use super::{Distribution, Schedule, Targets, Window};

/// How many weights each layer has, and in which units they exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers<'a> {
    /// The share of weights that do not exist, over all masked layers, from 0 to below 1.
    pub sparsity: f64,
    /// How it is distributed over them.
    pub distribution: Distribution,
    /// Densities of single layers, as [`Targets::of`] reads them.
    pub densities: &'a str,
    /// Whether the first convolution is dense.
    pub dense_first: bool,
    /// Whether the last linear layer is dense.
    pub dense_last: bool,
    /// The units, as [`Granularity`](super::Granularity) reads them.
    pub granularity: &'a str,
}

impl Default for Layers<'_> {
    /// Nine tenths of the weights of every masked layer do not exist.
    fn default() -> Self {
        Self {
            sparsity: 0.9,
            distribution: Distribution::Uniform,
            densities: "",
            dense_first: true,
            dense_last: true,
            granularity: "unstructured",
        }
    }
}

impl Layers<'_> {
    /// What the masks of this network end with.
    ///
    /// # Errors
    /// As [`Targets::of`].
    pub fn targets(&self, architecture: &Architecture) -> Result<Targets, ParameterError> {
        Targets::of(architecture, self)
    }
}

/// When masks change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Updates {
    /// Epochs between two updates.
    pub interval: u32,
    /// Steps between two updates; 0: updates are so many epochs apart.
    pub interval_steps: u32,
    /// The share of the run up to which masks change, from 0 to 1.
    pub until: f64,
}

impl Updates {
    /// The schedule in a run of so many epochs.
    pub fn schedule(&self, epochs: u32) -> Schedule {
        let every = match self.interval_steps {
            0 => Window::Epochs(self.interval),
            steps => Window::Steps(steps),
        };
        Schedule { every, until: self.until, ..Schedule::never(epochs) }
    }
}

/// Declares the parameters of a mask rule: those of its axes, such as `layers, interval(2), until`, then its
/// own as [`spfde_data::parameters!`] has them. The rule gets a method for each axis.
macro_rules! mask_parameters {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: layers { $($own:tt)* }
    ) => {
        spfde_data::parameters! {
            $(#[$meta])*
            pub struct $name in "mask" {
                /// share of weights that do not exist, over all masked layers
                pub sparsity: f64 = 0.9, 0.0..1.0;
                /// how the sparsity is distributed over the masked layers
                pub distribution: $crate::mask::Distribution = $crate::mask::Distribution::Uniform, ..;
                /// densities of single layers, by name or pattern, such as { "block1.*" = 0.2 }
                pub densities: String = String::new(), ..;
                /// whether the first convolution is dense
                pub dense_first: bool = true, ..;
                /// whether the last linear layer is dense
                pub dense_last: bool = true, ..;
                /// units of weights: unstructured, block-4x1, block-1x2, pattern, channel, or n:m such as 2:4
                pub granularity: String = "unstructured".to_owned(), ..;
                $($own)*
            }
        }

        impl $name {
            /// How many weights each layer has, and in which units.
            pub fn layers(&self) -> $crate::mask::Layers<'_> {
                $crate::mask::Layers {
                    sparsity: self.sparsity,
                    distribution: self.distribution,
                    densities: &self.densities,
                    dense_first: self.dense_first,
                    dense_last: self.dense_last,
                    granularity: &self.granularity,
                }
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident: layers, interval($interval:literal) { $($own:tt)* }
    ) => {
        mask_parameters! {
            @interval $interval, 1.0,
            $(#[$meta])*
            pub struct $name { $($own)* }
        }
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident: layers, interval($interval:literal), until { $($own:tt)* }
    ) => {
        mask_parameters! {
            @interval $interval, until,
            $(#[$meta])*
            pub struct $name {
                /// share of the run up to which masks change
                pub until: f64 = 0.75, 0.0..=1.0;
                $($own)*
            }
        }
    };
    (
        @interval $interval:literal, $until:tt,
        $(#[$meta:meta])*
        pub struct $name:ident { $($own:tt)* }
    ) => {
        mask_parameters! {
            $(#[$meta])*
            pub struct $name: layers {
                /// epochs between two updates of a mask
                pub interval: u32 = $interval, 1..;
                /// steps between two updates of a mask; 0: updates are `mask.interval` epochs apart
                pub interval_steps: u32 = 0, ..;
                $($own)*
            }
        }

        impl $name {
            /// When masks change.
            pub fn updates(&self) -> $crate::mask::Updates {
                let Self { interval, interval_steps, .. } = *self;
                $crate::mask::Updates { interval, interval_steps, until: mask_parameters!(@end self, $until) }
            }
        }
    };
    (@end $rule:ident, until) => { $rule.until };
    (@end $rule:ident, $until:literal) => { $until };
}

/// The axes of a rule whose parameters [`mask_parameters`] declares, in its `impl MaskRule`.
macro_rules! axes {
    (layers) => {
        fn targets(
            &self,
            architecture: &spfde_data::Architecture,
        ) -> Result<$crate::mask::Targets, spfde_data::ParameterError> {
            self.layers().targets(architecture)
        }
    };
    (layers, updates) => {
        axes!(layers);

        fn schedule(&self, epochs: u32) -> $crate::mask::Schedule {
            self.updates().schedule(epochs)
        }
    };
}

pub(super) use {axes, mask_parameters};
