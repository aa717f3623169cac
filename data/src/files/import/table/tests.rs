//! Tables that pandas wrote, and what is refused of others.

use super::*;
use crate::Normalization;
use crate::files::import::tests::{fixture, refusal};

fn asked(label: &str) -> Asked {
    Asked { label: label.to_owned(), drop: Vec::new() }
}

fn read(name: &str, asked: &Asked) -> Result<Imported> {
    let files = Parts::find(&[fixture("table").join(name)], &ENDINGS)?;
    import(&files, asked, &Options::named("trees"))
}

/// The rows of `write.py`: length, the three colours in their order, count.
fn row(row: usize) -> Vec<f32> {
    // Blue, green, red.
    let colour = [2, 1, 0][row % 3];
    let mut values = vec![0.5 + row as f32 / 4.0];
    values.extend((0..3).map(|other| if other == colour { 1.0 } else { 0.0 }));
    values.push((row * row) as f32);
    values
}

fn values(images: &Images) -> &[f32] {
    let Pixels::F32(values) = &images.pixels else { panic!("a table has numbers") };
    values
}

#[test]
fn rows_are_those_of_the_table_whatever_its_format() {
    let parts = read("parts", &asked("kind")).unwrap();
    let set = &parts.set;
    assert_eq!([set.train.channels, set.train.height, set.train.width], [1, 1, 5]);
    assert_eq!(values(&set.train), (0..8).flat_map(row).collect::<Vec<_>>());
    assert_eq!(values(&set.test), (8..12).flat_map(row).collect::<Vec<_>>());
    assert_eq!(
        (set.class_names.as_slice(), &*set.test.labels),
        (&["elm".to_owned(), "oak".into()][..], &[1, 0, 1, 0][..])
    );
    assert_eq!(parts.notes, ["columns of texts became one column for each different text: colour (3)"]);
    let (csv, parquet) =
        (read("trees.csv", &asked("kind")).unwrap(), read("trees.parquet", &asked("kind")).unwrap());
    assert_eq!(csv.set.fingerprint, parquet.set.fingerprint);
    assert_eq!((csv.set.train.len(), csv.set.test.len()), (10, 2));
    // Labels that are numbers; columns that are left out.
    let numbers = Asked { drop: vec!["colour".into(), "length".into()], ..asked("count") };
    let error = read("parts", &numbers).unwrap_err().to_string();
    assert!(error.contains("test.csv: row 0: label is 64; expected one of the 8 of "), "{error}");
}

#[test]
fn a_table_on_disk_is_the_same_table() {
    let set = read("trees.csv", &asked("kind")).unwrap().set;
    let directory = tempfile::tempdir().unwrap();
    crate::files::data_set::write(&set, directory.path()).unwrap();
    let again = crate::files::data_set::read(directory.path()).unwrap();
    assert_eq!((&again.train, &again.test, &again.fingerprint), (&set.train, &set.test, &set.fingerprint));
    assert_eq!(again.normalization, Normalization::of(&set.train));
    assert_eq!(again.class_names, set.class_names);
    let names = ["length", "colour=blue", "colour=green", "colour=red", "count"];
    assert_eq!(
        (&set.column_names, &*again.column_names),
        (&again.column_names, &names.map(str::to_owned)[..])
    );
}

#[test]
fn lines_and_columns_of_what_is_wrong_are_named() {
    let path = Path::new("t.csv");
    let check = |text: &str, expected: &str| {
        let found =
            refusal(Path::new("."), parse(path, text.as_bytes().to_vec(), &asked("y"), &Options::named("x")));
        assert_eq!(found, format!("t.csv: {expected}"), "{text}");
    };
    let fill = "fill them, remove the rows, or leave out columns with --drop";
    check(
        "a,y\n1,p\n,q\nNA,p\n4,\n",
        &format!(
            "lacks 3 values: row 1 (line 3), column a; row 2 (line 4), column a; row 3 (line 5), column y; \
             {fill}"
        ),
    );
    check("a;b\n1;2\n", "has no column y; the first line of a table has the names of its columns");
    check("a,a,y\n1,2,3\n", "has column a twice; which of the two counts is nowhere said");
    check("y\n1\n", "has no columns beside y; there is nothing to learn from");
    check("a,y\n", "holds no images; a data set needs at least one to train and one to test");
    check(
        "a,y\n1,0.5\n2,1\n",
        "row 0 (line 2): column y is 0.5; labels are whole numbers or texts: is it the right column?",
    );
    check("a,y\ninf,1\n2,1\n", "row 0 (line 2): column a is \"inf\"; expected a finite number of 32 bits");
    check("a,y\n1e39,1\n2,1\n", "row 0 (line 2): column a is \"1e39\"; expected a finite number of 32 bits");
    let texts: String = (0..300).map(|row| format!("t{row},{}\n", row % 2)).collect();
    check(
        &format!("a,y\n{texts}"),
        "column a has more than 256 different texts; leave it out with --drop, or make numbers of it",
    );
    let error =
        parse(path, b"a,y\n1,2,3\n".to_vec(), &asked("y"), &Options::named("x")).unwrap_err().to_string();
    assert!(error.contains("found record with 3 fields, but the previous record has 2 fields"), "{error}");
}

#[test]
fn other_rows_to_test_on_have_to_be_alike() {
    let directory = tempfile::tempdir().unwrap();
    let check = |train: &str, test: &str, expected: &str| {
        for (name, text) in [("train.csv", train), ("test.csv", test)] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let files = Parts::find(&[directory.path().to_owned()], &ENDINGS).unwrap();
        let found = refusal(directory.path(), import(&files, &asked("y"), &Options::named("x")));
        assert_eq!(found, format!("test.csv: {expected}"));
    };
    let train = "a\tb\ty\n1\tred\tp\n2\tblue\tq\n";
    check(train, "b\ty\nred\tp\n", "has no column a; the first line of a table has the names of its columns");
    check(
        "size\ty\n1\tp\n2\tq\n",
        "sizes\ty\n1\tp\n",
        "has no column size, but sizes; the first line of a table has the names of its columns",
    );
    check(
        train,
        "a\tb\ty\n1\tgreen\tp\n",
        "row 0 (line 2): column b is \"green\"; expected one of the texts of the training rows",
    );
    check(
        train,
        "a\tb\ty\nx\tred\tp\n",
        "row 0 (line 2): column a is \"x\"; expected a number, as in the other rows",
    );
    check(train, "y\tb\ta\nr\tred\t3\n", "row 0: label is \"r\"; expected one of the 2 of train.csv");
    // The order of columns does not matter.
    std::fs::write(directory.path().join("test.csv"), "y\tb\ta\nq\tred\t3\n").unwrap();
    let files = Parts::find(&[directory.path().to_owned()], &ENDINGS).unwrap();
    let set = import(&files, &asked("y"), &Options::named("x")).unwrap().set;
    assert_eq!((values(&set.test), &*set.test.labels), (&[3.0, 0.0, 1.0][..], &[1][..]));
}
