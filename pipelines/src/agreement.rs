//! What has to hold between settings of different tables, before a run trains.

use spfde_data::{Parameter, ParameterError};
use spfde_flow::{Cache, Observe, Settings};
use spfde_policy::mask::Granularity;

use crate::Configuration;
use crate::configuration::frozen::PROBE;
use crate::configuration::keys::VALIDATION;

/// The key of an interval in steps.
const STEPS: &str = "mask.interval_steps";

/// The key of one in epochs.
const EPOCHS: &str = "mask.interval";

/// Refuses a cache of outputs of frozen blocks where these are computed anyway, or differ.
fn check_cache(settings: &Settings) -> Result<(), ParameterError> {
    let conflict = match (settings.observe, &settings.seams.perturbation) {
        _ if settings.prefix_cache.cache == Cache::Off => return Ok(()),
        (Observe::Full, _) => "with trace.observe = \"full\" every layer computes in every step",
        (_, Some(_)) => "perturbed inputs differ from step to step",
        _ => return Ok(()),
    };
    let reason = format!("outputs of frozen blocks cannot be kept: {conflict}; set it to off");
    Err(ParameterError::contradiction("freeze.cache", reason))
}

/// Refuses a policy that compares layers by no samples, and a comparison by a single one.
fn check_probe(settings: &Settings) -> Result<(), ParameterError> {
    let policy = &settings.policies.freeze;
    let is_judged = policy.reads_similarity();
    let reason = match settings.probe.map(|probe| probe.samples) {
        None if is_judged => {
            format!("`{}` compares layers by these samples; set some, such as 256", policy.name())
        }
        Some(1) => {
            let none = if is_judged { "such as 256" } else { "or 0 for none" };
            format!("layers are compared by how they tell samples apart; set two at least, {none}")
        }
        _ => return Ok(()),
    };
    Err(ParameterError::contradiction(PROBE, reason))
}

/// Refuses patience without a validation set; clipping where more weights train than exist; a cache of what
/// is computed or differs anyway; comparisons of layers without two samples; masks to begin with that
/// are not of the units asked for; two intervals of a mask, and one in steps that no epoch is long enough
/// for.
pub(crate) fn check(asked: &Configuration, settings: &Settings) -> Result<(), ParameterError> {
    if settings.patience > 0 && settings.data.validation.is_empty() {
        let reason = format!("it looks at the validation set: set {VALIDATION}, such as to 0.1");
        return Err(ParameterError::contradiction("train.patience", reason));
    }
    if settings.policies.mask.explores() && settings.seams.gradient.is_some() {
        let name = settings.policies.mask.name();
        let reason = format!("`{name}` trains weights beyond those whose gradient is clipped; set it to 0");
        return Err(ParameterError::contradiction("train.clip", reason));
    }
    check_cache(settings)?;
    check_probe(settings)?;
    let layers = settings.start.iter().flat_map(|start| start.iter()).enumerate();
    for (layer, mask) in layers.filter_map(|(layer, start)| Some((layer, start.mask.as_ref()?))) {
        let policy = &settings.policies.mask;
        let spans = settings.plan.spans(layer);
        let units = policy.moment(layer, 0, spans).units;
        let fits = || units.is_whole(mask) && mask.len() == policy.nonzero(layer, 0, spans) as usize;
        if policy.masked(layer) && units.granularity() != Granularity::Unstructured && !fits() {
            let name = &settings.plan.architecture.layers[layer].name;
            let reason =
                format!("the mask of `{name}` that the run begins with has no such units, or not as many");
            return Err(ParameterError::contradiction("mask.granularity", reason));
        }
    }
    let Some(interval) = settings.policies.mask.steps() else { return Ok(()) };
    let contradiction = |reason: String| Err(ParameterError::contradiction(STEPS, reason));
    // What a run has written down is given, too, and has the default then.
    let interval_in_epochs = asked.values().get(EPOCHS);
    let is_default = |parameter: &Parameter| Some(&parameter.default) == interval_in_epochs;
    let registry = &asked.registry().policies.mask;
    let known = registry.find(asked.values().text(registry.key)).map(|entry| (entry.parameters)());
    let is_own = known?.iter().any(|parameter| parameter.key == EPOCHS && !is_default(parameter));
    if is_own {
        return contradiction(format!("it stands in place of `{EPOCHS}`: set one of the two"));
    }
    let fewest = settings.plan.active_samples.iter().min().copied().unwrap_or(0) as usize;
    let steps = fewest.div_ceil(settings.batch_size);
    // A single epoch, such as that of a bench, may be shorter.
    match settings.epochs > 1 && interval.get() as usize >= steps {
        true => contradiction(format!(
            "an epoch that has {steps} steps has no update after {interval}; set fewer, or `{EPOCHS}`"
        )),
        false => Ok(()),
    }
}
