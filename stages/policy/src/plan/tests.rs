//! The plan's numbers against recounts.

mod intervals;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use spfde_data::parameter::{ParameterError, Parameters};

use super::*;
use crate::cost::Costs;
use crate::freeze::FreezePolicy;
use crate::freeze::{FreezePlan, FreezeState, Never};
use crate::mask::MaskPolicy;
use crate::sieve::SievePolicy;
use crate::{FreezeContext, MaskContext, MaskState, MaskUpdate, Registry, SieveContext, example, freeze};

fn masks(name: &str, epochs: u32, architecture: &Arc<Architecture>) -> Arc<dyn MaskPolicy> {
    let context = MaskContext { seed: 3, epochs, architecture: Arc::clone(architecture) };
    Registry::default().mask.build(name, &Parameters::default(), &context).unwrap()
}

fn sieves(name: &str, epochs: u32, samples: u32) -> Arc<dyn SievePolicy> {
    let context = SieveContext { seed: 3, epochs, samples };
    Registry::default().sieve.build(name, &Parameters::default(), &context).unwrap()
}

fn never(epochs: u32, architecture: &Arc<Architecture>) -> Arc<dyn FreezePolicy> {
    freeze::policy(Never {}, &freeze_context(epochs, architecture)).unwrap()
}

fn freeze_context(epochs: u32, architecture: &Arc<Architecture>) -> FreezeContext {
    FreezeContext::new(epochs, Arc::clone(architecture))
}

fn spans(frozen_at: &[Option<u32>]) -> Vec<Spans> {
    frozen_at.iter().copied().map(Spans::from_start).collect()
}

#[test]
fn every_combination_of_policies_has_a_plan_that_adds_up() {
    let architecture = example::residual(&[8, 16], 2, 12);
    let (epochs, samples) = (14, 1_001);
    let context = freeze_context(epochs, &architecture);
    let registry = Registry::default();
    for mask in &registry.mask.entries {
        for entry in &registry.freeze.entries {
            for sieve in &registry.sieve.entries {
                let freeze = (entry.build)(&Parameters::default(), &context).unwrap();
                let (masks, sieves) =
                    (masks(mask.name, epochs, &architecture), sieves(sieve.name, epochs, samples));
                let shared = Arc::clone(&architecture);
                let plan = Plan::new(shared, epochs, samples, &masks, &*freeze, &*sieves).unwrap();
                let active = |epoch: u32| match sieve.name {
                    // What infobatch leaves out depends on losses.
                    "none" | "infobatch" => 1_001,
                    // Starts with all samples, until its first decision.
                    "forgetting" | "error-norm" | "loss" if epoch < 2 => 1_001,
                    "one-shot" if epoch < 6 => 1_001, // 0.4375 · 14 = 6.1
                    _ => 1_001 - 150,
                };
                assert!(plan.active_samples.iter().copied().eq((0..14).map(active)), "{}", sieve.name);
                // Until the last update, at epoch 10, as many absent weights train as exist.
                let explored = |epoch: u32| {
                    let layers = architecture.layers.iter().enumerate().filter(|(index, layer)| {
                        let trains = layer.block >= plan.frozen_blocks(epoch);
                        mask.name == "top-kast" && epoch < 10 && plan.masked[*index] && trains
                    });
                    let weights =
                        |index: usize| u64::from(plan.nonzero(epoch)[index]) * u64::from(active(epoch));
                    layers.map(|(index, layer)| weights(index) * layer.flops_per_weight()).sum::<u64>()
                };
                let recounted: u64 = (0..epochs)
                    .map(|epoch| {
                        let (nonzero, frozen) = (plan.nonzero(epoch), plan.frozen_blocks(epoch));
                        count(&architecture, nonzero, frozen, active(epoch)).total() + explored(epoch)
                    })
                    .sum();
                assert_eq!(plan.total().total(), recounted, "{} {}", mask.name, sieve.name);
                // Three passes over every weight, but for the input's gradient of the stem.
                let dense: u64 = architecture
                    .layers
                    .iter()
                    .map(|layer| layer.weights() as u64 * layer.flops_per_weight())
                    .sum();
                let stem =
                    architecture.layers[0].weights() as u64 * architecture.layers[0].flops_per_weight();
                assert_eq!(plan.dense_cost.total(), (3 * dense - stem) * 1_001);
                let decides = (0..epochs).any(|epoch| freeze.may_freeze(epoch));
                let never = decides || entry.name == "none";
                // With some masks so few blocks cannot save so much in the last two thirds.
                assert!(plan.note.is_none() || entry.name == "delayed-periodic", "{}", entry.name);
                assert_eq!(plan.reduction() >= 0.15, !never && plan.note.is_none(), "{}", entry.name);
                assert_eq!(plan.spans(architecture.layers.len() - 1), &Spans::never());
                assert_eq!(plan.spans(0), &plan.frozen[0]);
                let extra =
                    (0..epochs).any(|epoch| plan.extra_flops(epoch, 0, plan.nonzero(epoch), &[8; 9]) > 0);
                let asks = ["rigl", "snfs", "gse", "granet", "snip", "grasp", "synflow"];
                assert_eq!(extra, asks.contains(&mask.name), "{}", mask.name);
            }
        }
    }
}

