//! Named arrays: the state of a network as a checkpoint keeps it.

/// The numbers of a [`Tensor`].
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// 32-bit floating point numbers.
    F32(Vec<f32>),
    /// Unsigned 32-bit numbers.
    U32(Vec<u32>),
}

/// A named array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The layer's name and what of it, such as `block3.convolution2.values`; unique within a file.
    pub name: String,
    /// The extent of each dimension; their product is the number of values.
    pub shape: Vec<usize>,
    /// The numbers.
    pub data: TensorData,
}
