//! What freeze policies judged by.

crate::row! {
    /// What a freeze policy judged a block by at the end of an epoch.
    pub struct FreezeEvidenceRow in "freeze_evidence" by (epoch, block) {
        /// Epoch at whose end the block was judged.
        pub epoch: u32,
        /// Block, from 0.
        pub block: u16,
        /// What the policy measured.
        pub measure: f64,
        /// What it compared the measure with.
        pub threshold: f64,
        /// The window that was judged, from 0.
        pub window: u32,
        /// The share of the run's FLOPs that freezing may still save if all stays as it was before the
        /// decision; of 1 under a policy without a bound.
        pub budget_left: f64,
    }
}
