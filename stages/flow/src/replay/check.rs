//! What a recorded row must be, so that no stage is led astray by a file.

use spfde_data::rows::{GradientRow, LayerRow, MaskRow, ScoreRow};
use spfde_data::table::Row;
use spfde_policy::Plan;

use crate::tick::Tick;

/// A row that a replay reads.
pub(crate) trait Recorded: Row {
    /// The moment at which training sent it.
    fn tick(&self) -> Tick;

    /// What of it does not fit the run, if anything: field, value and what would fit.
    fn misfit(&self, plan: &Plan) -> Option<String>;
}

fn step(step: u32) -> Option<String> {
    (step == u32::MAX).then(|| format!("step is {step}; expected a smaller number"))
}

fn layer(layer: u16, plan: &Plan) -> Option<String> {
    let layers = plan.architecture.layers.len();
    (usize::from(layer) >= layers).then(|| format!("layer is {layer}; the network has {layers}, from 0"))
}

impl Recorded for ScoreRow {
    fn tick(&self) -> Tick {
        Tick::new(self.epoch, self.step)
    }

    fn misfit(&self, plan: &Plan) -> Option<String> {
        let sample = || format!("sample is {}; the data set has {}, from 0", self.sample, plan.samples);
        step(self.step).or_else(|| (self.sample >= plan.samples).then(sample))
    }
}

impl Recorded for GradientRow {
    fn tick(&self) -> Tick {
        Tick::new(self.epoch, self.step)
    }

    fn misfit(&self, plan: &Plan) -> Option<String> {
        step(self.step).or_else(|| layer(self.layer, plan))
    }
}

impl Recorded for LayerRow {
    /// A layer's row states the end of the epoch.
    fn tick(&self) -> Tick {
        Tick::close_of(self.epoch)
    }

    fn misfit(&self, plan: &Plan) -> Option<String> {
        layer(self.layer, plan)
    }
}

impl Recorded for MaskRow {
    fn tick(&self) -> Tick {
        Tick::new(self.epoch, self.step)
    }

    fn misfit(&self, plan: &Plan) -> Option<String> {
        let weights = || plan.architecture.layers[usize::from(self.layer)].weights();
        let index = || {
            (self.index as usize >= weights())
                .then(|| format!("index is {}; layer {} has {} weights", self.index, self.layer, weights()))
        };
        let diff = || (self.diff.abs() != 1).then(|| format!("diff is {}; expected 1 or -1", self.diff));
        step(self.step).or_else(|| layer(self.layer, plan)).or_else(index).or_else(diff)
    }
}
