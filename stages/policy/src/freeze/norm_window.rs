//! What a block's gradient did in a window, and what came of the windows before.

use spfde_data::GradientRow;

use super::BlockState;

spfde_data::state! {
    /// A row of a window: the first says what came of the windows before, each of the others one step.
    pub struct NormRow {
        /// The mean of the window before.
        previous: Option<f64> = None,
        /// Relative change of the latest mean.
        pub(super) change: f64 = 0.0,
        /// How many windows in a row have been settled.
        pub(super) settled: u32 = 0,
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
    pub(super) before: NormRow,
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
    /// Adds a layer of the block at a step.
    pub(super) fn add(&mut self, row: &GradientRow) {
        let (squares, nonzero) = (f64::from(row.l2).powi(2), u64::from(row.nonzero));
        match self.steps.last_mut().filter(|last| (last.step_epoch, last.step) == (row.epoch, row.step)) {
            Some(step) => {
                step.squares += squares;
                step.nonzero += nonzero;
            }
            None => {
                let (step_epoch, step) = (row.epoch, row.step);
                self.steps.push(NormRow { step_epoch, step, squares, nonzero, ..NormRow::default() });
            }
        }
    }

    /// Ends a window: forms its mean and compares it with the one before, after both were scaled: this one by
    /// `scale` times as much. The share by which the mean rose, not scaled; 0 if nothing is known of it.
    pub(super) fn close(&mut self, grace: f64, threshold: f64, scale: f64) -> f64 {
        let steps = std::mem::take(&mut self.steps);
        // At least one step remains, whatever the grace.
        let skipped = ((grace * steps.len() as f64).ceil() as usize).min(steps.len().saturating_sub(1));
        let values = steps[skipped..].iter().map(|step| step.squares.sqrt() / (step.nonzero as f64).sqrt());
        let mean = (!steps.is_empty()).then(|| values.sum::<f64>() / (steps.len() - skipped) as f64);
        let before = &mut self.before;
        before.change = match (before.previous, mean) {
            // A gradient that stays zero does not change.
            (Some(0.0), Some(0.0)) => 0.0,
            (Some(previous), Some(mean)) => (mean * scale - previous).abs() / previous,
            _ => f64::INFINITY,
        };
        // NaN settles nothing.
        before.settled = if before.change < threshold { before.settled + 1 } else { 0 };
        let rise = before.previous.zip(mean).map_or(0.0, |(previous, mean)| mean / previous - 1.0);
        before.previous = mean;
        if rise.is_finite() { rise } else { 0.0 }
    }
}
