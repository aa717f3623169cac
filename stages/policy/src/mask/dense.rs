//! `dense`: every weight exists. The reference against which sparse training is measured.
//!
//! ```
//! use spfde_policy::{MaskContext, example, mask};
//! let architecture = example::perceptron(&[784, 1024, 10]);
//! let context = MaskContext { seed: 1, epochs: 8, architecture };
//! let dense = mask::build("dense", &Default::default(), &context)?;
//! assert_eq!(dense.nonzero(0, 0, None), 784 * 1024);
//! assert!(!dense.masked(0));
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use std::sync::Arc;

use spfde_data::architecture::Architecture;

use super::{MaskContext, MaskDelta, MaskPolicy, MaskUpdate};
use crate::Entry;

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn MaskPolicy, MaskContext> = Entry {
    name: "dense",
    summary: "every weight exists",
    parameters: Vec::new,
    build: |_, context| Ok(Box::new(Dense::new(context))),
};

/// Every weight of every layer exists, always.
#[derive(Clone, Debug)]
pub struct Dense {
    architecture: Arc<Architecture>,
}

impl Dense {
    /// The policy for one network.
    pub fn new(context: &MaskContext) -> Self {
        Self { architecture: Arc::clone(&context.architecture) }
    }
}

impl MaskPolicy for Dense {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn masked(&self, _layer: usize) -> bool {
        false
    }

    fn density(&self, _layer: usize) -> f64 {
        1.0
    }

    fn nonzero(&self, layer: usize, _epoch: u32, _frozen_at: Option<u32>) -> u32 {
        u32::try_from(self.architecture.layers[layer].weights())
            .expect("a layer's weights are numbered by u32")
    }

    fn initial(&self, _layer: usize, _frozen_at: Option<u32>) -> Vec<u32> {
        Vec::new()
    }

    fn updates(&self, _layer: usize, _epoch: u32, _frozen_at: Option<u32>) -> bool {
        false
    }

    fn decide(&self, _update: &MaskUpdate<'_>) -> MaskDelta {
        MaskDelta::default()
    }
}
