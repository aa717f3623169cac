//! Policies that never act, because the run is too short, or there is nothing for them to act on.

use spfde_data::{Parameters, Value, counted};
use spfde_flow::Settings;
use spfde_policy::mask::Needs;

/// The key of the candidates of an update.
const SAMPLES: &str = "mask.samples";

/// A note for each of the policies that decides nothing within the run.
pub(crate) fn idle(values: &Parameters, settings: &Settings) -> Vec<String> {
    let (mask, sieve) = (&settings.policies.mask, &settings.policies.sieve);
    let plan = &settings.plan;
    let needs = |epoch: u32, layer: usize| {
        let spans = plan.spans(layer);
        let needs = if epoch > 0 { mask.needs(layer, epoch, spans) } else { Needs::Nothing };
        needs.max(mask.needs_within(layer, epoch, spans))
    };
    let any = |acts: &dyn Fn(u32, usize) -> bool| {
        (0..settings.epochs).any(|epoch| (0..plan.architecture.layers.len()).any(|layer| acts(epoch, layer)))
    };
    let changes = any(&|epoch, layer| needs(epoch, layer) > Needs::Nothing);
    // Nothing grows but candidates, and nothing goes that nothing grows for.
    let draws = |epoch, layer| {
        needs(epoch, layer) == Needs::Candidates
            && mask.candidate_count(layer, plan.nonzero(epoch)[layer]) > 0
    };
    let decides = (1..settings.epochs).any(|epoch| sieve.decides(epoch));
    let epochs = counted(settings.epochs, "epoch");
    let note = |key: &str, what: &str, acts: bool| {
        let interval = values.get(key).filter(|_| !acts).map(|_| values.integer(key))?;
        (interval >= settings.epochs).then(|| format!("{what}: {key} = {interval} is too long for {epochs}"))
    };
    let masks = note("mask.interval", "no mask changes", changes);
    let draws_none = values.get(SAMPLES) == Some(&Value::Number(0.0)) && !any(&draws);
    let candidates =
        draws_none.then(|| format!("no mask changes: {SAMPLES} = 0 draws nothing that may grow"));
    let sieves = note("sieve.interval", "the active set never changes", decides);
    let warmup = note("sieve.warmup", "the active set never changes", decides);
    let (freeze, earliest) = (settings.policies.freeze.name(), settings.policies.freeze.earliest());
    let blocks = (earliest >= settings.epochs).then(|| {
        let passed = counted(earliest, "epoch");
        format!(
            "no block freezes: under `{freeze}` none can before {passed} have passed; the run has {epochs}"
        )
    });
    masks.into_iter().chain(candidates).chain(sieves).chain(warmup).chain(blocks).collect()
}
