//! `mest-ems`: elastic mutation with a soft memory bound, the mask of SpFDE (MEST+EM&S,
//! [arXiv 2110.14032](https://arxiv.org/abs/2110.14032), section 3; used by SpFDE,
//! [arXiv 2209.11204](https://arxiv.org/abs/2209.11204)).
//!
//! A layer of target density `d` holds `d + p` of its weights. At every multiple of the interval the least
//! important are pruned, down to `d`, and random absent ones grow, up to `d + p`: grown weights have a whole
//! interval to prove themselves. The soft part `p` halves at 9/16 of the run and vanishes at 3/4, and always at
//! the last update, so that the final density is exactly `d`. No dense gradient is ever needed.
//!
//! ```
//! use spfde_data::parameter::Parameters;
//! use spfde_policy::{MaskContext, example, mask};
//! let architecture = example::perceptron(&[100, 100, 10]);
//! let entry = mask::registry().iter().find(|entry| entry.name == "mest-ems").expect("it is registered");
//! let parameters = Parameters::defaults(&(entry.parameters)());
//! let policy = mask::build("mest-ems", &parameters, &MaskContext { seed: 1, epochs: 16, architecture })?;
//! // Of 10 000 weights: a tenth and half as many again, from epoch 10 a quarter of it again, from 12 a tenth.
//! let nonzero: Vec<u32> = [0, 8, 10, 12].map(|epoch| policy.nonzero(0, epoch, None)).into();
//! assert_eq!(nonzero, [1500, 1500, 1250, 1000]);
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::parameter::{Parameter, ParameterError, Parameters};

use super::mest::{self, Mest};
use super::{MaskContext, MaskDelta, MaskPolicy, MaskUpdate};
use crate::Entry;

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn MaskPolicy, MaskContext> = Entry {
    name: "mest-ems",
    summary: "prunes to the target density and grows beyond it, so that grown weights train before they compete",
    parameters,
    build: |parameters, context| Ok(Box::new(MestEms::new(parameters, context)?)),
};

fn parameters() -> Vec<Parameter> {
    let help = "weights beyond the target density while training, as a share of the target";
    mest::parameters(Parameter::number("mask.soft", 0.5, 0.0, 10.0, help))
}

/// Elastic mutation with a soft memory bound.
#[derive(Clone, Debug)]
pub struct MestEms(Mest);

impl MestEms {
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

    /// The weights of a layer after its update at `epoch`, or at the start.
    fn count_after(&self, layer: usize, epoch: u32, frozen_at: Option<u32>) -> u32 {
        let density = self.0.targets.densities[layer] + self.0.soft_density(layer, epoch, frozen_at);
        self.0.targets.count_at(layer, density.min(1.0))
    }
}

impl MaskPolicy for MestEms {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn masked(&self, layer: usize) -> bool {
        self.0.targets.masked[layer]
    }

    fn density(&self, layer: usize) -> f64 {
        self.0.targets.densities[layer]
    }

    fn nonzero(&self, layer: usize, epoch: u32, frozen_at: Option<u32>) -> u32 {
        self.count_after(layer, self.0.in_force(epoch, frozen_at), frozen_at)
    }

    fn initial(&self, layer: usize, frozen_at: Option<u32>) -> Vec<u32> {
        self.0.random(layer, self.count_after(layer, 0, frozen_at))
    }

    fn updates(&self, layer: usize, epoch: u32, frozen_at: Option<u32>) -> bool {
        self.0.updates(layer, epoch, frozen_at)
    }

    fn decide(&self, update: &MaskUpdate<'_>) -> MaskDelta {
        let target = self.0.targets.count(update.layer);
        match update.freezing {
            true => self.0.mutate(update, target, 0),
            false => {
                self.0.mutate(update, target, self.count_after(update.layer, update.epoch, update.frozen_at))
            }
        }
    }
}
