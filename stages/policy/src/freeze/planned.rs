//! What all schedules share: how they look for a plan, how they answer a reduction that no plan reaches, and
//! how they keep to the plan.

use spfde_data::{ParameterError, counted};

use super::{Change, FreezeContext, FreezePlan, Judged};
use crate::{Cost, Costs, Spans};

const REDUCTION: &str = "freeze.flops_reduction";

/// What a schedule does while training: what the plan says, and nothing else.
macro_rules! keeps_to_plan {
    () => {
        fn may_freeze(&self, _: &FreezeContext, _: u32) -> bool {
            false
        }

        fn decide(&self, _: &FreezeContext, judged: Judged<'_, ()>, epoch: u32) -> Vec<Change> {
            super::planned::due(&judged, epoch, &format!("to save {} of the FLOPs", self.flops_reduction))
        }
    };
}
pub(super) use keeps_to_plan;

/// The blocks that freeze at `epoch` as planned, for the reason `why`, or thaw.
pub(super) fn due(judged: &Judged<'_, ()>, epoch: u32, why: &str) -> Vec<Change> {
    let change = |(block, spans): (usize, &Spans)| {
        let reason = match (spans.freezes_at(epoch), spans.thaws_at(epoch)) {
            (true, _) => format!("scheduled, {why}"),
            (_, true) => "scheduled, to train again".to_owned(),
            _ => return None,
        };
        Some(Change { block, frozen: spans.freezes_at(epoch), reason })
    };
    judged.plan.frozen.iter().enumerate().filter_map(change).collect()
}

/// Looks for the plan that saves the share of the FLOPs that was asked for.
pub(super) struct Search<'a> {
    costs: &'a Costs<'a>,
    unfrozen: Cost,
    asked: f64,
}

impl<'a> Search<'a> {
    /// For a plan that saves `asked`.
    pub(super) fn new(costs: &'a Costs<'a>, asked: f64) -> Self {
        let unfrozen = costs.total(&vec![Spans::never(); costs.architecture.blocks.len()]);
        Self { costs, unfrozen, asked }
    }

    /// How many blocks there are.
    pub(super) fn blocks(&self) -> usize {
        self.costs.architecture.blocks.len()
    }

    /// How many epochs there are.
    pub(super) fn epochs(&self) -> u32 {
        self.costs.active_samples.len() as u32
    }

    /// The share of the FLOPs that a plan saves.
    pub(super) fn saved(&self, frozen: &[Spans]) -> f64 {
        self.costs.total(frozen).reduction_from(&self.unfrozen)
    }

    /// Whether a plan saves what was asked for.
    pub(super) fn is_enough(&self, frozen: &[Spans]) -> bool {
        self.saved(frozen) >= self.asked
    }

    /// The plan, when blocks freeze from such an epoch on, front to back; at the run's end or later: never.
    pub(super) fn from(&self, starts: impl IntoIterator<Item = u32>) -> Vec<Spans> {
        let spans = |start| Spans::from_start(Some(start).filter(|start| *start < self.epochs()));
        let mut frozen: Vec<Spans> = starts.into_iter().map(spans).collect();
        frozen.resize(self.blocks(), Spans::never());
        frozen
    }

    /// The plan that was `found`; if none was, what is said of it: `greatest` saves as much as can be saved,
    /// and `advice` is what raises that.
    pub(super) fn answer(
        &self,
        run: &FreezeContext,
        found: Option<Vec<Spans>>,
        greatest: &[Spans],
        advice: &str,
    ) -> Result<FreezePlan, ParameterError> {
        if let Some(frozen) = found {
            return Ok(FreezePlan { frozen, note: None });
        }
        let reason = self.unreachable(greatest, advice);
        if run.reduction_required {
            return Err(ParameterError::contradiction(REDUCTION, reason));
        }
        let note = Some(format!("nothing freezes: `{REDUCTION}` = {reason}"));
        Ok(FreezePlan { note, ..FreezePlan::empty(self.blocks()) })
    }

    fn unreachable(&self, greatest: &[Spans], advice: &str) -> String {
        // Rounded down, so that asking for what is named here succeeds.
        let most = (self.saved(greatest) * 1e4).floor().max(0.0) / 1e4;
        let starts: Vec<u32> = greatest.iter().filter_map(|spans| spans.next_freeze(0)).collect();
        let first = starts.first().map_or_else(String::new, |first| format!(", from epoch {} on", first + 1));
        format!(
            "{} cannot be reached, the greatest that can is {most}: in {} at most {} of {} freeze{first}; \
             ask for less, {advice}",
            self.asked,
            counted(self.epochs() as usize, "epoch"),
            starts.len(),
            counted(self.blocks(), "block"),
        )
    }
}

/// The greatest number from `low` to `high` for which `holds`, which holds for `low` and, once it does not,
/// never again.
pub(super) fn latest(low: u32, high: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = high - (high - low) / 2;
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}
