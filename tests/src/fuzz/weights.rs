//! Weights as safetensors.

use std::collections::BTreeMap;
use std::path::Path;

use spfde_data::files::weights::{encode, parse};
use spfde_data::tensor::{Tensor, TensorData};

/// What is accepted has shapes that fit, and comes back from its own bytes.
pub(super) fn run(bytes: &[u8]) {
    let path = Path::new("weights.safetensors");
    let Ok(weights) = parse(path, bytes) else { return };
    let bits = |arrays: &[Tensor]| -> Vec<_> {
        let words = |data: &TensorData| match data {
            TensorData::F32(values) => values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>(),
            TensorData::U32(values) => values.clone(),
        };
        let fits = |array: &Tensor| array.shape.iter().product::<usize>() == words(&array.data).len();
        assert!(arrays.iter().all(fits));
        arrays.iter().map(|array| (array.name.clone(), array.shape.clone(), words(&array.data))).collect()
    };
    let again = parse(path, &encode(&weights.arrays, &weights.metadata)).unwrap();
    assert_eq!(bits(&again.arrays), bits(&weights.arrays));
    assert_eq!(again.metadata, weights.metadata);
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let array =
        |name: &str, shape: &[usize], data| Tensor { name: name.to_owned(), shape: shape.to_vec(), data };
    let arrays = [
        array(
            "stem.weight",
            &[2, 3],
            TensorData::F32(vec![1.0, -0.0, f32::MIN_POSITIVE, 3.5, f32::MAX, 1e-40]),
        ),
        array("stem.index", &[4], TensorData::U32(vec![0, 1, 7, u32::MAX])),
        array("empty", &[0, 5], TensorData::F32(vec![])),
        array("scalar", &[], TensorData::U32(vec![9])),
    ];
    let metadata = BTreeMap::from([("spfde.epoch".to_owned(), "3".to_owned())]);
    vec![("arrays", encode(&arrays, &metadata)), ("nothing", encode(&[], &BTreeMap::new()))]
}
