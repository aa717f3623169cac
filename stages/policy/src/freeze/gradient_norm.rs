//! `gradient-norm`: a block freezes once the norm of its gradient has settled, with the guards that dynamic masks
//! call for.
//!
//! Freezing by gradient norms is AutoFreeze's idea ([arXiv 2102.01386](https://arxiv.org/abs/2102.01386)). SpFDE
//! ([arXiv 2209.11204](https://arxiv.org/abs/2209.11204), section 3) rejects it for sparse training, because the
//! norms fluctuate with every pruning and growing. This policy copes by what it compares:
//!
//! - a block's value at a step is `√(Σ l2²) / √(Σ nonzero)` over its layers, so that density does not count;
//! - it is averaged over windows as long as the interval between mask updates, without the first steps of each,
//!   so that windows are compared at equal phases and the shock of an update is left out;
//! - the mean must have changed by less than the threshold in several windows in a row;
//! - only the first block that still trains is judged, so that the frozen blocks are a prefix, one per window;
//! - a freeze that would save more than `freeze.flops_reduction` of the run's FLOPs is refused.
//!
//! ```
//! use spfde_data::parameter::Parameters;
//! use spfde_policy::{FreezeContext, example, freeze};
//! let architecture = example::perceptron(&[784, 1024, 10]);
//! let entry = freeze::registry().iter().find(|entry| entry.name == "gradient-norm").expect("it is registered");
//! let context = FreezeContext { epochs: 8, architecture, mask_interval: 2, reduction_required: false };
//! let policy = freeze::build("gradient-norm", &Parameters::defaults(&(entry.parameters)()), &context)?;
//! assert_eq!(policy.name(), "gradient-norm");
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::parameter::{Parameter, ParameterError, Parameters};
use spfde_data::rows::{GradientRow, MaskRow};

use super::{Freeze, FreezeContext, FreezePlan, FreezePolicy, FreezeState, Remembered};
use crate::{Costs, Entry, Plan};

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn FreezePolicy, FreezeContext> = Entry {
    name: "gradient-norm",
    summary: "freezes the first block that trains once its gradient norm has settled",
    parameters,
    build: |parameters, context| Ok(Box::new(GradientNorm::new(parameters, context))),
};

fn parameters() -> Vec<Parameter> {
    vec![
        Parameter::below(
            "freeze.flops_reduction",
            0.15,
            0.0,
            1.0,
            "share of the run's FLOPs that freezing saves at most",
        ),
        Parameter::number(
            "freeze.threshold",
            0.05,
            0.0,
            1.0,
            "relative change of a window's mean norm below which it counts as settled",
        ),
        Parameter::integer(
            "freeze.patience",
            2,
            1,
            1_000_000,
            "settled windows in a row before a block freezes",
        ),
        Parameter::below("freeze.grace", 0.25, 0.0, 1.0, "share of a window's steps left out at its start"),
    ]
}

/// A block freezes once the norm of its gradient has settled.
#[derive(Clone, Debug)]
pub struct GradientNorm {
    most: f64,
    threshold: f64,
    patience: u32,
    grace: f64,
    interval: u32,
}

impl GradientNorm {
    /// The policy with the given parameters; windows are as long as the context's mask interval.
    ///
    /// # Panics
    /// If a key is missing, or the mask interval is 0.
    pub fn new(parameters: &Parameters, context: &FreezeContext) -> Self {
        assert!(context.mask_interval > 0, "a window has at least one epoch");
        Self {
            most: parameters.number("freeze.flops_reduction"),
            threshold: parameters.number("freeze.threshold"),
            patience: parameters.integer("freeze.patience"),
            grace: parameters.number("freeze.grace"),
            interval: context.mask_interval,
        }
    }
}

impl FreezePolicy for GradientNorm {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn plan(&self, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        Ok(FreezePlan::empty(costs.architecture.blocks.len()))
    }

    fn start(&self, plan: &Plan) -> Box<dyn FreezeState> {
        let blocks = plan.architecture.blocks.len();
        let mut windows = vec![Window::default(); blocks];
        for (layer, masked) in plan.architecture.layers.iter().zip(&plan.masked) {
            if let (Some(window), false) = (windows.get_mut(layer.block), masked) {
                window.nonzero += layer.weights() as i64;
            }
        }
        Box::new(Judge { policy: self.clone(), plan: plan.clone(), windows, frozen_at: vec![None; blocks] })
    }
}

/// What one block's gradient did in the current window, and what came of the windows before.
#[derive(Clone, Debug, Default)]
struct Window {
    /// Existing weights of the block's layers now.
    nonzero: i64,
    /// Tick, Σ l2² over the layers, existing weights then; in order of time.
    steps: Vec<((u32, u32), f64, i64)>,
    /// The mean of the window before.
    previous: Option<f64>,
    /// Relative change of the latest mean.
    change: f64,
    /// How many windows in a row have been settled.
    settled: u32,
}

