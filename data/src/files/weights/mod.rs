//! Named arrays in a safetensors file.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use crate::files::{DataError, Result, read_limited};
use crate::{Tensor, TensorData};

/// Bytes of a weights file.
pub(super) const WEIGHTS_LIMIT: u64 = 16 << 30;

/// What is known beside the arrays, as text.
pub type Metadata = BTreeMap<String, String>;

/// What a weights file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The arrays, by name.
    pub arrays: Vec<Tensor>,
    /// What else is known, as text.
    pub metadata: Metadata,
}

/// The bytes of a file. The same content gives the same bytes, whatever the order of the arrays.
///
/// # Panics
/// If a name comes twice or is `__metadata__`, or a shape does not fit its numbers.
pub fn encode(arrays: &[Tensor], metadata: &Metadata) -> Vec<u8> {
    // The library writes metadata in the order of a hash map, different in every process; the format is
    // simple.
    let mut sorted: Vec<&Tensor> = arrays.iter().collect();
    sorted.sort_by_key(|array| &array.name);
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut end = 0;
    for Tensor { name, shape, data } in &sorted {
        let (dtype, count) = match data {
            TensorData::F32(values) => ("F32", values.len()),
            TensorData::U32(values) => ("U32", values.len()),
        };
        let start = end;
        end += 4 * count;
        let fits = shape.iter().product::<usize>() == count;
        assert!(fits, "{name} has as many values as its shape {shape:?}, not {count}");
        assert_ne!(name, "__metadata__", "an array is not called like the metadata");
        let info = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
        let twice = header.insert(name.clone(), info);
        assert!(twice.is_none(), "{name} is the name of one array");
    }
    let mut json = serde_json::to_vec(&header).expect("a JSON map is JSON");
    // Readers that map the file want aligned data.
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut bytes = Vec::with_capacity(8 + json.len() + end);
    bytes.extend((json.len() as u64).to_le_bytes());
    bytes.extend(json);
    for array in sorted {
        match &array.data {
            TensorData::F32(values) => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            TensorData::U32(values) => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        }
    }
    bytes
}

/// Reads a file of [`encode`] or any other safetensors file with arrays of `F32` and `U32`.
pub fn read(path: &Path) -> Result<Weights> {
    parse(path, &read_limited(path, WEIGHTS_LIMIT)?)
}

/// Reads a file that another program may have written, such as PyTorch: as [`read`], and numbers of `F64`,
/// `F16` and `BF16` become `F32`. Its BLAKE3, in hexadecimal, comes with it. Counters of batches
/// (`num_batches_tracked`) are left out.
pub fn read_foreign(path: &Path) -> Result<(Weights, String)> {
    let bytes = read_limited(path, WEIGHTS_LIMIT)?;
    let weights = parse_with(path, &bytes, |name, view| {
        let data = view.data();
        Ok(match view.dtype() {
            _ if name.ends_with("num_batches_tracked") => None,
            Dtype::F64 => {
                Some(data.as_chunks().0.iter().map(|number| f64::from_le_bytes(*number) as f32).collect())
            }
            Dtype::F16 => {
                Some(data.as_chunks().0.iter().map(|number| f16::from_le_bytes(*number).to_f32()).collect())
            }
            Dtype::BF16 => {
                Some(data.as_chunks().0.iter().map(|number| bf16::from_le_bytes(*number).to_f32()).collect())
            }
            _ => return numbers(path, name, view).map(Some),
        }
        .map(TensorData::F32))
    })?;
    Ok((weights, blake3::hash(&bytes).to_hex().to_string()))
}

/// Reads the bytes of a file; `path` is for messages.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Weights> {
    parse_with(path, bytes, |name, view| numbers(path, name, view).map(Some))
}

/// Reads the bytes of a file whose arrays become what `read` makes of them.
fn parse_with(
    path: &Path,
    bytes: &[u8],
    read: impl Fn(&str, &TensorView<'_>) -> Result<Option<TensorData>>,
) -> Result<Weights> {
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
        if let Some(data) = read(&name, &view)? {
            arrays.push(Tensor { name, shape: view.shape().to_vec(), data });
        }
    }
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Weights { arrays, metadata })
}

/// The numbers of an array.
fn numbers(path: &Path, name: &str, view: &TensorView<'_>) -> Result<TensorData> {
    let words = view.data().as_chunks::<4>().0.iter();
    match view.dtype() {
        Dtype::F32 => Ok(TensorData::F32(words.map(|word| f32::from_le_bytes(*word)).collect())),
        Dtype::U32 => Ok(TensorData::U32(words.map(|word| u32::from_le_bytes(*word)).collect())),
        other => {
            let field = format!("type of array {name}");
            Err(DataError::value(path, field, &format!("{other:?}"), "F32 or U32"))
        }
    }
}
