//! Names of classes and normalization, as files state them.

use super::*;

/// The names of the three classes of [`small`].
fn named() -> DataSet {
    DataSet { class_names: ["cat", "dog", "größe"].map(str::to_owned).into(), ..small() }
}

/// The set that is read where the description of both files is `json`.
fn described(json: &serde_json::Value) -> crate::files::Result<DataSet> {
    let set = small();
    let directory = tempfile::tempdir().unwrap();
    for (name, images) in [("train.parquet", &set.train), ("test.parquet", &set.test)] {
        let rows = (0..images.len()).map(|row| images.image(row));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("image", Arc::new(FixedSizeBinaryArray::try_from_iter(rows).unwrap())),
            ("label", Arc::new(UInt16Array::from(images.labels.clone()))),
        ];
        write_columns(
            &directory.path().join(name),
            Some(json.to_string()),
            columns,
            WriterProperties::builder(),
        );
    }
    read(directory.path())
}

/// A description of [`small`] that states its shape and, at `field`, a value.
fn with(fields: &[(&str, serde_json::Value)]) -> serde_json::Value {
    let mut json = serde_json::json!({"channels": 3, "height": 4, "width": 5, "classes": 3});
    fields.iter().for_each(|(field, value)| json[*field] = value.clone());
    json
}

#[test]
fn names_and_normalization_are_stored() {
    let set = named();
    let read = read(written(&set).path()).unwrap();
    assert_eq!(read.class_names, set.class_names);
    assert_eq!(read.normalization, Normalization::of(&set.train));
    assert_eq!(read.fingerprint, small().fingerprint, "names do not count");
    assert_eq!(super::read(written(&small()).path()).unwrap().class_names, [""; 0]);
    assert_eq!(embedded().unwrap().class_names[9], "Ankle boot");
}

#[test]
fn a_stated_normalization_is_used() {
    let moments = [("mean", serde_json::json!([0, 10, 20])), ("deviation", serde_json::json!([1, 2, 4]))];
    let normalization = described(&with(&moments)).unwrap().normalization;
    let expected = Normalization { scale: vec![1.0, 0.5, 0.25], shift: vec![0.0, -5.0, -5.0] };
    assert_eq!(normalization, expected);
    // And stays when the set is written again.
    let set = DataSet { normalization: expected.clone(), ..small() };
    assert_eq!(read(written(&set).path()).unwrap().normalization, expected);
}

#[test]
fn what_does_not_fit_is_named() {
    use serde_json::json;
    let check = |fields: &[(&str, serde_json::Value)], expected: &str| {
        let message = described(&with(fields)).unwrap_err().to_string();
        assert!(message.ends_with(&format!("train.parquet: spfde.data.{expected}")), "{message}");
    };
    check(
        &[("class_names", json!(["cat", "dog"]))],
        "class_names is a list of 2 names; expected one for each of 3 classes",
    );
    check(
        &[("column_names", json!(["length"]))],
        "column_names is a list of 1 name; expected one for each of 0 columns",
    );
    check(
        &[("class_names", json!(["cat", "dog", "\u{1b}[31m"]))],
        "class_names is \"\\u{1b}[31m\"; expected a name without control characters",
    );
    check(&[("mean", json!([1, 2, 3]))], "deviation is missing; expected one beside mean");
    check(&[("deviation", json!([1, 2, 3]))], "mean is missing; expected one beside deviation");
    check(
        &[("mean", json!([1, 2])), ("deviation", json!([1, 2, 3]))],
        "mean is a list of 2 numbers; expected one for each of 3 channels",
    );
    for wrong in [json!(0), json!(-1), json!(1e-60)] {
        let shown: f64 = serde_json::from_str(&wrong.to_string()).unwrap();
        check(
            &[("mean", json!([1, 2, 3])), ("deviation", json!([1, wrong, 3]))],
            &format!(
                "deviation of channel 1 is {shown}; expected a number above 0, and not too small for the mean"
            ),
        );
    }
}
