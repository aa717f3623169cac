//! The keys of the table `freeze` that every run has, whatever policy decides what freezes.

use spfde_data::parameter::Range;
use spfde_data::{Parameter, Parameters, Parametric, Setting, Value};
use spfde_flow::{Cache, CacheSettings, Observe, ProbeSettings};
use spfde_model::Packing;

spfde_data::parameters! {
    /// What is kept of frozen blocks, and how layers are compared.
    pub(crate) struct Kept in "freeze" {
        /// where outputs of the frozen prefix are kept, so that each sample passes it once; disk: below the
        /// run directory
        pub(crate) cache: Cache = Cache::Off, ..;
        /// how their numbers are kept: exact as train.storage says; f16 in two bytes, rounded
        pub(crate) cache_storage: Packing = Packing::Exact, ..;
        /// variants of each augmented sample while blocks are frozen; with a cache only
        pub(crate) cache_variants: u32 = 4, 1..=65_536;
        /// training samples, two at least, by which layers are compared with what they were before, for
        /// trace.observe=full and for policies that judge by it; 0: none
        pub(crate) probe: u32 = 256, ..=1024;
    }
}

/// The key of the samples by which layers are compared.
pub(crate) const PROBE: &str = "freeze.probe";

/// The key of the bytes of outputs of the frozen prefix.
const BYTES: &str = "freeze.cache_bytes";

/// All of them.
pub(crate) fn parameters() -> Vec<Parameter> {
    let help = "bytes of outputs of the frozen prefix that a process keeps at most, on disk or in memory";
    let (default, range) = (Value::Integer(1 << 30), Range::Integer(1, 1 << 40));
    let bytes = Parameter { key: BYTES, formerly: None, default, range, help };
    Kept::default().parameters().into_iter().chain([bytes]).collect()
}

/// How outputs of the frozen prefix are kept.
pub(crate) fn prefix_cache(values: &Parameters) -> CacheSettings {
    let Kept { cache, cache_storage: packing, cache_variants: variants, .. } = Kept::from_parameters(values);
    let Some(Value::Integer(bytes)) = values.get(BYTES) else { panic!("a whole number was checked") };
    CacheSettings { cache, bytes: *bytes as u64, packing, variants }
}

/// By which samples layers are compared with themselves: if everything is observed, or if the freeze policy
/// `reads` that.
pub(crate) fn probe(values: &Parameters, reads: bool) -> Option<ProbeSettings> {
    let observes = values.get("trace.observe").and_then(Observe::from_value) == Some(Observe::Full);
    let interval = values.get("mask.interval").map_or(2, |_| values.integer("mask.interval"));
    let samples = Kept::from_parameters(values).probe;
    ((observes || reads) && samples > 0).then_some(ProbeSettings { samples, interval })
}
