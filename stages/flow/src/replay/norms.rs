//! The norms that a record has of an epoch, and those that it lacks.

use std::collections::BTreeSet;

use spfde_data::rows::{CensoredRow, GradientRow};

/// Which norms there are of one epoch.
#[derive(Default)]
pub(crate) struct Norms(BTreeSet<(u16, u32)>);

impl Norms {
    /// There is this one.
    pub(crate) fn add(&mut self, row: &GradientRow) {
        self.0.insert((row.layer, row.step));
    }

    /// For each of `layers` layers the recorded steps at which it has no norm.
    pub(crate) fn lacking(&self, layers: usize) -> Vec<u64> {
        let steps: BTreeSet<u32> = self.0.iter().map(|(_, step)| *step).collect();
        let lacking = |layer: u16| steps.len() - self.0.range((layer, 0)..=(layer, u32::MAX)).count();
        (0..layers).map(|layer| lacking(layer as u16) as u64).collect()
    }
}

/// What is lacking of an epoch, given what [`Norms::lacking`] says, if the layers that are not `frozen` train.
pub(crate) fn count_censored(epoch: u32, samples: u32, lacking: &[u64], frozen: &[bool]) -> CensoredRow {
    let training = lacking.iter().zip(frozen).filter(|(norms, frozen)| !**frozen && **norms > 0);
    let norms = training.clone().map(|(norms, _)| norms).sum();
    CensoredRow { epoch, samples, layers: training.count() as u16, norms }
}
