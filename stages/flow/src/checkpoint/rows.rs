//! The rows of the tables of a checkpoint.

/// Name of the table of what the sieve policy saves: its columns are the policy's.
pub(crate) const SIEVE_POLICY: &str = "sieve-policy";

spfde_data::row! {
    /// A sample of the active set.
    pub(crate) struct ActiveRow in "active-set" by (epoch, sample) {
        /// Epoch at whose start the checkpoint is.
        pub(crate) epoch: u32,
        /// The sample.
        pub(crate) sample: u32,
        /// Its weight in the loss.
        pub(crate) weight: f32,
    }
}

spfde_data::row! {
    /// Where a sample stands in the sieve stage.
    pub(crate) struct StandingRow in "standings" by (epoch, sample) {
        /// Epoch at whose start the checkpoint is.
        pub(crate) epoch: u32,
        /// The sample.
        pub(crate) sample: u32,
        /// Whether it is active, before the decisions that are on their way.
        pub(crate) active: bool,
        /// The epoch of the last entry of an active sample, of the last departure of another; 0 if it never moved.
        pub(crate) since: u32,
    }
}

spfde_data::row! {
    /// Something that the freeze policy remembers of a block.
    pub(crate) struct RememberedRow in "freeze-policy" by (epoch, block) {
        /// Epoch at whose start the checkpoint is.
        pub(crate) epoch: u32,
        /// The block.
        pub(crate) block: u32,
        /// What it is, in a word of the policy.
        pub(crate) what: String,
        /// The epoch to which it belongs.
        pub(crate) tick_epoch: u32,
        /// The step to which it belongs.
        pub(crate) tick_step: u32,
        /// The value.
        pub(crate) value: f64,
    }
}
