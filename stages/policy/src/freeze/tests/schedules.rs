//! Every schedule against an exhaustive search over its family of plans, costed from scratch.

use std::sync::Arc;

use proptest::prelude::*;
use spfde_data::architecture::Architecture;

use crate::freeze::{
    self, DelayedPeriodic, FreezeContext, FreezeOut, FreezePolicy, FreezeRule, Never, Pace, Periodic,
    Progressive, ProgressiveResume,
};
use crate::{Costs, MaskContext, Plan, SieveContext, Spans, example, mask, sieve};

/// For each block the epochs in which it is frozen.
type Frozen = Vec<Vec<bool>>;

/// A plan as it is kept to, the policy that made it, and the plan itself.
type Planned = (Frozen, Arc<dyn FreezePolicy>, Plan);

/// What is planned for each block, and who says how its learning rate goes.
fn paces(planned: &Option<Planned>) -> Vec<(&Spans, &dyn FreezePolicy)> {
    let Some((_, policy, plan)) = planned else { return Vec::new() };
    plan.frozen.iter().map(|spans| (spans, &**policy)).collect()
}

/// A run of a dense network.
#[derive(Debug)]
struct Case {
    architecture: Arc<Architecture>,
    active: Vec<u32>,
    asked: f64,
}

impl Case {
    fn blocks(&self) -> usize {
        self.architecture.blocks.len()
    }

    fn epochs(&self) -> u32 {
        self.active.len() as u32
    }

    /// FLOPs by the equation: three passes of what trains, one of what is frozen; no gradient for the input
    /// of what reads the frozen prefix, or the images.
    fn flops(&self, frozen: &Frozen) -> u128 {
        let mut flops = 0;
        for (epoch, samples) in self.active.iter().enumerate() {
            let prefix = frozen.iter().take_while(|block| block[epoch]).count();
            for layer in &self.architecture.layers {
                let last = layer.block == self.blocks();
                let passes = match layer.block {
                    block if block < prefix => 1,
                    block if block == prefix && (layer.reads_block_input || last) => 2,
                    _ => 3,
                };
                let one = 2 * layer.weights() as u128 * u128::from(layer.positions);
                flops += passes * one * u128::from(*samples);
            }
        }
        flops
    }

    fn saved(&self, frozen: &Frozen) -> f64 {
        let never = vec![vec![false; self.active.len()]; self.blocks()];
        let unfrozen = self.flops(&never);
        (unfrozen - self.flops(frozen)) as f64 / unfrozen as f64
    }

    /// Frozen in the epochs of which `holds` says so.
    fn frozen(&self, holds: impl Fn(usize, u32) -> bool) -> Frozen {
        (0..self.blocks())
            .map(|block| (0..self.epochs()).map(|epoch| holds(block, epoch)).collect())
            .collect()
    }

    /// Of plans, latest first, the first that saves enough.
    fn first(&self, plans: impl Iterator<Item = Frozen>) -> Option<Frozen> {
        plans.into_iter().find(|plan| self.saved(plan) >= self.asked)
    }

