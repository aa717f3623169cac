//! `mask_updates`: what every update of a mask did, in numbers.

crate::row! {
    /// An update of a layer's mask, in numbers: what the deltas of `masks` at this tick are together.
    pub struct MaskUpdateRow in "mask_updates" by (epoch, step, layer) {
        /// Epoch at whose step `step` it takes effect.
        pub epoch: u32,
        /// Step, from 0.
        pub step: u32,
        /// Layer, from 0 in forward order.
        pub layer: u16,
        /// Weights that ceased to exist.
        pub dropped: u32,
        /// Weights that began to exist.
        pub grown: u32,
        /// The greatest magnitude among those that ceased; null if none did.
        pub threshold: Option<f32>,
    }
}
