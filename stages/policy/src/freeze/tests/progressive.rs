//! The plan against an exhaustive search over all plans, costed from scratch.

use std::sync::Arc;

use spfde_data::architecture::Architecture;
use spfde_data::parameter::{ParameterError, Parameters, Value};

use crate::freeze::{self, FreezeContext, FreezePlan, FreezePolicy, ProgressiveFewest};
use crate::{Costs, MaskContext, MaskPolicy, Plan, Registry, SieveContext, Spans, example, sieve};

/// One configuration of a run.
#[derive(Clone)]
struct Case {
    architecture: Arc<Architecture>,
    epochs: u32,
    interval: u32,
    reduction: f64,
    fraction: f64,
    mask: &'static str,
    mask_interval: u32,
    active: Vec<u32>,
}

impl Case {
    fn masks(&self) -> Arc<dyn MaskPolicy> {
        let family = Registry::default().mask;
        let known = (family.find(self.mask).unwrap().parameters)();
        let mut parameters = Parameters::defaults(&known);
        if self.mask != "dense" {
            let interval = Value::Integer(i64::from(self.mask_interval));
            parameters = parameters.with(&known, "mask.interval", interval).unwrap();
        }
        let context =
            MaskContext { seed: 1, epochs: self.epochs, architecture: Arc::clone(&self.architecture) };
        family.build(self.mask, &parameters, &context).unwrap_or_else(|error| panic!("{error}"))
    }

    fn freezes(&self, reduction_required: bool) -> Arc<dyn FreezePolicy> {
        let (flops_reduction, fraction, interval) = (self.reduction, self.fraction, self.interval);
        let (epochs, mask_interval) = (self.epochs, self.mask_interval);
        let architecture = Arc::clone(&self.architecture);
        let context =
            FreezeContext { mask_interval, reduction_required, ..FreezeContext::new(epochs, architecture) };
        let rule = ProgressiveFewest { flops_reduction, fraction, interval };
        freeze::policy(rule, &context).unwrap_or_else(|error| panic!("{error}"))
    }

    fn plan(&self, required: bool) -> Result<FreezePlan, ParameterError> {
        let masks = self.masks();
        let costs = Costs { architecture: &self.architecture, mask: &*masks, active_samples: &self.active };
        self.freezes(required).plan(&costs)
    }

    /// FLOPs of the run, recounted: every layer is followed through the epochs, pruned and grown on the way.
    fn flops(&self, frozen_at: &[Option<u32>]) -> u128 {
        let mut flops = 0;
        let first = self.architecture.layers.iter().position(|layer| layer.kernel != (1, 1));
        for (index, layer) in self.architecture.layers.iter().enumerate() {
            let all = layer.weights() as f64;
            let masked = Some(index) != first && index + 1 < self.architecture.layers.len();
            let (target, soft) = match (self.mask, masked) {
                ("mest-ems", true) => ((1.0 - 0.9) * all, 0.5),
                ("mest-em", true) => ((1.0 - 0.9) * all, 0.0),
                _ => (all, 0.0),
            };
            let stop = frozen_at.get(layer.block).copied().flatten().unwrap_or(self.epochs);
            let due = |epoch: u32| epoch > 0 && epoch < stop && epoch.is_multiple_of(self.mask_interval);
            let mut exists =
                if (0..self.epochs).any(due) { (target + soft * target).round() } else { target.round() };
            for epoch in 0..self.epochs {
                if due(epoch) {
                    let progress = f64::from(epoch) / f64::from(self.epochs);
                    let last = !(epoch + 1..self.epochs).any(due);
                    let part = match progress {
                        _ if last => 0.0,
                        progress if progress < 0.5625 => 1.0,
                        progress if progress < 0.75 => 0.5,
                        _ => 0.0,
                    };
                    exists = (target + part * soft * target).round();
                }
                let forward = 2
                    * exists as u128
                    * u128::from(layer.positions)
                    * u128::from(self.active[epoch as usize]);
                let prefix = frozen_at.iter().filter(|at| at.is_some_and(|at| at <= epoch)).count();
                let backward = match layer.block {
                    block if block < prefix => 0,
                    block if block == prefix && layer.reads_block_input => 1,
                    _ => 2,
                };
                flops += forward * (1 + backward);
            }
        }
        flops
    }

