//! What members of a grid over a run have in common is kept once.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde_data::{Densities, Recording};
use spfde_flow::grid::{Freezing, RunMember, RunMembers};
use spfde_policy::SievePolicy;

use crate::{Configuration, Experiment};

/// The members of a grid, each sieve and each freezing once.
pub(super) fn members(
    experiments: &[Experiment],
    recording: Arc<dyn Recording>,
) -> (Vec<Arc<dyn SievePolicy>>, RunMembers) {
    let (mut sieves, mut freezings, mut members) = (Vec::new(), Vec::new(), Vec::new());
    let mut known_sieves = BTreeMap::new();
    let mut known_freezings = BTreeMap::new();
    for (number, experiment) in experiments.iter().enumerate() {
        let (settings, configuration) = (experiment.settings(), experiment.configuration());
        let sieve = *known_sieves.entry(identity(number, configuration, &["sieve."])).or_insert_with(|| {
            sieves.push(Arc::clone(&settings.policies.sieve));
            sieves.len() - 1
        });
        // A plan follows from the masks, the freezing and how many samples are active.
        let plan = &settings.plan;
        let own = (
            identity(number, configuration, &["mask.", "freeze."]),
            configuration.is_given("freeze.flops_reduction"),
            plan.active_samples.clone(),
            experiment.densities() == Densities::Recorded,
        );
        let freezing = *known_freezings.entry(own).or_insert_with(|| {
            freezings.push(Freezing { settings: Arc::clone(settings), densities: experiment.densities() });
            freezings.len() - 1
        });
        members.push(RunMember { settings: Arc::clone(settings), sieve, freezing });
    }
    (sieves, RunMembers { recording, freezings, members })
}

/// What the policies of some families follow from: the seed and their keys; of one from outside the
/// registries only its maker knows, so it is like no other.
fn identity(number: usize, configuration: &Configuration, families: &[&str]) -> (Option<usize>, Vec<String>) {
    let values = configuration.values();
    let of_family = |key: &str| families.iter().any(|family| key.starts_with(family));
    let choices = configuration.registry().families().into_iter().map(|family| family.choice);
    let ready = choices
        .filter(|choice| of_family(choice.key))
        .all(|choice| values.get(choice.key).is_some_and(|name| choice.check(name.clone()).is_ok()));
    let keys = values.iter().filter(|(key, _)| *key == "seed" || of_family(key));
    ((!ready).then_some(number), keys.map(|(key, value)| format!("{key}={value}")).collect())
}
