//! Named arrays: the state of a network as a checkpoint keeps it.

/// The numbers of a [`Tensor`].
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// 32-bit floating point numbers.
    F32(Vec<f32>),
    /// Unsigned 32-bit numbers.
    U32(Vec<u32>),
}

impl TensorData {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            TensorData::F32(values) => values.len(),
            TensorData::U32(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
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

impl Tensor {
    /// A list of floating point numbers.
    pub fn of_f32(name: String, values: Vec<f32>) -> Self {
        Self { name, shape: vec![values.len()], data: TensorData::F32(values) }
    }

    /// A list of unsigned numbers.
    pub fn of_u32(name: String, values: Vec<u32>) -> Self {
        Self { name, shape: vec![values.len()], data: TensorData::U32(values) }
    }
}

/// Why tensors do not fit a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// An array is not there.
    #[error("tensor `{name}` is missing; the tensors are those of another model")]
    Missing {
        /// The array's name.
        name: String,
    },
    /// An array is there that the network does not know.
    #[error("tensor `{name}` is not part of this model")]
    Unknown {
        /// The array's name.
        name: String,
    },
    /// An array holds the wrong kind or number of values.
    #[error("tensor `{name}` holds {found}, expected {expected}")]
    Shape {
        /// The array's name.
        name: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// Indices of weights do not ascend or lie outside the layer.
    #[error("tensor `{name}`: index {index} at position {position} does not ascend below {limit}")]
    Index {
        /// The array's name.
        name: String,
        /// The first position that is wrong.
        position: usize,
        /// The index there.
        index: u32,
        /// The number of weights of the dense layer.
        limit: usize,
    },
}
