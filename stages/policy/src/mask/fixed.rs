//! `static`: a random mask that never changes. The baseline of every dynamic mask (RigL,
//! [arXiv 1911.11134](https://arxiv.org/abs/1911.11134), calls it Static).
//!
//! ```
//! use spfde_data::parameter::Parameters;
//! use spfde_policy::{MaskContext, example, mask};
//! let architecture = example::perceptron(&[784, 1000, 10]);
//! let entry = mask::registry().iter().find(|entry| entry.name == "static").expect("it is registered");
//! let parameters = Parameters::defaults(&(entry.parameters)());
//! let fixed = mask::build("static", &parameters, &MaskContext { seed: 1, epochs: 8, architecture })?;
//! assert_eq!(fixed.initial(0, None).len(), 78_400); // a tenth of 784 · 1000
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::parameter::{ParameterError, Parameters};

use super::distribution::{self, Targets};
use super::selection::random_mask;
use super::{MaskContext, MaskDelta, MaskPolicy, MaskUpdate};
use crate::Entry;

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn MaskPolicy, MaskContext> = Entry {
    name: "static",
    summary: "a random mask at the target density that never changes",
    parameters: distribution::parameters,
    build: |parameters, context| Ok(Box::new(Fixed::new(parameters, context)?)),
};

/// A random mask that never changes.
#[derive(Clone, Debug)]
pub struct Fixed {
    seed: u64,
    targets: Targets,
}

impl Fixed {
    /// The policy with the given parameters.
    ///
    /// # Errors
    /// If the sparsity leaves a layer without weights.
    ///
    /// # Panics
    /// If a key is missing.
    pub fn new(parameters: &Parameters, context: &MaskContext) -> Result<Self, ParameterError> {
        Ok(Self { seed: context.seed, targets: Targets::new(parameters, &context.architecture)? })
    }
}

impl MaskPolicy for Fixed {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn masked(&self, layer: usize) -> bool {
        self.targets.masked[layer]
    }

    fn density(&self, layer: usize) -> f64 {
        self.targets.densities[layer]
    }

    fn nonzero(&self, layer: usize, _epoch: u32, _frozen_at: Option<u32>) -> u32 {
        self.targets.count(layer)
    }

    fn initial(&self, layer: usize, _frozen_at: Option<u32>) -> Vec<u32> {
        if !self.masked(layer) {
            return Vec::new();
        }
        random_mask(self.seed, layer, self.targets.weights[layer], self.targets.count(layer))
    }

    fn updates(&self, _layer: usize, _epoch: u32, _frozen_at: Option<u32>) -> bool {
        false
    }

    fn decide(&self, _update: &MaskUpdate<'_>) -> MaskDelta {
        MaskDelta::default()
    }
}