    fn saved(&self, frozen_at: &[Option<u32>]) -> f64 {
        let unfrozen = self.flops(&vec![None; frozen_at.len()]);
        (unfrozen as f64 - self.flops(frozen_at) as f64) / unfrozen as f64
    }

    /// Every plan with the last block at a time of its own, best first: fewest blocks, latest start, latest
    /// last.
    fn search(&self) -> Option<Vec<Option<u32>>> {
        let blocks = self.architecture.blocks.len();
        let times: Vec<u32> = (1..self.epochs).filter(|epoch| epoch.is_multiple_of(self.interval)).collect();
        let most = (self.fraction * blocks as f64).round() as usize;
        for count in 0..=most.min(times.len()) {
            if count == 0 {
                if self.saved(&vec![None; blocks]) >= self.reduction {
                    return Some(vec![None; blocks]);
                }
                continue;
            }
            for start in (0..=times.len() - count).rev() {
                let plan_with = |last: usize| {
                    let mut plan: Vec<_> =
                        times[start..start + count - 1].iter().copied().map(Some).collect();
                    plan.push(Some(times[last]));
                    plan.resize(blocks, None);
                    plan
                };
                if self.saved(&plan_with(start + count - 1)) >= self.reduction {
                    let last = (start + count - 1..times.len()).rev();
                    return last.map(plan_with).find(|plan| self.saved(plan) >= self.reduction);
                }
            }
        }
        None
    }
}

/// Frozen to the end from the given epochs on.
fn spans(frozen_at: &[Option<u32>]) -> Vec<Spans> {
    frozen_at.iter().copied().map(Spans::from_start).collect()
}

fn cases() -> Vec<Case> {
    let architectures = [
        example::perceptron(&[20, 50, 30, 40, 10]),
        example::perceptron(&[784, 300, 100, 10]),
        example::residual(&[4, 8], 2, 8),
    ];
    let mut cases = Vec::new();
    for architecture in architectures {
        for epochs in [2, 5, 12, 16] {
            for interval in [1, 2, 3] {
                for reduction in [0.0, 0.002, 0.05, 0.15, 0.3] {
                    for (mask, mask_interval) in
                        [("dense", 2), ("mest-em", 2), ("mest-ems", 2), ("mest-ems", 3)]
                    {
                        let active: Vec<u32> = (0..epochs).map(|epoch| 1000 - 13 * (epoch / 2)).collect();
                        let (architecture, fraction) = (Arc::clone(&architecture), 2.0 / 3.0);
                        cases.push(Case {
                            architecture,
                            epochs,
                            interval,
                            reduction,
                            fraction,
                            mask,
                            mask_interval,
                            active,
                        });
                    }
                }
            }
        }
    }
    // One block saves next to nothing, two save much, and nearly all samples come last: both wait to the end.
    cases.push(Case {
        architecture: example::perceptron(&[1, 1, 400, 400, 10]),
        epochs: 12,
        interval: 1,
        reduction: 0.1,
        fraction: 2.0 / 3.0,
        mask: "dense",
        mask_interval: 2,
        active: [vec![1; 11], vec![100_000]].concat(),
    });
    // The default network and run.
    cases.push(Case {
        architecture: example::residual(&[16, 32, 64], 3, 28),
        epochs: 20,
        interval: 1,
        reduction: 0.15,
        fraction: 2.0 / 3.0,
        mask: "mest-ems",
        mask_interval: 2,
        active: vec![51_000; 20],
    });
    cases
}

