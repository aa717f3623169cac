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
    /// The layer's name and what of it, such as `block3.convolution2.values`.
    pub name: String,
    /// The extent of each dimension; their product is the number of values.
    pub shape: Vec<usize>,
    /// The numbers.
    pub data: TensorData,
}

/// Why tensors do not fit a network: one is missing, unknown, of another kind or length, or its indices do
/// not ascend below the number of weights of the dense layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tensor `{name}` {problem}")]
pub struct RestoreError {
    /// The array's name.
    pub name: String,
    /// What is wrong with it, and what was expected.
    pub problem: String,
}
