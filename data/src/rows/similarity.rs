//! The stream `similarity`.

crate::row! {
    /// How far what a layer puts out for a fixed probe of training samples has changed since an earlier
    /// epoch. Nothing else recorded says the same: `verify` checks types and epochs, not the measures.
    pub struct SimilarityRow in "similarity" by (epoch, layer) {
        /// Epoch, from 0, at whose end the layer was looked at.
        pub epoch: u32,
        /// Layer, from 0 in forward order.
        pub layer: u16,
        /// Linear CKA between what it puts out now and then, from 0 to 1; 1: the same up to rotation and
        /// scale.
        pub measure: f64,
        /// The epoch with whose end it is compared.
        pub reference_epoch: u32,
        /// Mean squared difference between the similarities of pairs of samples now and then, from 0: what
        /// Egeria calls plasticity.
        pub plasticity: f64,
    }
}
