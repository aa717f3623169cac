//! The families of policies, as one value that a program may extend.

use crate::{
    Entry, Family, FreezeContext, FreezePolicy, MaskContext, MaskPolicy, SieveContext, SievePolicy, freeze,
    mask, sieve,
};

/// One line for each family: its field, policy and context, the key that chooses and its default, what it
/// decides, and its entries.
macro_rules! families {
    ($(
        $field:ident: $policy:ty, $context:ty, $key:literal = $default:literal, $help:literal,
            [$($entry:expr),+];
    )+) => {
        /// The families of policies and what there is to choose from.
        #[derive(Clone)]
        pub struct Registry {
            $(#[doc = concat!("Decides ", $help, ".")] pub $field: Family<$policy, $context>,)+
        }

        impl Default for Registry {
            /// The policies of this crate.
            fn default() -> Self {
                Self {
                    $($field: Family {
                        name: stringify!($field),
                        key: $key,
                        default: $default,
                        help: $help,
                        entries: vec![$($entry),+],
                    },)+
                }
            }
        }

        impl Registry {
            /// What all families have in common: the choice of each, and names, summaries and keys of its
            /// members.
            pub fn families(&self) -> Vec<Listed> {
                vec![$(Listed::of(&self.$field)),+]
            }
        }
    };
}

families! {
    mask: dyn MaskPolicy, MaskContext, "mask.policy" = "mest-ems", "which weights of a layer exist",
        [
            mask::entry::<mask::Dense>(), mask::entry::<mask::Static>(), mask::entry::<mask::MestEm>(),
            mask::entry::<mask::MestEms>(), mask::entry::<mask::Set>(), mask::entry::<mask::Rigl>(),
            mask::entry::<mask::Snfs>(), mask::entry::<mask::Gse>(), mask::entry::<mask::DeepR>(),
            mask::entry::<mask::Dsr>(), mask::entry::<mask::Gmp>(), mask::entry::<mask::Magnitude>(),
            mask::entry::<mask::Lottery>(),
            mask::entry::<mask::Granet>(), mask::entry::<mask::Snip>(), mask::entry::<mask::Grasp>(),
            mask::entry::<mask::SynFlow>(), mask::entry::<mask::TopKast>()
        ];
    freeze: dyn FreezePolicy, FreezeContext, "freeze.policy" = "progressive",
        "when a block of layers stops training",
        [
            freeze::entry::<freeze::Never>(), freeze::entry::<freeze::Progressive>(),
            freeze::entry::<freeze::ProgressiveFewest>(), freeze::entry::<freeze::ProgressiveResume>(),
            freeze::entry::<freeze::Periodic>(), freeze::entry::<freeze::DelayedPeriodic>(),
            freeze::entry::<freeze::FreezeOut>(), freeze::entry::<freeze::AutoFreeze>(),
            freeze::entry::<freeze::PipeTransformer>(), freeze::entry::<freeze::Grades>(),
            freeze::entry::<freeze::EffectivePerturbation>(), freeze::entry::<freeze::GradientNorm>(),
            freeze::entry::<freeze::Cka>(), freeze::entry::<freeze::Egeria>()
        ];
    sieve: dyn SievePolicy, SieveContext, "sieve.policy" = "circular", "which samples are trained on",
        [
            sieve::entry::<sieve::All>(), sieve::entry::<sieve::Random>(), sieve::entry::<sieve::Circular>(),
            sieve::entry::<sieve::Forgetting>(), sieve::entry::<sieve::InfoBatch>(),
            sieve::entry::<sieve::OneShot>(), sieve::entry::<sieve::ErrorNorm>(),
            sieve::entry::<sieve::Loss>()
        ];
}

/// A family without its types.
pub struct Listed {
    /// What the command line calls it.
    pub name: &'static str,
    /// The parameter that chooses.
    pub choice: spfde_data::parameter::Parameter,
    /// What there is to choose from.
    pub members: Vec<Member>,
}

/// One thing to choose.
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it is, in a sentence.
    pub summary: String,
    /// Its own keys.
    pub parameters: Vec<spfde_data::parameter::Parameter>,
}

impl Listed {
    fn of<P: ?Sized, C>(family: &Family<P, C>) -> Self {
        let member = |entry: &Entry<P, C>| Member {
            name: entry.name.to_owned(),
            summary: entry.summary.to_owned(),
            parameters: (entry.parameters)(),
        };
        let members = family.entries.iter().map(member).collect();
        Self { name: family.name, choice: family.choice(), members }
    }
}

impl Member {
    /// Whether it has a key of this name.
    pub fn knows(&self, key: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.key == key)
    }
}

#[cfg(test)]
mod tests;
