//! The plan's numbers against recounts.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use spfde_data::parameter::Parameters;

use super::*;
use crate::freeze::none::Never;
use crate::freeze::{FreezePlan, FreezeState};
use crate::{FreezeContext, MaskContext, MaskDelta, MaskUpdate, SieveContext, example, freeze, mask, sieve};

fn masks(name: &str, epochs: u32, architecture: &Arc<Architecture>) -> Box<dyn MaskPolicy> {
    let entry = mask::registry().iter().find(|entry| entry.name == name).unwrap();
    let context = MaskContext { seed: 3, epochs, architecture: Arc::clone(architecture) };
    mask::build(name, &Parameters::defaults(&(entry.parameters)()), &context).ok().unwrap()
}

fn sieves(name: &str, epochs: u32, samples: u32) -> Box<dyn SievePolicy> {
    let entry = sieve::registry().iter().find(|entry| entry.name == name).unwrap();
    let context = SieveContext { seed: 3, epochs, samples };
    sieve::build(name, &Parameters::defaults(&(entry.parameters)()), &context).ok().unwrap()
}

#[test]
fn every_combination_of_policies_has_a_plan_that_adds_up() {
    let architecture = example::residual(&[8, 16], 2, 12);
    let (epochs, samples) = (14, 1_001);
    let context = FreezeContext {
        epochs,
        architecture: Arc::clone(&architecture),
        mask_interval: 2,
        reduction_required: false,
    };
    for mask in mask::registry() {
        for entry in freeze::registry() {
            for sieve in sieve::registry() {
                let freeze =
                    (entry.build)(&Parameters::defaults(&(entry.parameters)()), &context).ok().unwrap();
                let (masks, sieves) =
                    (masks(mask.name, epochs, &architecture), sieves(sieve.name, epochs, samples));
                let shared = Arc::clone(&architecture);
                let plan = Plan::new(shared, epochs, samples, &*masks, &*freeze, &*sieves).unwrap();
                let active = |epoch: u32| match sieve.name {
                    "none" => 1_001,
                    // Starts with all samples, until its first decision.
                    "forgetting" if epoch < 2 => 1_001,
                    _ => 1_001 - 150,
                };
                assert!(plan.active_samples.iter().copied().eq((0..14).map(active)), "{}", sieve.name);
                let recounted: u64 = (0..epochs)
                    .map(|epoch| {
                        count(&architecture, plan.nonzero(epoch), plan.frozen_blocks(epoch), active(epoch))
                            .total()
                    })
                    .sum();
                assert_eq!(plan.total().total(), recounted);
                // Three passes over every weight, but for the input's gradient of the stem.
                let dense: u64 = architecture
                    .layers
                    .iter()
                    .map(|layer| layer.weights() as u64 * layer.flops_per_weight())
                    .sum();
                let stem =
                    architecture.layers[0].weights() as u64 * architecture.layers[0].flops_per_weight();
                assert_eq!(plan.dense_cost.total(), (3 * dense - stem) * 1_001);
                assert_eq!(plan.reduction() >= 0.15, entry.name == "progressive", "{}", entry.name);
                assert_eq!(plan.note, None);
                assert_eq!(plan.layer_frozen_at(architecture.layers.len() - 1), None);
                assert_eq!(plan.layer_frozen_at(0), plan.frozen_at[0]);
            }
        }
    }
}

#[test]
fn an_unplanned_freeze_costs_what_the_masks_then_count() {
    let architecture = example::residual(&[8, 16], 1, 12);
    let (epochs, samples) = (16, 100);
    let (masks, sieves) = (masks("mest-ems", epochs, &architecture), sieves("none", epochs, samples));
    let plan = Plan::new(Arc::clone(&architecture), epochs, samples, &*masks, &Never, &*sieves).unwrap();
    for frozen_at in [[None, None], [Some(3), None], [Some(4), Some(9)], [Some(1), Some(15)]] {
        // The masks as they are, with every decision taken when it is due.
        let mut existing: Vec<BTreeSet<u32>> = (0..architecture.layers.len())
            .map(|layer| match masks.masked(layer) {
                true => masks.initial(layer, None).into_iter().collect(),
                false => (0..architecture.layers[layer].weights() as u32).collect(),
            })
            .collect();
        let mut cost = Cost::default();
        for epoch in 0..epochs {
            for (layer, existing) in existing.iter_mut().enumerate() {
                let stops: Option<u32> = frozen_at.get(architecture.layers[layer].block).copied().flatten();
                let freezing = stops == Some(epoch);
                let trains = stops.is_none_or(|at| epoch < at);
                if masks.masked(layer) && (freezing || trains && masks.updates(layer, epoch, None)) {
                    let indices: Vec<u32> = existing.iter().copied().collect();
                    let values: Vec<f32> = indices.iter().map(|index| (index % 17) as f32).collect();
                    let delta = masks.decide(&MaskUpdate {
                        layer,
                        epoch,
                        frozen_at: None,
                        freezing,
                        indices: &indices,
                        values: &values,
                        gradients: &values,
                    });
                    delta.dropped.iter().for_each(|index| assert!(existing.remove(index)));
                    delta.grown.iter().for_each(|index| assert!(existing.insert(*index)));
                }
            }
            let nonzero: Vec<u32> = existing.iter().map(|layer| layer.len() as u32).collect();
            cost = cost + count(&architecture, &nonzero, frozen_blocks(&frozen_at, epoch), samples);
        }
        assert_eq!(plan.cost_of(&frozen_at), cost, "{frozen_at:?}");
    }
    assert_eq!(plan.cost_of(&[None, None]), plan.unfrozen_cost);
}

