//! `progressive`: blocks freeze front to back on a schedule that saves the FLOPs asked for, as late as possible
//! (SpFDE, [arXiv 2209.11204](https://arxiv.org/abs/2209.11204), section 3, the single-shot scheme).
//!
//! The plan freezes the fewest blocks that reach `freeze.flops_reduction`, one per interval, starting at the
//! latest multiple of the interval at which the target is still reached; the last of them is then put off on its
//! own for as long as the target is still reached. The longer all blocks train, the better they become.
//!
//! The cost is counted epoch by epoch, with the weights that exist and the samples that are active in each; the
//! paper solves for the start with one constant cost per block.
//!
//! ```
//! use std::sync::Arc;
//! use spfde_data::parameter::{Parameters, Value};
//! use spfde_policy::{FreezeContext, FreezePolicy, MaskContext, example, freeze, mask};
//! use spfde_policy::{Costs, freeze::progressive::Progressive};
//! let architecture = example::perceptron(&[10, 10, 10, 10]);
//! let context = MaskContext { seed: 1, epochs: 10, architecture: Arc::clone(&architecture) };
//! let masks = mask::build("dense", &Parameters::default(), &context)?;
//! let costs = Costs { architecture: &architecture, mask: &*masks, active_samples: &[100; 10] };
//! let context = FreezeContext { epochs: 10, architecture: Arc::clone(&architecture),
//!     mask_interval: 2, reduction_required: true };
//! let entry = freeze::registry().iter().find(|entry| entry.name == "progressive").expect("it is registered");
//! let known = (entry.parameters)();
//! let parameters = Parameters::defaults(&known).with(&known, "freeze.flops_reduction", Value::Number(0.2))?;
//! // An epoch costs 3 + 5 = 8 units; with the first layer frozen 3 + 3: from epoch 2 on this saves 16 of 80.
//! let plan = Progressive::new(&parameters, &context).plan(&costs)?;
//! assert_eq!(plan.frozen_at, [Some(2), None]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::parameter::{Parameter, ParameterError, Parameters};
use spfde_data::rows::{GradientRow, MaskRow};
use spfde_data::words::counted;

use super::{Freeze, FreezeContext, FreezePlan, FreezePolicy, FreezeState, Remembered};
use crate::rounding::share_of;
use crate::{Costs, Entry, Plan};

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn FreezePolicy, FreezeContext> = Entry {
    name: "progressive",
    summary: "freezes blocks front to back, as late as still saves the FLOPs asked for",
    parameters,
    build: |parameters, context| Ok(Box::new(Progressive::new(parameters, context))),
};

const REDUCTION: &str = "freeze.flops_reduction";

fn parameters() -> Vec<Parameter> {
    vec![
        Parameter::below(REDUCTION, 0.15, 0.0, 1.0, "share of the run's FLOPs that freezing saves at least"),
        Parameter::number("freeze.fraction", 2.0 / 3.0, 0.0, 1.0, "share of the blocks that may freeze"),
        Parameter::integer(
            "freeze.interval",
            1,
            1,
            i64::from(u32::MAX),
            "epochs between the freezing of one block and the next",
        ),
    ]
}

/// Blocks freeze on a schedule made before the first step.
#[derive(Clone, Debug)]
pub struct Progressive {
    reduction: f64,
    fraction: f64,
    interval: u32,
    required: bool,
}

impl Progressive {
    /// The policy with the given parameters.
    ///
    /// # Panics
    /// If a key is missing.
    pub fn new(parameters: &Parameters, context: &FreezeContext) -> Self {
        Self {
            reduction: parameters.number(REDUCTION),
            fraction: parameters.number("freeze.fraction"),
            interval: parameters.integer("freeze.interval"),
            required: context.reduction_required,
        }
    }

