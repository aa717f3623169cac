//! A rule that freezes and thaws by what it sees, and one that plans intervals.

use proptest::prelude::*;
use spfde_data::parameter::{ParameterError, Parameters};
use spfde_data::random::{Purpose, draw};
use spfde_data::rows::GradientRow;
use spfde_data::table::Columns;

use super::{plan, plan_with};
use crate::freeze::{
    Change, FreezeContext, FreezePlan, FreezePolicy, FreezeRule, FreezeState, GradientNorm, Judged,
};
use crate::{Costs, Plan, Registry, Spans};

spfde_data::parameters! {
    /// Freezes the first block that trains once its norms add up to a sum; the last frozen one thaws after a
    /// while.
    struct Resting in "freeze" {
        /// sum of norms at which a block freezes
        sum: f64 = 20.0, 0.0..;
        /// epochs until it thaws
        rest: u32 = 3, 1..;
    }
}

spfde_data::state! {
    /// The sum of a block's norms since it thawed.
    struct Tired { sum: f64 = 0.0, rows: u64 = 0, }
}

impl FreezeRule for Resting {
    const NAME: &'static str = "resting";
    const SUMMARY: &'static str = "a rule that thaws";
    type State = Tired;

    fn observe(&self, tired: &mut Tired, row: &GradientRow, frozen: bool) {
        if !frozen {
            tired.sum += f64::from(row.l2);
            tired.rows += 1;
        }
    }

    fn decide(&self, _: &FreezeContext, judged: Judged<'_, Tired>, epoch: u32) -> Vec<Change> {
        let Judged { states, frozen, .. } = judged;
        let prefix = frozen.iter().take_while(|spans| spans.is_frozen(epoch)).count();
        let change = |block, frozen, reason: String| vec![Change { block, frozen, reason }];
        if let Some(since) = prefix.checked_sub(1).and_then(|block| frozen[block].since(epoch))
            && epoch - since >= self.rest
        {
            states[prefix - 1] = Tired::default();
            return change(prefix - 1, false, "rested".to_owned());
        }
        match states.get(prefix) {
            Some(Tired { sum, rows }) if *sum > self.sum => {
                change(prefix, true, format!("{sum} over {rows} rows"))
            }
            _ => Vec::new(),
        }
    }
}

/// The rows of an epoch, at random, and the decision that follows.
fn show(state: &mut dyn FreezeState, seed: u64, epoch: u32) -> Vec<Change> {
    for (step, layer) in (0..4).flat_map(|step| (0..3).map(move |layer| (step, layer))) {
        let bits = draw(seed, Purpose::User, u64::from(epoch) << 32 | u64::from(step), u64::from(layer));
        let (l2, nonzero) = ((bits % 300) as f32 / 100.0, 50 + (bits >> 60) as u32);
        state.observe(&GradientRow { epoch, step, layer, l2, l1: l2, trained: true, nonzero });
    }
    state.decide(epoch + 1)
}

