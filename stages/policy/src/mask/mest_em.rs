//! `mest-em`: elastic mutation (MEST+EM, [arXiv 2110.14032](https://arxiv.org/abs/2110.14032), section 3).
//!
//! A layer always holds its target density `d`. At every multiple of the interval the least important weights
//! are pruned, down to `d − p`, and random absent ones grow back to `d`. The part `p` that is exchanged halves at
//! 9/16 of the run and vanishes at 3/4 and at the last update.
//!
//! ```
//! use spfde_data::parameter::Parameters;
//! use spfde_policy::{MaskContext, MaskUpdate, example, mask};
//! let architecture = example::perceptron(&[100, 100, 10]);
//! let entry = mask::registry().iter().find(|entry| entry.name == "mest-em").expect("it is registered");
//! let parameters = Parameters::defaults(&(entry.parameters)());
//! let policy = mask::build("mest-em", &parameters, &MaskContext { seed: 1, epochs: 16, architecture })?;
//! let indices = policy.initial(0, None);
//! let values: Vec<f32> = (0..1000).map(|rank| rank as f32).collect();
//! let update = MaskUpdate {
//!     layer: 0, epoch: 2, frozen_at: None, freezing: false,
//!     indices: &indices, values: &values, gradients: &values,
//! };
//! let delta = policy.decide(&update);
//! assert_eq!(delta.dropped, indices[..200]); // a fifth, the smallest
//! assert_eq!(delta.grown.len(), 200);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::parameter::{Parameter, ParameterError, Parameters};

use super::mest::{self, Mest};
use super::{MaskContext, MaskDelta, MaskPolicy, MaskUpdate};
use crate::Entry;

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn MaskPolicy, MaskContext> = Entry {
    name: "mest-em",
    summary: "prunes below the target density and grows back to it at random",
    parameters,
    build: |parameters, context| Ok(Box::new(MestEm::new(parameters, context)?)),
};

fn parameters() -> Vec<Parameter> {
    mest::parameters(Parameter::number(
        "mask.soft",
        0.2,
        0.0,
        1.0,
        "share of the weights exchanged at an update",
    ))
}

/// Elastic mutation.
#[derive(Clone, Debug)]
pub struct MestEm(Mest);

impl MestEm {
    /// The policy with the given parameters.
    ///
    /// # Errors
    /// If the sparsity leaves a layer without weights.
    ///
    /// # Panics
    /// If a key is missing.
    pub fn new(parameters: &Parameters, context: &MaskContext) -> Result<Self, ParameterError> {
        Ok(Self(Mest::new(parameters, context)?))
    }
}

impl MaskPolicy for MestEm {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn masked(&self, layer: usize) -> bool {
        self.0.targets.masked[layer]
    }

    fn density(&self, layer: usize) -> f64 {
        self.0.targets.densities[layer]
    }

    fn nonzero(&self, layer: usize, _epoch: u32, _frozen_at: Option<u32>) -> u32 {
        self.0.targets.count(layer)
    }

    fn initial(&self, layer: usize, _frozen_at: Option<u32>) -> Vec<u32> {
        self.0.random(layer, self.0.targets.count(layer))
    }

    fn updates(&self, layer: usize, epoch: u32, frozen_at: Option<u32>) -> bool {
        self.0.updates(layer, epoch, frozen_at)
    }

    fn decide(&self, update: &MaskUpdate<'_>) -> MaskDelta {
        let targets = &self.0.targets;
        let target = targets.count(update.layer);
        if update.freezing {
            return self.0.mutate(update, target, 0);
        }
        let exchanged = self.0.soft_density(update.layer, update.epoch, update.frozen_at);
        let kept = targets.count_at(update.layer, targets.densities[update.layer] - exchanged);
        self.0.mutate(update, kept, target)
    }
}
