//! The rows of the tables of a checkpoint.

use spfde_policy::Spans;

/// Name of the table of what the sieve policy saves: its columns are the policy's.
pub(crate) const SIEVE_POLICY: &str = "sieve-policy";
/// The same of the freeze policy.
pub(crate) const FREEZE_POLICY: &str = "freeze-policy";
/// The same of the mask policy.
pub(crate) const MASK_POLICY: &str = "mask-policy";

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
    /// How long a sample has stood as it does, before the decisions that are on their way; no rows under a
    /// policy that does not ask.
    pub(crate) struct StandingRow in "standings" by (epoch, sample) {
        /// Epoch at whose start the checkpoint is.
        pub(crate) epoch: u32,
        /// The sample.
        pub(crate) sample: u32,
        /// The epoch of the last entry of an active sample, of the last departure of another; 0 if it never
        /// moved.
        pub(crate) since: u32,
    }
}

spfde_data::row! {
    /// Epochs during which a block is frozen, as decided so far.
    pub(crate) struct FrozenRow in "frozen" by (epoch, block, from) {
        /// Epoch at whose start the checkpoint is.
        pub(crate) epoch: u32,
        /// The block.
        pub(crate) block: u32,
        /// The first of them.
        pub(crate) from: u32,
        /// The first after them; the largest number if none is known.
        pub(crate) until: u32,
    }
}

spfde_data::row! {
    /// The epoch of the best accuracy on the validation set so far.
    pub(crate) struct BestRow in "best" by (epoch) {
        /// Epoch at whose start the checkpoint is.
        pub(crate) epoch: u32,
        /// The best epoch, from 0.
        pub(crate) best: u32,
        /// Its accuracy.
        pub(crate) accuracy: f64,
    }
}

spfde_data::row! {
    /// A product of two samples of the probe, by what a layer put out for them at the end of a window.
    pub(crate) struct ProductRow in "probe" by (epoch, layer, pair) {
        /// Epoch at whose start the checkpoint is.
        pub(crate) epoch: u32,
        /// The layer.
        pub(crate) layer: u32,
        /// The pair, in the upper triangle of all pairs, row by row.
        pub(crate) pair: u32,
        /// The product.
        pub(crate) product: f32,
        /// The epoch that ended the window.
        pub(crate) reference: u32,
    }
}

impl FrozenRow {
    /// The rows of all blocks.
    pub(crate) fn rows(epoch: u32, frozen: &[Spans]) -> Vec<Self> {
        let of = |(block, spans): (usize, &Spans)| {
            let rows = spans.iter().map(move |(from, until)| Self {
                epoch,
                block: block as u32,
                from,
                until: until.unwrap_or(u32::MAX),
            });
            rows.collect::<Vec<_>>()
        };
        frozen.iter().enumerate().flat_map(of).collect()
    }
}