    /// What a rule plans, as it is asked for; `None` if it refuses. Its state does what the plan says.
    fn plan(&self, rule: impl FreezeRule) -> Option<Planned> {
        let (epochs, samples) = (self.epochs(), 100_000);
        let architecture = Arc::clone(&self.architecture);
        let context = FreezeContext {
            reduction_required: true,
            ..FreezeContext::new(epochs, Arc::clone(&architecture))
        };
        let policy = freeze::policy(rule, &context).unwrap();
        let context = MaskContext { seed: 1, epochs, architecture: Arc::clone(&architecture) };
        let masks = mask::policy(mask::Dense {}, &context).unwrap();
        let costs = Costs { architecture: &architecture, mask: &*masks, active_samples: &self.active };
        let planned = match policy.plan(&costs) {
            Ok(planned) => planned.frozen,
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("`freeze.flops_reduction`: "), "{text}");
                return None;
            }
        };
        let frozen = self.frozen(|block, epoch| planned[block].is_frozen(epoch));
        let sieves = sieve::policy(sieve::All {}, &SieveContext { seed: 1, epochs, samples }).unwrap();
        let never = freeze::policy(Never {}, &FreezeContext::new(epochs, Arc::clone(&architecture))).unwrap();
        let mut plan = Plan::new(architecture, epochs, samples, &masks, &*never, &*sieves).unwrap();
        plan.frozen = planned.clone();
        let mut state = policy.start(&plan);
        for epoch in 1..epochs {
            for change in state.decide(epoch) {
                assert_ne!(frozen[change.block][epoch as usize - 1], change.frozen, "{change:?}");
                assert_eq!(frozen[change.block][epoch as usize], change.frozen, "{change:?}");
                assert!(change.reason.starts_with("scheduled, "), "{}", change.reason);
            }
            assert!(!policy.may_freeze(epoch) && state.evidence().is_empty());
        }
        assert_eq!(state.frozen(), planned);
        Some((frozen, policy, plan))
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let perceptrons = prop::collection::vec(2..40_usize, 3..8).prop_map(|sizes| example::perceptron(&sizes));
    let residuals =
        (2..6_usize, 1..4_usize).prop_map(|(width, n)| example::residual(&[width, 2 * width], n, 8));
    let active = prop::collection::vec(1..1000_u32, 1..14);
    (prop_oneof![perceptrons, residuals], active, 0.0..0.4).prop_map(|(architecture, active, asked)| Case {
        architecture,
        active,
        asked,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn progressive_freezes_its_share_as_late_as_saves_enough(
        case in cases(), interval in 1..4_u32, fraction in 0.0..=1.0_f64,
    ) {
        let count = (fraction * case.blocks() as f64).round() as u32;
        let plan = |turn: u32| {
            case.frozen(|block, epoch| (block as u32) < count && (turn + block as u32) * interval <= epoch)
        };
        let found = case.first((1..=case.epochs()).rev().map(plan));
        let rule = Progressive { flops_reduction: case.asked, fraction, interval, start: 0 };
        prop_assert_eq!(case.plan(rule).map(|plan| plan.0), found);
    }

    #[test]
    fn progressive_starts_when_it_is_told(case in cases(), interval in 1..4_u32, start in 1..9_u32) {
        let found = case.frozen(|block, epoch| start + block as u32 * interval <= epoch);
        let saved = case.saved(&found);
        let rule = |flops_reduction| Progressive { flops_reduction, fraction: 1.0, interval, start };
        if start < case.epochs() {
            prop_assert_eq!(case.plan(rule(saved)).map(|plan| plan.0), Some(found));
            prop_assert!(case.plan(rule(saved + 0.01)).is_none(), "what is asked for is kept");
        } else {
            let context = FreezeContext::new(case.epochs(), Arc::clone(&case.architecture));
            let masks = MaskContext { seed: 1, epochs: case.epochs(), architecture: case.architecture };
            let architecture = Arc::clone(&masks.architecture);
            let masks = mask::policy(mask::Dense {}, &masks).unwrap();
            let costs = Costs { architecture: &architecture, mask: &*masks, active_samples: &case.active };
            let refused = freeze::policy(rule(0.0), &context).unwrap().plan(&costs).unwrap_err().to_string();
            prop_assert!(refused.starts_with("`freeze.start`: "), "{}", refused);
        }
    }

    #[test]
    fn progressive_resume_does_so_and_thaws_at_the_end(
        case in cases(), interval in 1..4_u32, fraction in 0.0..=1.0_f64, resume in 0..5_u32,
    ) {
        let count = (fraction * case.blocks() as f64).round() as u32;
        let last = if resume > 0 { resume } else { ((case.epochs() + 4) / 8).max(1) };
        let end = case.epochs().saturating_sub(last);
        let plan = |turn: u32| {
            let starts = move |block: usize| (turn + block as u32) * interval;
            case.frozen(|block, epoch| (block as u32) < count && (starts(block)..end).contains(&epoch))
        };
        let found = case.first((1..=case.epochs()).rev().map(plan));
        let rule = ProgressiveResume { flops_reduction: case.asked, fraction, interval, resume };
        let planned = case.plan(rule);
        prop_assert_eq!(planned.as_ref().map(|plan| &plan.0), found.as_ref());
        for (spans, policy) in paces(&planned) {
            let start = (0..case.epochs()).find(|epoch| spans.is_frozen(*epoch));
            for epoch in (0..case.epochs()).filter(|epoch| !spans.is_frozen(*epoch)) {
                let ends_at = start.filter(|start| epoch < *start);
                prop_assert_eq!(policy.pace(spans, epoch), Pace { ends_at, factor: 1.0 });
            }
        }
    }

    #[test]
    fn periodic_schedules_are_the_best_pair(case in cases(), delay in 0..6_u32) {
        let blocks = case.blocks();
        let plan = |delay: u32, front: usize, middle: usize| case.frozen(|block, epoch| {
            let every = if block < front { 4 } else if block < front + middle { 2 } else { 1 };
            epoch >= delay && !(epoch - delay).is_multiple_of(every)
        });
        let best = |delay: u32| {
            let pairs = (1..blocks).flat_map(|front| (1..blocks - front).map(move |middle| (front, middle)));
            let plans = pairs.map(|(front, middle)| (front, plan(delay, front, middle)));
            let mut enough: Vec<_> = plans.filter(|(_, plan)| case.saved(plan) >= case.asked).collect();
            enough.sort_by(|(a, x), (b, y)| case.saved(x).total_cmp(&case.saved(y)).then(b.cmp(a)));
            enough.into_iter().next().map(|(_, plan)| plan)
        };
        let flops_reduction = case.asked;
        let planned = case.plan(Periodic { flops_reduction });
        prop_assert_eq!(planned.as_ref().map(|plan| plan.0.clone()), best(0));
        if let Some((_, policy, plan)) = planned {
            prop_assert!(plan.frozen.iter().all(|spans| policy.pace(spans, 3) == Pace::PLAIN));
        }
        let from = if delay > 0 { delay } else { (case.epochs() as f64 / 3.0).round() as u32 };
        let planned = case.plan(DelayedPeriodic { flops_reduction, delay });
        prop_assert_eq!(planned.map(|plan| plan.0), best(from));
    }

    #[test]
    fn freezeout_freezes_along_its_power_as_late_as_saves_enough(case in cases(), power in 1..=3_u32) {
        let (blocks, epochs) = (case.blocks() as f64, f64::from(case.epochs()));
        let plan = |first: f64| case.frozen(|block, epoch| {
            let share = (first + (1.0 - first) * block as f64 / blocks).powi(power as i32);
            ((share * epochs).floor()).max(1.0) <= f64::from(epoch)
        });
        // Where one of the blocks comes to freeze an epoch later, and just after that.
        let mut moments = vec![0.0, 1.0];
        let pairs = (0..case.blocks()).flat_map(|block| (1..=case.epochs()).map(move |epoch| (block, epoch)));
        for (block, epoch) in pairs {
            let place = block as f64 / blocks;
            let root = (f64::from(epoch) / epochs).powf(1.0 / f64::from(power));
            moments.push((root - place) / (1.0 - place) + 1e-8);
        }
        moments.retain(|moment| (0.0..=1.0).contains(moment));
        moments.sort_by(|a, b| b.total_cmp(a));
        let found = case.first(moments.into_iter().map(plan));
        let rule = FreezeOut { flops_reduction: case.asked, power, ..FreezeOut::default() };
        let planned = case.plan(rule);
        prop_assert_eq!(planned.as_ref().map(|plan| &plan.0), found.as_ref());
        for (spans, policy) in paces(&planned) {
            let end = (0..case.epochs()).find(|epoch| spans.is_frozen(*epoch));
            let factor = end.map_or(1.0, |end| epochs / f64::from(end));
            prop_assert_eq!(policy.pace(spans, 0), Pace { ends_at: end, factor });
        }
    }
}

#[test]
fn the_default_run_begins_to_freeze_half_way() {
    // ResNet-20 of the default run, 16 epochs: six of nine blocks.
    let case =
        Case { architecture: example::residual(&[16, 32, 64], 3, 28), active: vec![51_000; 16], asked: 0.15 };
    let (frozen, ..) = case.plan(Progressive { flops_reduction: 0.15, ..Progressive::default() }).unwrap();
    let starts: Vec<Option<usize>> =
        frozen.iter().map(|block| block.iter().position(|frozen| *frozen)).collect();
    let expected = [Some(8), Some(9), Some(10), Some(11), Some(12), Some(13), None, None, None];
    assert_eq!(starts, expected);
}

#[test]
fn a_rate_that_is_not_scaled_follows_the_block_alone() {
    let architecture = example::perceptron(&[4, 4, 4]);
    let context = FreezeContext::new(8, architecture);
    let rule = FreezeOut { scale_learning_rate: false, ..FreezeOut::default() };
    let policy = freeze::policy(rule, &context).unwrap();
    assert_eq!(policy.pace(&Spans::from(4), 0), Pace { ends_at: Some(4), factor: 1.0 });
}
