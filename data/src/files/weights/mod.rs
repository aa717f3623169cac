//! Named arrays in a safetensors file.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use crate::files::atomic;
use crate::files::error::{DataError, Result};
use crate::files::read_limited::read_limited;

/// Bytes of a weights file.
const WEIGHTS_LIMIT: u64 = 16 << 30;

/// A named array.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedArray {
    /// Its name, unique within a file.
    pub name: String,
    /// Its shape; the product is the number of values.
    pub shape: Vec<usize>,
    /// Its values in row-major order.
    pub values: Values,
}

/// The values of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Floats.
    F32(Vec<f32>),
    /// Whole numbers.
    U32(Vec<u32>),
}

impl Values {
    /// The name of their type in the file, and their bytes.
    fn encode(&self) -> (&'static str, Vec<u8>) {
        match self {
            Self::F32(values) => ("F32", values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Self::U32(values) => ("U32", values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        }
    }
}

/// What a weights file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The arrays, by name.
    pub arrays: Vec<NamedArray>,
    /// What else is known, as text.
    pub metadata: BTreeMap<String, String>,
}

/// Writes arrays and metadata, replacing a file of the same name. The same content gives the same bytes,
/// whatever the order of the arrays.
///
/// # Panics
/// If a name comes twice or is `__metadata__`, or a shape does not fit its values.
pub fn write(path: &Path, arrays: &[NamedArray], metadata: &BTreeMap<String, String>) -> Result<()> {
    atomic::write(path, &encode(arrays, metadata))
}

/// The bytes that [`write()`] writes.
pub fn encode(arrays: &[NamedArray], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    // The library writes metadata in the order of a hash map, different in every process; the format is
    // simple.
    let mut sorted: Vec<&NamedArray> = arrays.iter().collect();
    sorted.sort_by_key(|array| &array.name);
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut data = Vec::new();
    for array in &sorted {
        let NamedArray { name, shape, values } = array;
        let (dtype, bytes) = values.encode();
        let count: usize = shape.iter().product();
        assert_eq!(4 * count, bytes.len(), "{name} has as many values as its shape {shape:?}");
        assert_ne!(name, "__metadata__", "an array is not called like the metadata");
        let start = data.len();
        data.extend(bytes);
        let info = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, data.len()] });
        let twice = header.insert(name.clone(), info);
        assert!(twice.is_none(), "{name} is the name of one array");
    }
    let mut json = serde_json::to_vec(&header).expect("a JSON map is JSON");
    // Readers that map the file want aligned data.
    json.resize(json.len().next_multiple_of(8), b' ');
    [&(json.len() as u64).to_le_bytes()[..], &json, &data].concat()
}

/// Reads a file of [`write()`] or any other safetensors file with arrays of `F32` and `U32`.
pub fn read(path: &Path) -> Result<Weights> {
    parse(path, &read_limited(path, WEIGHTS_LIMIT)?)
}

/// Reads the bytes of a file; `path` is for messages.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Weights> {
    let tensors = |error| {
        let what = format!("cannot read the tensors: {error}");
        DataError::refused(path, what, "is it a complete safetensors file?")
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(tensors)?;
    let metadata =
        header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    let file = SafeTensors::deserialize(bytes).map_err(tensors)?;
    let mut arrays = Vec::new();
    for (name, view) in file.tensors() {
        let words = view.data().as_chunks::<4>().0.iter();
        let values = match view.dtype() {
            Dtype::F32 => Values::F32(words.map(|word| f32::from_le_bytes(*word)).collect()),
            Dtype::U32 => Values::U32(words.map(|word| u32::from_le_bytes(*word)).collect()),
            other => {
                let field = format!("type of array {name}");
                return Err(DataError::value(path, field, &format!("{other:?}"), "F32 or U32"));
            }
        };
        arrays.push(NamedArray { name, shape: view.shape().to_vec(), values });
    }
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Weights { arrays, metadata })
}
