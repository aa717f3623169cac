//! `gradient-norm`: a block freezes once the norm of its gradient has settled, with the guards that dynamic
//! masks call for.
//!
//! Freezing by gradient norms is AutoFreeze's idea ([arXiv 2102.01386](https://arxiv.org/abs/2102.01386)).
//! SpFDE ([arXiv 2209.11204](https://arxiv.org/abs/2209.11204), section 3) rejects it for sparse training,
//! because the norms fluctuate with every pruning and growing. This policy copes by what it compares:
//!
//! - a block's value at a step is `√(Σ l2²) / √(Σ nonzero)` over its layers, so that density does not count;
//! - it is averaged over windows as long as the interval between mask updates, without the first steps of
//!   each, so that windows are compared at equal phases and the shock of an update is left out;
//! - the mean must have changed by less than the threshold in several windows in a row;
//! - only the first block that still trains is judged, so that the frozen blocks are a prefix, one per
//!   window;
//! - a freeze that would save more than `freeze.flops_reduction` of the run's FLOPs is refused.
//!
//! ```
//! use spfde_policy::freeze::{self, FreezeContext, GradientNorm};
//! let architecture = spfde_policy::example::perceptron(&[784, 1024, 10]);
//! let context = FreezeContext { epochs: 8, architecture, mask_interval: 2, reduction_required: false };
//! let policy = freeze::policy(GradientNorm { patience: 3, ..GradientNorm::default() }, &context)?;
//! assert!(policy.may_freeze(4) && !policy.may_freeze(5)); // windows are as long as the mask's interval
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::GradientRow;

use super::{BlockState, Change, FreezeContext, FreezeRule, Judged};

spfde_data::parameters! {
    /// A block freezes once the norm of its gradient has settled.
    pub struct GradientNorm in "freeze" {
        /// share of the run's FLOPs that freezing saves at most
        pub flops_reduction: f64 = 0.15, 0.0..1.0;
        /// relative change of a window's mean norm below which it counts as settled
        pub threshold: f64 = 0.05, 0.0..=1.0;
        /// settled windows in a row before a block freezes
        pub patience: u32 = 2, 1..=1_000_000;
        /// share of a window's steps left out at its start
        pub grace: f64 = 0.25, 0.0..1.0;
    }
}

spfde_data::state! {
    /// A row of a window: the first says what came of the windows before, each of the others one step.
    pub struct NormRow {
        /// The mean of the window before.
        previous: Option<f64> = None,
        /// Relative change of the latest mean.
        change: f64 = 0.0,
        /// How many windows in a row have been settled.
        settled: u32 = 0,
        /// Epoch of the step.
        step_epoch: u32 = 0,
        /// The step within its epoch.
        step: u32 = 0,
        /// Σ l2² over the block's layers.
        squares: f64 = 0.0,
        /// Existing weights of these layers.
        nonzero: u64 = 0,
    }
}

/// What one block's gradient did in the current window, and what came of the windows before.
#[derive(Clone, Default)]
pub struct NormWindow {
    before: NormRow,
    /// In order of time.
    steps: Vec<NormRow>,
}

impl BlockState for NormWindow {
    type Row = NormRow;

    fn rows(&self) -> Vec<NormRow> {
        std::iter::once(&self.before).chain(&self.steps).cloned().collect()
    }

    fn from_rows(rows: Vec<NormRow>) -> Self {
        let mut rows = rows.into_iter();
        Self { before: rows.next().unwrap_or_default(), steps: rows.collect() }
    }
}

impl NormWindow {
    /// Ends a window: forms its mean and compares it with the one before.
    fn close(&mut self, grace: f64, threshold: f64) {
        let steps = std::mem::take(&mut self.steps);
        // At least one step remains, whatever the grace.
        let skipped = ((grace * steps.len() as f64).ceil() as usize).min(steps.len().saturating_sub(1));
        let values = steps[skipped..].iter().map(|step| step.squares.sqrt() / (step.nonzero as f64).sqrt());
        let mean = (!steps.is_empty()).then(|| values.sum::<f64>() / (steps.len() - skipped) as f64);
        let before = &mut self.before;
        before.change = match (before.previous, mean) {
            // A gradient that stays zero does not change.
            (Some(0.0), Some(0.0)) => 0.0,
            (Some(previous), Some(mean)) => (mean - previous).abs() / previous,
            _ => f64::INFINITY,
        };
        // NaN settles nothing.
        before.settled = if before.change < threshold { before.settled + 1 } else { 0 };
        before.previous = mean;
    }
}

impl FreezeRule for GradientNorm {
    const NAME: &'static str = "gradient-norm";
    const SUMMARY: &'static str = "freezes the first block that trains once its gradient norm has settled";
    type State = NormWindow;

    fn may_freeze(&self, run: &FreezeContext, epoch: u32) -> bool {
        epoch.is_multiple_of(run.mask_interval)
    }

    fn observe(&self, window: &mut NormWindow, row: &GradientRow, frozen: bool) {
        if frozen {
            return;
        }
        let (squares, nonzero) = (f64::from(row.l2).powi(2), u64::from(row.nonzero));
        match window.steps.last_mut().filter(|last| (last.step_epoch, last.step) == (row.epoch, row.step)) {
            Some(step) => {
                step.squares += squares;
                step.nonzero += nonzero;
            }
            None => {
                let (step_epoch, step) = (row.epoch, row.step);
                window.steps.push(NormRow { step_epoch, step, squares, nonzero, ..NormRow::default() });
            }
        }
    }

    fn decide(&self, run: &FreezeContext, judged: Judged<'_, NormWindow>, epoch: u32) -> Vec<Change> {
        if !self.may_freeze(run, epoch) {
            return Vec::new();
        }
        let Judged { plan, states, frozen } = judged;
        states.iter_mut().for_each(|window| window.close(self.grace, self.threshold));
        let first = frozen.iter().position(|spans| !spans.is_frozen(epoch));
        let Some(block) = first.filter(|block| states[*block].before.settled >= self.patience) else {
            return Vec::new();
        };
        let mut then = frozen.to_vec();
        then[block].freeze(epoch);
        if plan.cost_of(&then).reduction_from(&plan.unfrozen_cost) > self.flops_reduction {
            return Vec::new();
        }
        let NormRow { settled, change, .. } = states[block].before;
        let reason = format!(
            "mean gradient norm settled in {settled} windows in a row, last change {change:.4} below {}",
            self.threshold
        );
        vec![Change { block, frozen: true, reason }]
    }
}
