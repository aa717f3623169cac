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

impl From<Vec<f32>> for TensorData {
    fn from(numbers: Vec<f32>) -> Self {
        Self::F32(numbers)
    }
}

impl From<Vec<u32>> for TensorData {
    fn from(numbers: Vec<u32>) -> Self {
        Self::U32(numbers)
    }
}

impl Tensor {
    /// An array of one dimension.
    pub fn list(name: String, numbers: impl Into<TensorData>) -> Self {
        let data = numbers.into();
        let count = match &data {
            TensorData::F32(numbers) => numbers.len(),
            TensorData::U32(numbers) => numbers.len(),
        };
        Self { name, shape: vec![count], data }
    }
}
