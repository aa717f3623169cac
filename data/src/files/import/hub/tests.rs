//! Files that pyarrow and pandas wrote.

use super::*;
use crate::Images;
use crate::files::import::tests::{fixture, images, refusal};

fn labels(first: usize, count: usize) -> Vec<u16> {
    (first..first + count).map(|row| (row % 3) as u16).collect()
}

fn read(name: &str) -> Result<Imported> {
    let files = Parts::find(&[fixture("hub").join(name)], &["parquet"])?;
    import(&files, &Columns::default(), &Pictures::default(), &Options::named("x"))
}

#[test]
fn shards_with_labels_of_every_kind_are_read() {
    let expected: (Images, Images) =
        (images(0, [3, 4, 4], &labels(0, 8)), images(8, [3, 4, 4], &labels(8, 4)));
    for (name, names) in
        [("integers", ["cat", "dog", "owl"]), ("texts", ["cat", "dog", "owl"]), ("bare", ["5", "7", "9"])]
    {
        let imported = read(name).unwrap();
        let set = &imported.set;
        assert_eq!((&*set.train, &*set.test), (&expected.0, &expected.1), "{name}");
        assert_eq!(set.class_names, names);
        let told: Vec<&str> = imported.taken.iter().map(|(what, _)| *what).collect();
        assert_eq!(told, ["training images", "training images", "test images"]);
    }
    // One file without a part in its name is split; its pictures are no structs.
    let whole = read("frame.parquet").unwrap().set;
    assert_eq!((whole.train.len(), whole.test.len(), whole.class_names.len()), (10, 2, 3));
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let file = |name: &str| vec![fixture("hub").join(name)];
    let train = file("integers/train-00000-of-00002.parquet");
    let directory = fixture("hub");
    let check = |train: Vec<PathBuf>, test: Vec<PathBuf>, columns: Columns, expected: &str| {
        let files = Parts { train, test, left_out: Vec::new() };
        let found = refusal(&directory, import(&files, &columns, &Pictures::default(), &Options::named("x")));
        assert_eq!(found, expected);
    };
    let path = "integers/train-00000-of-00002.parquet";
    check(
        train.clone(),
        Vec::new(),
        Columns { label: "fine_label".to_owned(), ..Columns::default() },
        &format!("{path}: has no column fine_label; expected one of type a whole number or a text"),
    );
    check(
        train.clone(),
        Vec::new(),
        Columns { image: Some("label".to_owned()), ..Columns::default() },
        &format!("{path}: column label is of type Int64; expected Binary, or a struct with bytes"),
    );
    check(
        train.clone(),
        file("texts/test-00000-of-00001.parquet"),
        Columns::default(),
        "texts/test-00000-of-00001.parquet: has labels of another kind than the files before \
         it; they are whole numbers in all of them, or texts in all of them",
    );
}