#[test]
fn plans_are_those_of_an_exhaustive_search_or_refused_with_the_greatest_reduction() {
    let (mut reached, mut refused) = (0, 0);
    for case in cases() {
        let blocks = case.architecture.blocks.len();
        let at = format!(
            "{blocks} blocks, {} epochs, interval {}, {} asked, {} every {}",
            case.epochs, case.interval, case.reduction, case.mask, case.mask_interval
        );
        match (case.plan(true), case.search()) {
            (Ok(plan), Some(found)) => {
                assert_eq!(plan.frozen, spans(&found), "{at}");
                assert_eq!(plan.note, None, "{at}");
                assert!(case.saved(&found) >= case.reduction, "{at}");
                let Some(last) = found.iter().rposition(Option::is_some) else {
                    assert_eq!(case.reduction, 0.0, "{at}");
                    continue;
                };
                let later =
                    found[last].map(|epoch| epoch + case.interval).filter(|epoch| *epoch < case.epochs);
                let postponed = [&found[..last], &[later], &found[last + 1..]].concat();
                assert!(case.saved(&postponed) < case.reduction, "{at}: the last block could wait");
                reached += 1;
            }
            (Err(error), None) => {
                let text = error.to_string();
                assert!(text.starts_with("`freeze.flops_reduction`: "), "{text}");
                let greatest = text.split("the greatest that can is ").nth(1).unwrap();
                let greatest: f64 = greatest.split(':').next().unwrap().parse().unwrap();
                assert!(greatest < case.reduction, "{at}: {text}");
                let asking = |reduction| Case { reduction, ..case.clone() };
                assert!(asking(greatest).plan(true).is_ok(), "{at}: {text}");
                assert!(asking(greatest + 2e-4).search().is_none(), "{at}: {text}");
                // Not asked for, it freezes nothing and says why.
                let plan = case.plan(false).unwrap();
                assert_eq!(plan.frozen, vec![Spans::never(); blocks], "{at}");
                assert!(plan.note.is_some_and(|note| note.starts_with("nothing freezes")), "{at}");
                refused += 1;
            }
            (plan, found) => panic!("{at}: {plan:?}, but the search finds {found:?}"),
        }
    }
    assert!(reached > 100 && refused > 100, "the grid has both: {reached} reached, {refused} refused");
}

#[test]
fn a_run_of_one_epoch_freezes_nothing() {
    let case = Case {
        architecture: example::residual(&[16, 32, 64], 3, 28),
        epochs: 1,
        interval: 1,
        reduction: 0.15,
        fraction: 2.0 / 3.0,
        mask: "mest-ems",
        mask_interval: 2,
        active: vec![51_000],
    };
    assert_eq!(case.plan(false).unwrap().frozen, vec![Spans::never(); 9]);
    let refusal = case.plan(true).unwrap_err().to_string();
    assert!(
        refusal.contains("0.15 cannot be reached, the greatest that can is 0: in 1 epoch at most 0"),
        "{refusal}"
    );
}

#[test]
fn the_state_says_what_the_plan_says() {
    let case = cases().pop().unwrap();
    let (masks, freezes) = (case.masks(), case.freezes(true));
    let context = SieveContext { seed: 1, epochs: case.epochs, samples: 51_000 };
    let sieves = sieve::policy(sieve::All {}, &context).unwrap();
    let architecture = Arc::clone(&case.architecture);
    let plan = Plan::new(architecture, case.epochs, 51_000, &masks, &*freezes, &*sieves).unwrap();
    let mut state = freezes.start(&plan);
    let mut frozen_at = vec![None; 9];
    for epoch in 1..case.epochs {
        for change in state.decide(epoch) {
            assert!(change.frozen);
            assert_eq!(change.reason, "scheduled, to save 0.15 of the FLOPs");
            assert_eq!(frozen_at[change.block].replace(epoch), None);
        }
    }
    assert_eq!(spans(&frozen_at), plan.frozen);
    assert_eq!(state.frozen(), plan.frozen);
    assert!(frozen_at.iter().any(Option::is_some));
    assert_eq!(u128::from(plan.total().total()), case.flops(&frozen_at));
    assert_eq!(plan.reduction(), case.saved(&frozen_at));
}