/// Runs a policy to the end, and in parallel from `cut` on one that was saved and restored there; returns the
/// changes.
fn run(plan: &Plan, policy: &dyn FreezePolicy, seed: u64, cut: u32) -> Vec<(u32, Change)> {
    let mut whole = policy.start(plan);
    let mut changes = Vec::new();
    let mut restored: Option<Box<dyn FreezeState>> = None;
    for epoch in 0..11 {
        if epoch == cut {
            let saved = whole.save(epoch);
            assert_eq!(saved.cells.len(), whole.columns().len());
            let mut fresh = policy.start(plan);
            fresh.restore(whole.frozen().to_vec(), &saved).unwrap();
            assert_eq!((fresh.save(epoch), fresh.frozen()), (saved, whole.frozen()));
            restored = Some(fresh);
        }
        let decided = show(&mut *whole, seed, epoch);
        if let Some(restored) = &mut restored {
            assert_eq!(show(&mut **restored, seed, epoch), decided, "cut at {cut}, epoch {epoch}");
            assert_eq!(restored.save(epoch + 1), whole.save(epoch + 1));
            assert_eq!(restored.frozen(), whole.frozen());
        }
        changes.extend(decided.into_iter().map(|change| (epoch + 1, change)));
    }
    // What is frozen is what was told.
    for (block, spans) in whole.frozen().iter().enumerate() {
        let told: Vec<(u32, bool)> = changes
            .iter()
            .filter(|(_, change)| change.block == block)
            .map(|(epoch, change)| (*epoch, change.frozen))
            .collect();
        for epoch in 1..12 {
            let last = told.iter().rev().find(|(at, _)| *at <= epoch);
            let from_start = plan.frozen[block].is_frozen(0);
            assert_eq!(spans.is_frozen(epoch), last.map_or(from_start, |(_, frozen)| *frozen), "{told:?}");
        }
    }
    changes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_policy_that_was_saved_decides_like_the_one_that_was_not(seed in any::<u64>(), cut in 0u32..11) {
        let (planned, policy) = plan("mest-ems", 2, Resting { sum: 10.0, rest: 1 + cut % 3 });
        let changes = run(&planned, &*policy, seed, cut);
        prop_assert!(changes.iter().any(|(_, change)| !change.frozen), "it thaws: {:?}", changes);
        let lenient = GradientNorm { threshold: 1.0, patience: 1, ..super::gradient_norm::rule() };
        let (planned, policy) = plan("mest-ems", 2, lenient);
        prop_assert!(!run(&planned, &*policy, seed, cut).is_empty());
        for entry in Registry::default().freeze.entries {
            let build = |context: &FreezeContext| (entry.build)(&Parameters::default(), context).unwrap();
            let (planned, policy) = plan_with(&[10; 6], "dense", 1, build);
            let changes = run(&planned, &*policy, seed, cut);
            let scheduled = changes.iter().any(|(at, _)| planned.frozen[0].freezes_at(*at));
            prop_assert_eq!(planned.reduction() >= 0.15, scheduled, "{}", entry.name);
        }
        let (planned, policy) = plan("mest-ems", 2, Periodic {});
        let told: Vec<(u32, usize, bool)> = run(&planned, &*policy, seed, cut)
            .into_iter()
            .map(|(epoch, change)| (epoch, change.block, change.frozen))
            .collect();
        prop_assert_eq!(told, [(2, 0, false), (5, 0, true), (6, 1, true), (8, 1, false), (9, 0, false)]);
    }
}

spfde_data::parameters! {
    /// Plans two intervals for the first block, one for the second.
    struct Periodic in "freeze" {}
}

impl FreezeRule for Periodic {
    const NAME: &'static str = "periodic";
    const SUMMARY: &'static str = "a rule that plans intervals";
    type State = ();

    fn plan(&self, _: &FreezeContext, _: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let mut frozen = [Spans::from(0), Spans::from(6)];
        frozen[0].thaw(2);
        frozen[0].freeze(5);
        frozen[0].thaw(9);
        frozen[1].thaw(8);
        Ok(FreezePlan { frozen: frozen.into(), note: None })
    }

    fn decide(&self, _: &FreezeContext, judged: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
        let planned = judged.plan.frozen.iter().enumerate();
        let due = planned.filter(|(_, spans)| spans.freezes_at(epoch) || spans.thaws_at(epoch));
        let change = |(block, spans): (usize, &Spans)| Change {
            block,
            frozen: spans.is_frozen(epoch),
            reason: String::new(),
        };
        due.map(change).collect()
    }
}

#[test]
fn a_rule_without_a_state_saves_no_rows() {
    let (planned, policy) = plan("dense", 2, Periodic {});
    let mut state = policy.start(&planned);
    assert_eq!(state.frozen(), [Spans::from(0), Spans::never()], "what the plan freezes from the start");
    assert_eq!((state.columns(), state.save(1)), (Vec::new(), Columns::new(&[])));
    show(&mut *state, 1, 0);
    assert_eq!(state.save(1).rows, 0);
}
