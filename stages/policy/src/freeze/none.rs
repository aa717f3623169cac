//! `none`: every block trains to the end.
//!
//! ```
//! use spfde_policy::{FreezeContext, example, freeze};
//! let architecture = example::perceptron(&[784, 1024, 10]);
//! let context = FreezeContext { epochs: 8, architecture, mask_interval: 2, reduction_required: false };
//! assert_eq!(freeze::build("none", &Default::default(), &context)?.name(), "none");
//! # Ok::<(), spfde_data::parameter::ParameterError>(())
//! ```

use spfde_data::parameter::ParameterError;
use spfde_data::rows::{GradientRow, MaskRow};

use super::{Freeze, FreezeContext, FreezePlan, FreezePolicy, FreezeState, Remembered};
use crate::{Costs, Entry, Plan};

/// Its line in the registry.
pub(crate) const ENTRY: Entry<dyn FreezePolicy, FreezeContext> = Entry {
    name: "none",
    summary: "every block trains to the end",
    parameters: Vec::new,
    build: |_, _| Ok(Box::new(Never)),
};

/// Every block trains to the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

impl FreezePolicy for Never {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn plan(&self, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        Ok(FreezePlan::empty(costs.architecture.blocks.len()))
    }

    fn start(&self, _plan: &Plan) -> Box<dyn FreezeState> {
        Box::new(*self)
    }
}

impl FreezeState for Never {
    fn observe(&mut self, _row: &GradientRow) {}

    fn mask(&mut self, _row: &MaskRow) {}

    fn decide(&mut self, _epoch: u32) -> Vec<Freeze> {
        Vec::new()
    }

    fn save(&self) -> Option<Vec<Remembered>> {
        Some(Vec::new())
    }
}
