//! What a recorded row must be, so that no stage is led astray by a file.

use spfde_data::rows::{FreezeRow, GradientRow, LayerRow, MaskRow, ScoreRow, SieveRow};
use spfde_data::table::Row;
use spfde_data::words::counted;
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

/// What is wrong with the numbers of a score.
pub(crate) fn numbers(score: &ScoreRow) -> Option<String> {
    let (column, found) = score.not_finite()?;
    Some(format!(
        "{column} is {found}; expected a finite number: a step that comes to another is not recorded"
    ))
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
        step(self.step).or_else(|| sample(self.sample, plan.samples)).or_else(|| numbers(self))
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
            (self.index as usize >= weights()).then(|| {
                format!("index is {}; layer {} has {}", self.index, self.layer, counted(weights(), "weight"))
            })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_were_trained_are_finite() {
        let score = |loss, error_norm, trained| ScoreRow {
            epoch: 0,
            step: 0,
            sample: 0,
            loss,
            correct: false,
            error_norm,
            trained,
        };
        let end = "; expected a finite number: a step that comes to another is not recorded";
        assert_eq!(numbers(&score(0.5, 0.25, true)), None);
        assert_eq!(numbers(&score(f32::NAN, 0.25, true)), Some(format!("loss is NaN{end}")));
        assert_eq!(numbers(&score(0.5, f32::INFINITY, true)), Some(format!("error_norm is inf{end}")));
        // Of one that was only observed anything is recorded.
        assert_eq!(numbers(&score(f32::NAN, f32::NAN, false)), None);
    }
}