/// The cost of a run whose blocks are frozen in these epochs without any plan: the masks as they are, with
/// every decision taken when it is due.
fn recount(
    architecture: &Architecture,
    epochs: u32,
    samples: u32,
    masks: &dyn MaskPolicy,
    frozen: &[Spans],
) -> (Cost, Vec<Vec<u32>>) {
    let never = Spans::never();
    let mut states: Vec<Box<dyn MaskState>> = architecture.layers.iter().map(|_| masks.start()).collect();
    let mut existing: Vec<BTreeSet<u32>> = (0..architecture.layers.len())
        .map(|layer| match masks.masked(layer) {
            true => masks.initial(layer, &never).into_iter().collect(),
            false => (0..architecture.layers[layer].weights() as u32).collect(),
        })
        .collect();
    let (mut cost, mut counts) = (Cost::default(), Vec::new());
    for epoch in 0..epochs {
        for (layer, existing) in existing.iter_mut().enumerate() {
            // A block trains at the last step before `epoch` unless it was frozen then.
            let spans = frozen.get(architecture.layers[layer].block).unwrap_or(&never);
            let trained = epoch > 0 && !spans.is_frozen(epoch - 1);
            let freezing = trained && spans.is_frozen(epoch);
            let due = freezing || trained && masks.needs(layer, epoch, &never) != Needs::Nothing;
            if masks.masked(layer) && due {
                let indices: Vec<u32> = existing.iter().copied().collect();
                let values: Vec<f32> = indices.iter().map(|index| (index % 17) as f32).collect();
                let dense = vec![1.0; architecture.layers[layer].weights()];
                let [delta] = states[layer]
                    .decide(&[MaskUpdate {
                        moment: masks.moment(layer, epoch, &never),
                        freezing,
                        seed: 3,
                        indices: &indices,
                        values: &values,
                        gradients: &values,
                        dense_gradients: &dense,
                        candidates: &[],
                        candidate_gradients: &[],
                        stored: &[],
                    }])
                    .try_into()
                    .unwrap();
                delta.dropped.iter().for_each(|index| assert!(existing.remove(index)));
                delta.grown.iter().for_each(|index| assert!(existing.insert(*index)));
            }
        }
        let nonzero: Vec<u32> = existing.iter().map(|layer| layer.len() as u32).collect();
        cost = cost + count(architecture, &nonzero, frozen_blocks(frozen, epoch), samples);
        counts.push(nonzero);
    }
    (cost, counts)
}

