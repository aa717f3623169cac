//! The classes of samples.

use super::*;

#[test]
fn a_sample_has_one_label_in_all_rows_and_files() {
    let directory = tempfile::tempdir().unwrap();
    let labels = |columns: Vec<(&str, ArrayRef)>, stop: bool| {
        for (epoch, (_, array)) in columns.iter().enumerate() {
            let mut rows = plain(vec![7, 2, 9], vec![epoch as i64; 3], vec![0; 3], vec![true; 3]);
            rows.push((columns[epoch].0, Arc::clone(array)));
            write(&directory.path().join(format!("{epoch}.parquet")), rows, 2, Compression::UNCOMPRESSED);
        }
        let files = open(directory.path(), 1, false).unwrap();
        files.labels(&AtomicBool::new(stop)).map_err(|error| error.to_string())
    };
    let column = |labels: [i64; 3]| Arc::new(Int64Array::from(labels.to_vec())) as ArrayRef;
    let small = || ("label", Arc::new(UInt8Array::from(vec![4, 0, 4])) as ArrayRef);
    // In the order of the samples.
    assert_eq!(labels(vec![small(), ("label", column([4, 0, 4]))], false), Ok(Some(vec![0, 4, 4])));
    assert_eq!(labels(vec![small(), small()], true), Ok(None));
    let texts = Arc::new(StringArray::from(vec!["a", "b", "a"])) as ArrayRef;
    let some = Arc::new(Int64Array::from(vec![Some(4), None, Some(4)])) as ArrayRef;
    let cases = [
        (("label", column([4, 0, 5])), "row 2: label is 5; expected 4, as in another row of the sample"),
        (("label", column([4, 0, 65_536])), "row 2: label is 65536; expected 0 to 65535"),
        (("label", column([4, -1, 4])), "row 1: label is -1; expected 0 to 65535"),
        (("label", some), "column label lacks 1 of its values"),
        (("label", texts), "column label is of type Utf8; expected Int64 or another integer"),
        (("labels", column([4, 0, 4])), "has no column label; expected one of type Int64"),
    ];
    for (column, expected) in cases {
        let error = labels(vec![small(), column], false).unwrap_err();
        assert!(error.contains("1.parquet: ") && error.contains(expected), "{error}");
    }
}