/// A mask that loses one weight of every layer in every epoch until the layer freezes.
struct Thinning;

impl MaskPolicy for Thinning {
    fn name(&self) -> &'static str {
        "thinning"
    }

    fn masked(&self, _layer: usize) -> bool {
        true
    }

    fn density(&self, _layer: usize) -> f64 {
        0.5
    }

    fn nonzero(&self, _layer: usize, epoch: u32, frozen_at: Option<u32>) -> u32 {
        16 - frozen_at.map_or(epoch, |at| at.min(epoch))
    }

    fn initial(&self, _layer: usize, _frozen_at: Option<u32>) -> Vec<u32> {
        (0..16).collect()
    }

    fn updates(&self, _layer: usize, _epoch: u32, _frozen_at: Option<u32>) -> bool {
        true
    }

    fn decide(&self, _update: &MaskUpdate<'_>) -> MaskDelta {
        MaskDelta::default()
    }
}

#[test]
fn a_frozen_layer_keeps_the_weights_of_the_moment_at_which_it_froze() {
    let architecture = example::perceptron(&[4, 4, 4]);
    let sieves = sieves("none", 5, 10);
    let plan =
        Plan::new(Arc::clone(&architecture), 5, 10, &Thinning, &Given(vec![Some(2)]), &*sieves).unwrap();
    let nonzero: Vec<&[u32]> = (0..5).map(|epoch| plan.nonzero(epoch)).collect();
    assert_eq!(nonzero, [[16, 16], [15, 15], [14, 14], [14, 13], [14, 12]]);
    assert_eq!(plan.cost_of(&plan.frozen_at), plan.total());
}

/// A policy that plans what it is given.
struct Given(Vec<Option<u32>>);

impl FreezePolicy for Given {
    fn name(&self) -> &'static str {
        "given"
    }

    fn plan(&self, _costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        Ok(FreezePlan { frozen_at: self.0.clone(), note: None })
    }

    fn start(&self, _plan: &Plan) -> Box<dyn FreezeState> {
        Box::new(Never)
    }
}

#[test]
fn plans_out_of_order_or_out_of_time_break_the_contract() {
    let architecture = example::perceptron(&[4, 4, 4, 4]);
    let (masks, sieves) = (masks("dense", 5, &architecture), sieves("none", 5, 10));
    let plan = |frozen_at: Vec<Option<u32>>| {
        let given = Given(frozen_at);
        let planned =
            AssertUnwindSafe(|| Plan::new(Arc::clone(&architecture), 5, 10, &*masks, &given, &*sieves));
        std::panic::catch_unwind(planned).map(|plan| plan.unwrap().frozen_blocks(3))
    };
    let bad: [&[Option<u32>]; 5] =
        [&[None, Some(1)], &[Some(2), Some(1)], &[None, Some(0)], &[Some(5), None], &[None]];
    for frozen_at in bad {
        assert!(plan(frozen_at.to_vec()).is_err(), "{frozen_at:?}");
    }
    assert_eq!(plan(vec![Some(3), Some(4)]).unwrap(), 1);
    assert_eq!(plan(vec![Some(0), None]).unwrap(), 1);
}

#[test]
fn what_is_frozen_from_the_start_has_no_backward_pass_in_any_epoch() {
    let architecture = example::perceptron(&[4, 4, 4]);
    let (masks, sieves) = (masks("dense", 3, &architecture), sieves("none", 3, 10));
    let plan = Plan::new(Arc::clone(&architecture), 3, 10, &*masks, &Given(vec![Some(0)]), &*sieves).unwrap();
    assert_eq!((0..3).map(|epoch| plan.frozen_blocks(epoch)).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!((plan.layer_frozen_at(0), plan.layer_frozen_at(1)), (Some(0), None));
    // Ten samples, 2 · 16 FLOPs a layer; the classifier needs the gradient of its weights only.
    assert!(plan.cost.iter().all(|cost| (cost.forward, cost.backward) == (640, 320)));
}
