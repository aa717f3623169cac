//! Round trips, sameness of bytes, and files that lie.

use super::*;

fn arrays() -> Vec<Tensor> {
    let array =
        |name: &str, shape: &[usize], data| Tensor { name: name.to_owned(), shape: shape.to_vec(), data };
    vec![
        array(
            "stem.weight",
            &[2, 3],
            TensorData::F32(vec![1.0, -0.0, f32::MIN_POSITIVE, 3.5, f32::MAX, 1e-40]),
        ),
        array("stem.index", &[4], TensorData::U32(vec![0, 1, 7, u32::MAX])),
        array("empty", &[0, 5], TensorData::F32(vec![])),
        array("scalar", &[], TensorData::U32(vec![9])),
    ]
}

fn write(path: &Path, arrays: &[Tensor], metadata: &BTreeMap<String, String>) -> std::io::Result<()> {
    std::fs::write(path, encode(arrays, metadata))
}

fn metadata() -> BTreeMap<String, String> {
    (0..20).map(|i| (format!("key {i}"), format!("value {i}"))).collect()
}

#[test]
fn arrays_come_back_by_name_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.safetensors");
    write(&path, &arrays(), &metadata()).unwrap();
    let weights = read(&path).unwrap();
    let mut sorted = arrays();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(weights.arrays, sorted);
    assert_eq!(weights.metadata, metadata());
    let TensorData::F32(values) = &weights.arrays[3].data else { panic!("floats") };
    assert_eq!(values[1].to_bits(), (-0.0_f32).to_bits());
    write(&path, &[], &BTreeMap::new()).unwrap();
    assert_eq!(read(&path).unwrap(), Weights::default());
}

#[test]
fn the_library_of_the_format_reads_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.safetensors");
    write(&path, &arrays(), &metadata()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor("stem.weight").unwrap();
    assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, &[2, 3][..]));
    let expected: Vec<u8> = [1.0, -0.0, f32::MIN_POSITIVE, 3.5, f32::MAX, 1e-40]
        .iter()
        .flat_map(|v: &f32| v.to_le_bytes())
        .collect();
    assert_eq!(tensor.data(), expected);
    assert_eq!(u64::from_le_bytes(bytes[..8].try_into().unwrap()) % 8, 0, "data is aligned");
}

#[test]
fn the_same_arrays_give_the_same_bytes_in_any_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.safetensors");
    write(&path, &arrays(), &metadata()).unwrap();
    let first = std::fs::read(&path).unwrap();
    write(&path, &arrays().into_iter().rev().collect::<Vec<_>>(), &metadata()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
}

#[test]
#[should_panic(expected = "a has as many values as its shape [2, 2]")]
fn a_shape_must_fit_its_values() {
    let array = Tensor { name: "a".to_owned(), shape: vec![2, 2], data: TensorData::U32(vec![1]) };
    let _ = write(Path::new("/nowhere/a"), &[array], &BTreeMap::new());
}

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// The message of reading these bytes.
fn message(bytes: &[u8]) -> String {
    parse(Path::new("a"), bytes).unwrap_err().to_string()
}

#[test]
fn headers_that_lie_are_named() {
    let tensors = |bytes: &[u8]| {
        let message = message(bytes);
        assert!(message.starts_with("a: cannot read the tensors: "), "{message}");
        assert!(message.ends_with("; is it a complete safetensors file?"), "{message}");
    };
    tensors(&u64::MAX.to_le_bytes());
    tensors(&file(
        r#"{"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#,
        &[0; 4],
    ));
    tensors(&file(r#"{"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#, &[0; 4]));
    tensors(&file(r#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, &[0; 4]));
    tensors(&file(r#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 8]));
    assert_eq!(
        message(&file(r#"{"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#, &[0; 8])),
        "a: type of array x is \"F64\"; expected F32 or U32"
    );
}

#[test]
fn cut_files_are_errors_and_changed_ones_never_panic() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    write(&path, &arrays(), &BTreeMap::new()).unwrap();
    let good = std::fs::read(&path).unwrap();
    for length in 0..good.len() {
        message(&good[..length]);
    }
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(weights) = parse(&path, &bytes) {
            let count = |data: &TensorData| match data {
                TensorData::F32(values) => values.len(),
                TensorData::U32(values) => values.len(),
            };
            let fits = |array: &Tensor| array.shape.iter().product::<usize>() == count(&array.data);
            assert!(weights.arrays.iter().all(fits), "bit {bit}");
        }
    }
}

#[test]
fn numbers_of_other_programs_are_converted_and_their_counters_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.safetensors");
    let header = r#"{"double":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},
        "n.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[8,16]},
        "brain":{"dtype":"BF16","shape":[1],"data_offsets":[16,18]},
        "half":{"dtype":"F16","shape":[2],"data_offsets":[18,22]}}"#;
    // 1.5 in each type, and the least half that is not 0: 2 to the power of -24.
    let half = [0x3E00_u16, 1].map(u16::to_le_bytes).concat();
    let data = [&1.5_f64.to_le_bytes()[..], &7_i64.to_le_bytes(), &0x3FC0_u16.to_le_bytes(), &half].concat();
    let bytes = file(header, &data);
    std::fs::write(&path, &bytes).unwrap();
    let (weights, blake3) = read_foreign(&path).unwrap();
    let found: Vec<(&str, &TensorData)> =
        weights.arrays.iter().map(|array| (&*array.name, &array.data)).collect();
    let numbers = |numbers: &[f32]| TensorData::F32(numbers.to_vec());
    assert_eq!(
        found,
        [
            ("brain", &numbers(&[1.5])),
            ("double", &numbers(&[1.5])),
            ("half", &numbers(&[1.5, 2f32.powi(-24)]))
        ]
    );
    assert_eq!(blake3, blake3::hash(&bytes).to_hex().as_str());
    std::fs::write(&path, file(r#"{"x":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#, &[0; 8]))
        .unwrap();
    let message = read_foreign(&path).unwrap_err().to_string();
    assert!(message.ends_with("type of array x is \"I64\"; expected F32 or U32"), "{message}");
}
