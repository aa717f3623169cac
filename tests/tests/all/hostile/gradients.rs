//! Norms of gradients of any trainer.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use spfde::grid::parse_layers;
use spfde_data::files::gradient_files;

use super::{Case, Class, message, parquet};

const NAME: &str = "gradients.parquet";

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let layer =
        |name: &str| format!("[[layer]]\nname = \"{name}\"\nkind = \"linear\"\noutputs = 5\ninputs = 4\n");
    let network = parse_layers(&format!("{}block = \"b\"\n{}", layer("a"), layer("b"))).unwrap();
    let path = directory.join(NAME);
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        message(directory, gradient_files::read(directory, &network.layers))
    };
    let longs = |values: [i64; 2]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
    let floats = |values: [f64; 2]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    let texts = |values: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let columns = || {
        vec![
            ("epoch", longs([0, 0])),
            ("step", longs([0, 0])),
            ("layer", longs([0, 1])),
            ("name", texts(["a", "b"])),
            ("l2", floats([0.5, 1.0])),
            ("l1", floats([0.5, 1.0])),
            ("nonzero", longs([20, 3])),
        ]
    };
    let with = |name: &str, array: ArrayRef| {
        let mut columns = columns();
        columns.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, old)| *old = Arc::clone(&array));
        read(&parquet::file(&columns, &[]))
    };
    let good = parquet::file(&columns(), &[]);
    assert_eq!(read(&good), "it was accepted");
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("{NAME}: {expected}") };
    let mut cases = parquet::cases(&good, NAME, &read);
    cases.extend([
        case(
            Class::WrongType,
            with("l2", longs([1, 2])),
            "row 0: l2 is 1; expected a finite number, 0 or more",
        ),
        case(
            Class::WrongType,
            with("step", floats([0.0, 1.0])),
            "row 0: step is 0; expected a number from 0 to 4294967295",
        ),
        case(
            Class::OutOfRange,
            with("l1", floats([0.5, f64::NAN])),
            "row 1: l1 is NaN; expected a finite number, 0 or more",
        ),
        case(
            Class::OutOfRange,
            with("layer", longs([0, 2])),
            "row 1: layer is 2; expected a number from 0 to 1",
        ),
        case(
            Class::OutOfRange,
            with("epoch", longs([0, 10_000])),
            "row 1: epoch is 10000; expected a number from 0 to 9999",
        ),
        case(
            Class::OutOfRange,
            with("nonzero", longs([21, 3])),
            "row 0: nonzero is 21; expected a number from 0 to 20",
        ),
        case(
            Class::OutOfRange,
            with("name", texts(["a", "c"])),
            "row 1: name is \"c\"; expected \"b\", as layer 1 is called in the file of layers",
        ),
        case(
            Class::Missing,
            read(&parquet::file(&columns()[..6], &[])),
            "has no column nonzero; expected one of type a number, a text or a truth value",
        ),
        case(
            Class::Missing,
            with("step", Arc::new(Int64Array::from(vec![Some(1), None]))),
            "row 1: step is missing; expected a number from 0 to 4294967295",
        ),
    ]);
    let mut twice = columns();
    twice[2].1 = longs([1, 1]);
    twice[3].1 = texts(["b", "b"]);
    let found = read(&parquet::file(&twice, &[]));
    let reason = "there are two rows of epoch 0, step 0, layer 1; a training that went on after an \
                  interruption has recorded steps twice: remove the files of the first time";
    let expected = format!("{}: {reason}", directory.display());
    cases.push(Case { class: Class::Duplicate, found, expected });
    cases
}
