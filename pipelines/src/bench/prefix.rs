//! Freezing as a bench wants it: so many blocks from the start, and no more.

use spfde_data::parameter::ParameterError;
use spfde_data::rows::{GradientRow, MaskRow};
use spfde_data::words::counted;
use spfde_policy::{Costs, Freeze, FreezePlan, FreezePolicy, FreezeState, Plan};

/// The first blocks never train.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    /// How many.
    pub(super) blocks: usize,
}

impl FreezePolicy for Prefix {
    fn name(&self) -> &'static str {
        "prefix"
    }

    fn plan(&self, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let blocks = costs.architecture.blocks.len();
        if self.blocks > blocks {
            let reason = format!(
                "{} cannot be frozen, the model has {blocks} (the classifier, behind them, never freezes)",
                counted(self.blocks, "block")
            );
            return Err(ParameterError::contradiction("--frozen", reason));
        }
        let frozen_at = (0..blocks).map(|block| (block < self.blocks).then_some(0)).collect();
        Ok(FreezePlan { frozen_at, note: None })
    }

    fn start(&self, _plan: &Plan) -> Box<dyn FreezeState> {
        Box::new(*self)
    }
}

impl FreezeState for Prefix {
    fn observe(&mut self, _row: &GradientRow) {}

    fn mask(&mut self, _row: &MaskRow) {}

    fn decide(&mut self, _epoch: u32) -> Vec<Freeze> {
        Vec::new()
    }
}