impl Window {
    /// Ends a window: forms its mean and compares it with the one before.
    fn close(&mut self, grace: f64, threshold: f64) {
        let steps = std::mem::take(&mut self.steps);
        // At least one step remains, whatever the grace.
        let skipped = ((grace * steps.len() as f64).ceil() as usize).min(steps.len().saturating_sub(1));
        let values =
            steps[skipped..].iter().map(|(_, squares, nonzero)| squares.sqrt() / (*nonzero as f64).sqrt());
        let mean = (!steps.is_empty()).then(|| values.sum::<f64>() / (steps.len() - skipped) as f64);
        self.change = match (self.previous, mean) {
            // A gradient that stays zero does not change.
            (Some(0.0), Some(0.0)) => 0.0,
            (Some(before), Some(mean)) => (mean - before).abs() / before,
            _ => f64::INFINITY,
        };
        // NaN settles nothing.
        self.settled = if self.change < threshold { self.settled + 1 } else { 0 };
        self.previous = mean;
    }
}

/// The state of one run.
struct Judge {
    policy: GradientNorm,
    plan: Plan,
    windows: Vec<Window>,
    frozen_at: Vec<Option<u32>>,
}

impl FreezeState for Judge {
    fn observe(&mut self, row: &GradientRow) {
        let block = self.plan.architecture.layers[usize::from(row.layer)].block;
        let Some(window) = self.windows.get_mut(block).filter(|_| self.frozen_at[block].is_none()) else {
            return;
        };
        let (tick, square) = ((row.epoch, row.step), f64::from(row.l2).powi(2));
        match window.steps.last_mut().filter(|step| step.0 == tick) {
            Some(step) => step.1 += square,
            None => window.steps.push((tick, square, window.nonzero)),
        }
    }

    fn mask(&mut self, row: &MaskRow) {
        let block = self.plan.architecture.layers[usize::from(row.layer)].block;
        if let Some(window) = self.windows.get_mut(block) {
            window.nonzero += i64::from(row.diff);
        }
    }

    fn decide(&mut self, epoch: u32) -> Vec<Freeze> {
        if !epoch.is_multiple_of(self.policy.interval) {
            return Vec::new();
        }
        for window in &mut self.windows {
            window.close(self.policy.grace, self.policy.threshold);
        }
        let Some(block) = self.frozen_at.iter().position(Option::is_none) else {
            return Vec::new();
        };
        let window = &self.windows[block];
        if window.settled < self.policy.patience {
            return Vec::new();
        }
        let mut frozen_at = self.frozen_at.clone();
        frozen_at[block] = Some(epoch);
        if self.plan.cost_of(&frozen_at).reduction_from(&self.plan.unfrozen_cost) > self.policy.most {
            return Vec::new();
        }
        self.frozen_at = frozen_at;
        let reason = format!(
            "mean gradient norm settled in {} windows in a row, last change {:.4} below {}",
            window.settled, window.change, self.policy.threshold
        );
        vec![Freeze { block, reason }]
    }

    fn save(&self) -> Option<Vec<Remembered>> {
        let mut remembered = Vec::new();
        for (block, window) in self.windows.iter().enumerate() {
            let mut remember = |what: &str, tick, value| {
                remembered.push(Remembered { block, what: what.to_owned(), tick, value });
            };
            remember(NONZERO, (0, 0), window.nonzero as f64);
            remember(CHANGE, (0, 0), window.change);
            remember(SETTLED, (0, 0), f64::from(window.settled));
            if let Some(previous) = window.previous {
                remember(PREVIOUS, (0, 0), previous);
            }
            if let Some(at) = self.frozen_at[block] {
                remember(FROZEN_AT, (0, 0), f64::from(at));
            }
            for (tick, squares, nonzero) in &window.steps {
                remember(STEP_NONZERO, *tick, *nonzero as f64);
                remember(STEP_SQUARES, *tick, *squares);
            }
        }
        Some(remembered)
    }

    fn restore(&mut self, remembered: &[Remembered]) -> Result<(), String> {
        for Remembered { block, what, tick, value } in remembered {
            let blocks = self.windows.len();
            let window = self
                .windows
                .get_mut(*block)
                .ok_or_else(|| format!("block is {block}; the network has {blocks}, from 0"))?;
            match what.as_str() {
                NONZERO => window.nonzero = *value as i64,
                CHANGE => window.change = *value,
                SETTLED => window.settled = *value as u32,
                PREVIOUS => window.previous = Some(*value),
                FROZEN_AT => self.frozen_at[*block] = Some(*value as u32),
                STEP_NONZERO => window.steps.push((*tick, 0.0, *value as i64)),
                STEP_SQUARES => match window.steps.last_mut().filter(|step| step.0 == *tick) {
                    Some(step) => step.1 = *value,
                    None => {
                        return Err(format!("`{what}` of step {tick:?} has no `{STEP_NONZERO}` before it"));
                    }
                },
                other => return Err(format!("`{other}` is nothing that {} remembers", ENTRY.name)),
            }
        }
        Ok(())
    }
}

/// The names under which the state is saved.
const NONZERO: &str = "nonzero";
const CHANGE: &str = "change";
const SETTLED: &str = "settled";
const PREVIOUS: &str = "previous";
const FROZEN_AT: &str = "frozen_at";
const STEP_NONZERO: &str = "step_nonzero";
const STEP_SQUARES: &str = "step_squares";
