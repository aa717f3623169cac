//! What the evaluations of a block's plasticity found, and what came of them.

use super::BlockState;

spfde_data::state! {
    /// A row of a block: the first says what came of its evaluations, each of the others what one found.
    pub struct PlasticityRow {
        /// The greatest plasticity of its layers in this epoch, so far.
        pub(super) latest: Option<f64> = None,
        /// The greatest slope.
        pub(super) steepest: f64 = 0.0,
        /// How many evaluations in a row the slope has been small.
        pub(super) settled: u32 = 0,
        /// How often the block has thawed.
        pub(super) thaws: u32 = 0,
        /// What an evaluation found.
        plasticity: f64 = 0.0,
    }
}

/// A block's evaluations, as many as the next slopes need, and what came of them.
#[derive(Clone, Default)]
pub struct Plasticity {
    pub(super) summary: PlasticityRow,
    /// In order of time.
    found: Vec<f64>,
}

impl BlockState for Plasticity {
    type Row = PlasticityRow;

    fn rows(&self) -> Vec<PlasticityRow> {
        let found = self.found.iter();
        let found = found.map(|plasticity| PlasticityRow { plasticity: *plasticity, ..Default::default() });
        std::iter::once(self.summary.clone()).chain(found).collect()
    }

    fn from_rows(rows: Vec<PlasticityRow>) -> Self {
        let mut rows = rows.into_iter();
        let summary = rows.next().unwrap_or_default();
        Self { summary, found: rows.map(|row| row.plasticity).collect() }
    }
}

impl Plasticity {
    /// Takes an evaluation over: the slope, and up to what it is small, once there are enough for a line.
    pub(super) fn evaluate(&mut self, found: f64, window: usize, tolerance: f64) -> Option<[f64; 2]> {
        let fitted = window.max(2);
        self.found.push(found);
        // The last averages need no more.
        let beyond = self.found.len().saturating_sub(fitted + window - 1);
        self.found.drain(..beyond);
        let averages: Vec<f64> =
            (1..=self.found.len()).map(|end| mean(&self.found[end.saturating_sub(window)..end])).collect();
        let slope = slope(&averages[averages.len().checked_sub(fitted)?..]).abs();
        let PlasticityRow { steepest, settled, .. } = &mut self.summary;
        // A slope that is no number settles nothing, and is none to compare others with.
        *steepest = if slope.is_finite() { steepest.max(slope) } else { *steepest };
        let threshold = tolerance * *steepest;
        *settled = if slope <= threshold { settled.saturating_add(1) } else { 0 };
        Some([slope, threshold])
    }

    /// Begins anew.
    pub(super) fn thaw(&mut self) {
        let PlasticityRow { steepest, thaws, .. } = self.summary;
        let summary = PlasticityRow { steepest, thaws: thaws.saturating_add(1), ..Default::default() };
        *self = Self { summary, found: Vec::new() };
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The slope of the line through values at 0, 1, 2 and so on, by least squares.
fn slope(values: &[f64]) -> f64 {
    let (middle, mean) = ((values.len() - 1) as f64 / 2.0, mean(values));
    let places = (0..values.len()).map(|place| place as f64 - middle);
    let products = places.clone().zip(values).map(|(place, value)| place * (value - mean)).sum::<f64>();
    products / places.map(|place| place * place).sum::<f64>()
}
