//! Policies that never act, because the run is too short.

use spfde_data::{Parameters, counted};
use spfde_flow::Settings;
use spfde_policy::mask::Needs;

/// A note for each of the policies of masks and of the sieve that has an interval and decides nothing within
/// the run.
pub(crate) fn idle(values: &Parameters, settings: &Settings) -> Vec<String> {
    let (mask, sieve) = (&settings.policies.mask, &settings.policies.sieve);
    let layers = settings.plan.architecture.layers.len();
    let needs = |epoch: u32, layer: usize| {
        let spans = settings.plan.spans(layer);
        (epoch > 0 && mask.needs(layer, epoch, spans) > Needs::Nothing)
            || mask.needs_within(layer, epoch, spans) > Needs::Nothing
    };
    let changes = (0..settings.epochs).any(|epoch| (0..layers).any(|layer| needs(epoch, layer)));
    let decides = (1..settings.epochs).any(|epoch| sieve.decides(epoch));
    let epochs = counted(settings.epochs, "epoch");
    let note = |key: &str, what: &str, acts: bool| {
        let interval = values.get(key).filter(|_| !acts).map(|_| values.integer(key))?;
        (interval >= settings.epochs).then(|| format!("{what}: {key} = {interval} is too long for {epochs}"))
    };
    let masks = note("mask.interval", "no mask changes", changes);
    let sieves = note("sieve.interval", "the active set never changes", decides);
    let warmup = note("sieve.warmup", "the active set never changes", decides);
    masks.into_iter().chain(sieves).chain(warmup).collect()
}