    /// The freezing times when blocks freeze at the given multiples of the interval, front to back.
    fn frozen_at(&self, blocks: usize, turns: impl IntoIterator<Item = u32>) -> Vec<Option<u32>> {
        let mut frozen_at: Vec<_> = turns.into_iter().map(|turn| Some(turn * self.interval)).collect();
        frozen_at.resize(blocks, None);
        frozen_at
    }

    /// The answer to a reduction that cannot be reached; `greatest` is what the earliest plan saves.
    fn unreachable(&self, greatest: f64, most: u32, costs: &Costs<'_>) -> String {
        let (blocks, epochs) = (costs.architecture.blocks.len(), costs.active_samples.len());
        // Rounded down, so that asking for what is named here succeeds.
        let greatest = (greatest * 1e4).floor() / 1e4;
        format!(
            "{} cannot be reached, the greatest that can is {greatest}: in {} at most {most} of {} freeze, \
             one every {} from epoch {} on; ask for less, train longer or raise `freeze.fraction`",
            self.reduction,
            counted(epochs, "epoch"),
            counted(blocks, "block"),
            if self.interval == 1 { "epoch".to_owned() } else { format!("{} epochs", self.interval) },
            self.interval,
        )
    }
}

impl FreezePolicy for Progressive {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn plan(&self, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let blocks = costs.architecture.blocks.len();
        let epochs = costs.active_samples.len() as u32;
        let unfrozen = costs.total(&vec![None; blocks]);
        let reduction = |frozen_at: &[Option<u32>]| costs.total(frozen_at).reduction_from(&unfrozen);
        let reached = |frozen_at: &[Option<u32>]| reduction(frozen_at) >= self.reduction;
        // Times are counted in intervals. A block whose turn comes at or after the end does not freeze.
        let last_turn = epochs.saturating_sub(1) / self.interval;
        let most = share_of(self.fraction, blocks as u32).min(last_turn);
        let consecutive = |count: u32, first: u32| self.frozen_at(blocks, first..first + count);

        // The earliest start saves most, so the fewest blocks that can reach the target reach it from there.
        let Some(count) = (0..=most).find(|count| reached(&consecutive(*count, 1))) else {
            let reason = self.unreachable(reduction(&consecutive(most, 1)), most, costs);
            if self.required {
                return Err(ParameterError::contradiction(REDUCTION, reason));
            }
            let note = Some(format!("nothing freezes: `{REDUCTION}` = {reason}"));
            return Ok(FreezePlan { note, ..FreezePlan::empty(blocks) });
        };
        if count == 0 {
            return Ok(FreezePlan::empty(blocks));
        }
        let first = latest(1, last_turn + 1 - count, |first| reached(&consecutive(count, first)));
        let with_last = |last: u32| self.frozen_at(blocks, (first..first + count - 1).chain([last]));
        let last = latest(first + count - 1, last_turn, |last| reached(&with_last(last)));
        Ok(FreezePlan { frozen_at: with_last(last), note: None })
    }

    fn start(&self, plan: &Plan) -> Box<dyn FreezeState> {
        let reason = format!("scheduled, to save {} of the FLOPs", self.reduction);
        Box::new(Schedule { frozen_at: plan.frozen_at.clone(), reason })
    }
}

/// The greatest number from `low` to `high` for which `holds`, which holds for `low` and, once it does not, never
/// again.
fn latest(low: u32, high: u32, holds: impl Fn(u32) -> bool) -> u32 {
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

/// Says at each epoch what the plan says.
struct Schedule {
    frozen_at: Vec<Option<u32>>,
    reason: String,
}

impl FreezeState for Schedule {
    fn observe(&mut self, _row: &GradientRow) {}

    fn mask(&mut self, _row: &MaskRow) {}

    fn decide(&mut self, epoch: u32) -> Vec<Freeze> {
        let due = self.frozen_at.iter().enumerate().filter(|(_, at)| **at == Some(epoch));
        due.map(|(block, _)| Freeze { block, reason: self.reason.clone() }).collect()
    }

    fn save(&self) -> Option<Vec<Remembered>> {
        Some(Vec::new())
    }
}