#[test]
fn an_unplanned_freeze_costs_what_the_masks_then_count() {
    let architecture = example::residual(&[8, 16], 1, 12);
    let (epochs, samples) = (16, 100);
    let (masks, sieves) = (masks("mest-ems", epochs, &architecture), sieves("none", epochs, samples));
    let freeze = never(epochs, &architecture);
    let plan = Plan::new(Arc::clone(&architecture), epochs, samples, &masks, &*freeze, &*sieves).unwrap();
    for frozen_at in [[None, None], [Some(3), None], [Some(4), Some(9)], [Some(1), Some(15)]] {
        let frozen = spans(&frozen_at);
        let (cost, counts) = recount(&architecture, epochs, samples, &*masks, &frozen);
        assert_eq!(plan.cost_of(&frozen), cost, "{frozen_at:?}");
        for (epoch, nonzero) in (0..).zip(counts) {
            assert_eq!(plan.nonzero_given(epoch, &frozen), nonzero, "{frozen_at:?} in {epoch}");
        }
    }
    assert_eq!(plan.cost_of(&spans(&[None, None])), plan.unfrozen_cost);
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

    fn target(&self, _layer: usize) -> u32 {
        8
    }

    fn nonzero(&self, _layer: usize, epoch: u32, frozen: &Spans) -> u32 {
        16 - frozen.since(epoch).unwrap_or(epoch)
    }

    fn is_scheduled(&self) -> bool {
        true
    }

    fn initial(&self, _layer: usize, _frozen: &Spans) -> Vec<u32> {
        (0..16).collect()
    }

    fn needs(&self, _layer: usize, _epoch: u32, _frozen: &Spans) -> Needs {
        Needs::Weights
    }

    fn moment(&self, _layer: usize, _epoch: u32, _frozen: &Spans) -> crate::mask::Moment {
        unreachable!("nothing is decided")
    }

    fn needs_to_freeze(&self) -> Needs {
        Needs::Weights
    }

    fn redistributes(&self) -> bool {
        false
    }

    fn start(&self) -> Box<dyn MaskState> {
        unreachable!("nothing is decided")
    }
}

#[test]
fn a_frozen_layer_keeps_the_weights_of_the_moment_at_which_it_froze() {
    let architecture = example::perceptron(&[4, 4, 4]);
    let (sieves, given) = (sieves("none", 5, 10), Given(spans(&[Some(2)])));
    let plan = Plan::new(
        Arc::clone(&architecture),
        5,
        10,
        &(Arc::new(Thinning) as Arc<dyn MaskPolicy>),
        &given,
        &*sieves,
    )
    .unwrap();
    let nonzero: Vec<&[u32]> = (0..5).map(|epoch| plan.nonzero(epoch)).collect();
    assert_eq!(nonzero, [[16, 16], [15, 15], [14, 14], [14, 13], [14, 12]]);
    assert_eq!(plan.cost_of(&plan.frozen), plan.total());
}

/// A policy that plans what it is given.
struct Given(Vec<Spans>);

impl FreezePolicy for Given {
    fn name(&self) -> &'static str {
        "given"
    }

    fn plan(&self, _costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        Ok(FreezePlan { frozen: self.0.clone(), note: None })
    }

    fn may_freeze(&self, _epoch: u32) -> bool {
        false
    }

    fn start(&self, _plan: &Plan) -> Box<dyn FreezeState> {
        unreachable!("nothing is decided")
    }
}

#[test]
fn plans_out_of_order_or_out_of_time_break_the_contract() {
    let architecture = example::perceptron(&[4, 4, 4, 4]);
    let (masks, sieves) = (masks("dense", 5, &architecture), sieves("none", 5, 10));
    let plan = |frozen_at: &[Option<u32>]| {
        let given = Given(spans(frozen_at));
        let planned =
            AssertUnwindSafe(|| Plan::new(Arc::clone(&architecture), 5, 10, &masks, &given, &*sieves));
        std::panic::catch_unwind(planned).map(|plan| plan.unwrap().frozen_blocks(3))
    };
    let bad: [&[Option<u32>]; 5] =
        [&[None, Some(1)], &[Some(2), Some(1)], &[None, Some(0)], &[Some(5), None], &[None]];
    for frozen_at in bad {
        assert!(plan(frozen_at).is_err(), "{frozen_at:?}");
    }
    assert_eq!(plan(&[Some(3), Some(4)]).unwrap(), 1);
    assert_eq!(plan(&[Some(0), None]).unwrap(), 1);
}

#[test]
fn what_is_frozen_from_the_start_has_no_backward_pass_in_any_epoch() {
    let architecture = example::perceptron(&[4, 4, 4]);
    let (masks, sieves) = (masks("dense", 3, &architecture), sieves("none", 3, 10));
    let given = Given(spans(&[Some(0)]));
    let plan = Plan::new(Arc::clone(&architecture), 3, 10, &masks, &given, &*sieves).unwrap();
    assert_eq!((0..3).map(|epoch| plan.frozen_blocks(epoch)).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!((plan.spans(0), plan.spans(1)), (&Spans::from(0), &Spans::never()));
    // Ten samples, 2 · 16 FLOPs a layer; the classifier needs the gradient of its weights only.
    assert!(plan.cost.iter().all(|cost| (cost.forward, cost.backward) == (640, 320)));
}
