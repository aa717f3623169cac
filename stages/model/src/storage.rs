//! How a pass keeps its values and gradients.

use spfde_data::parameter::{Parameter, ParameterError, Value};

/// How outputs of operations, before batch norm and ReLU, and gradients on their way back are stored between
/// operations. Everything is computed and added up in f32; weights, momenta and statistics are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// In four bytes, as they are computed.
    #[default]
    F32,
    /// In two bytes, rounded to the nearest bf16 (the upper half of an f32), to the even one of two.
    Bf16,
}

impl Storage {
    /// The names that [`Storage::resolve`] knows.
    pub const NAMES: [&'static str; 2] = ["f32", "bf16"];

    /// The storage called `name`.
    ///
    /// # Errors
    /// If the name is unknown.
    pub fn resolve(name: &str) -> Result<Self, ParameterError> {
        let key = Parameter::choice("train.storage", "f32", Self::NAMES.to_vec(), "");
        key.check(Value::Text(name.into()))?;
        Ok(if name == "bf16" { Self::Bf16 } else { Self::F32 })
    }

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// Bytes of a number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}
