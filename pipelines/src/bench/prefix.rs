//! Freezing as a bench wants it: so many blocks from the start, and no more.

use spfde_data::parameter::ParameterError;
use spfde_data::words::counted;
use spfde_policy::freeze::{Change, FreezeContext, FreezePlan, FreezeRule, Judged};
use spfde_policy::{Costs, Spans};

spfde_data::parameters! {
    /// The first blocks never train.
    pub struct Prefix in "freeze" {
        /// how many
        pub blocks: u32 = 0, ..;
    }
}

impl FreezeRule for Prefix {
    const NAME: &'static str = "prefix";
    const SUMMARY: &'static str = "the first blocks never train";
    type State = ();

    fn plan(&self, _: &FreezeContext, costs: &Costs<'_>) -> Result<FreezePlan, ParameterError> {
        let blocks = costs.architecture.blocks.len() as u32;
        if self.blocks > blocks {
            let reason = format!(
                "{} cannot be frozen, the model has {blocks} (the classifier, behind them, never freezes)",
                counted(self.blocks, "block")
            );
            return Err(ParameterError::contradiction("--frozen", reason));
        }
        let spans = |block: u32| Spans::from_start((block < self.blocks).then_some(0));
        Ok(FreezePlan { frozen: (0..blocks).map(spans).collect(), note: None })
    }

    fn may_freeze(&self, _: &FreezeContext, _: u32) -> bool {
        false
    }

    fn decide(&self, _: &FreezeContext, _: Judged<'_, ()>, _: u32) -> Vec<Change> {
        Vec::new()
    }
}
