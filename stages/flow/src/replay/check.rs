//! What a recorded row must be, so that no stage is led astray by a file.

use spfde_data::rows::{FreezeRow, GradientRow, LayerRow, MaskRow, ScoreRow, SieveRow};
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

/// What is wrong with a step: the last number is the close of the epoch.
pub(crate) fn step(step: u32) -> Option<String> {
    (step == u32::MAX).then(|| format!("step is {step}; expected a smaller number"))
}

/// What is wrong with a sample of a data set of so many.
pub(crate) fn sample(sample: u32, samples: u32) -> Option<String> {
    (sample >= samples).then(|| format!("sample is {sample}; the data set has {samples}, from 0"))
}

fn diff(diff: i8) -> Option<String> {
    (diff.abs() != 1).then(|| format!("diff is {diff}; expected 1 or -1"))
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
        step(self.step).or_else(|| sample(self.sample, plan.samples))
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
        step(self.step).or_else(|| layer(self.layer, plan)).or_else(index).or_else(|| diff(self.diff))
    }
}

impl Recorded for FreezeRow {
    fn tick(&self) -> Tick {
        Tick::new(self.epoch, self.step)
    }

    fn misfit(&self, plan: &Plan) -> Option<String> {
        step(self.step).or_else(|| layer(self.layer, plan)).or_else(|| diff(self.diff))
    }
}

impl Recorded for SieveRow {
    fn tick(&self) -> Tick {
        Tick::new(self.epoch, 0)
    }

    fn misfit(&self, plan: &Plan) -> Option<String> {
        sample(self.sample, plan.samples).or_else(|| diff(self.diff))
    }
}
