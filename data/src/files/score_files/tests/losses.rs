//! Losses that are no numbers.

use super::*;

#[test]
fn losses_are_finite_if_a_policy_reads_them_and_else_whatever_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scores.parquet");
    let read = |losses: ArrayRef, wanted| {
        let mut columns = plain(vec![1, 2, 3], vec![0; 3], vec![0; 3], vec![true; 3]);
        columns.push(("loss", losses));
        write(&path, columns, 2, Compression::UNCOMPRESSED);
        read_all(&open(&path, 1, wanted).unwrap())
    };
    let singles = |last| Arc::new(Float32Array::from(vec![0.5, 0.0, last])) as ArrayRef;
    let doubles = |last| Arc::new(Float64Array::from(vec![0.5, 0.0, last])) as ArrayRef;
    let bad = [
        (singles(f32::NAN), "NaN"),
        (singles(f32::INFINITY), "inf"),
        (doubles(f64::NEG_INFINITY), "-inf"),
        // Finite, but not as a number of 32 bits.
        (doubles(1e300), "1e300"),
    ];
    for (losses, found) in bad {
        let error = read(Arc::clone(&losses), true).unwrap_err();
        let expected = format!("{}: row 2: loss is {found}; expected a finite number; ", path.display());
        assert!(error.starts_with(&expected), "{error}");
        assert_eq!(read(losses, false), Ok(()));
    }
    // What a loss is beyond that is the trainer's affair.
    for wanted in [false, true] {
        assert_eq!(read(singles(-0.25), wanted), Ok(()));
        assert_eq!(read(doubles(3e38), wanted), Ok(()));
    }
    let some = || Arc::new(Float32Array::from(vec![Some(0.5), None, None])) as ArrayRef;
    assert_eq!(read(some(), false), Ok(()));
    assert!(read(some(), true).unwrap_err().contains("column loss lacks 1 of its values"));
    assert_eq!(read(Arc::new(Int64Array::from(vec![1, 2, 3])), false), Ok(()));
}
