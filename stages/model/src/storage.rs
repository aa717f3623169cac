//! How a pass keeps its values and gradients.

spfde_data::choice! {
    /// How outputs of operations, before batch norm and ReLU, and gradients on their way back are stored
    /// between operations. Everything is computed and added up in f32; weights, momenta and statistics are
    /// f32.
    pub enum Storage {
        /// In four bytes, as they are computed.
        F32 = "f32",
        /// In two bytes, rounded to the nearest bf16 (the upper half of an f32), to the even one of two;
        /// numbers below 2⁻¹²⁶ become 0.
        Bf16 = "bf16",
    }
}

impl Storage {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}
