//! Normalizations that lie.

use serde_json::json;

use super::replaced;

#[test]
fn a_normalization_has_a_finite_number_for_each_channel() {
    assert_eq!(
        replaced("/data_set/normalization/scale", json!([0.5, 0.5])),
        "manifest.json: data_set.normalization.scale is \"[0.5, 0.5]\"; expected 1 finite number, one \
         for each channel"
    );
    assert_eq!(
        replaced("/data_set/normalization/shift", json!([1e300])),
        "manifest.json: data_set.normalization.shift is \"[inf]\"; expected 1 finite number, one for \
         each channel"
    );
}
