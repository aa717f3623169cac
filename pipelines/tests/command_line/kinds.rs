//! Every kind of import, from files that the tools of users wrote, to a trained and verified run.

use std::path::Path;

use spfde_data::files::data_set;

use crate::place::Place;

/// A file that Python wrote.
fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/imports").join(name).display().to_string()
}

/// Imports, trains an epoch and verifies; what the import printed.
fn imported(place: &Place, words: &[&str], settings: &[&str]) -> String {
    let printed = place.run(&[&["import"], words, &["--out", "data"]].concat()).done().out;
    assert!(printed.contains("use it with: spfde train data.path=data\n"), "{printed}");
    let train = ["train", "data.path=data", "train.epochs=1", "freeze.policy=none", "--run-dir", "run"];
    place.run(&[&train[..], settings].concat()).done();
    place.run(&["verify", "run"]).done();
    printed
}

const MLP: [&str; 1] = ["model.name=mlp"];

#[test]
fn cifar_is_imported_trained_and_verified() {
    let place = Place::new();
    let words = ["cifar10", &fixture("cifar-10-python.tar.gz"), "--augment", "crop-flip"];
    let printed = imported(&place, &words, &["model.name=resnet20"]);
    let parts = [
        "cifar-10-python.tar.gz/data_batch_1\n",
        "data: 12 training and 4 test images, 3 × 32 × 32, 10 classes, in data\n",
        "training images are varied by crop-flip; ",
    ];
    assert!(parts.iter().all(|part| printed.contains(part)), "{printed}");
    let set = data_set::read(&place.path("data")).unwrap();
    assert_eq!(set.class_names[0], "airplane");
    let place = Place::new();
    let words = ["cifar100", &fixture("cifar-100-binary.tar.gz"), "--coarse", "--name", "things"];
    let printed = imported(&place, &words, &["model.name=lenet5"]);
    assert!(printed.contains("things: 10 training and 5 test images, 3 × 32 × 32, 20 classes, in data\n"));
}

#[test]
fn folders_are_imported_trained_and_verified() {
    let place = Place::new();
    for (class, names) in [("cats", ["colour.png", "flat.jpg"]), ("dogs", ["alpha.png", "turned.jpg"])] {
        std::fs::create_dir_all(place.path("pets").join(class)).unwrap();
        for name in names {
            let from = fixture(&format!("pictures/{name}"));
            std::fs::copy(from, place.path("pets").join(class).join(name)).unwrap();
        }
    }
    std::fs::write(place.path("pets/dogs/bad.jpg"), "no picture").unwrap();
    let words = ["import", "folder", "pets", "--out", "x"];
    place.run(&[&words[..], &["--size", "16x12"]].concat()).refused(
        1,
        "pets: 1 picture cannot be read: dogs/bad.jpg (it is no PNG, JPEG, WebP or BMP file); ",
        "leave them out with --skip-bad",
    );
    for size in ["0", "16x", "257", "big"] {
        let wrong = place.run(&[&words[..], &["--size", size]].concat());
        assert!(wrong.code == Some(2) && wrong.err.contains("such as 64 or 48x64, up to 256"), "{wrong:?}");
    }
    let words = ["folder", "pets", "--size", "16x12", "--fit", "pad", "--skip-bad", "--test-fraction", "0.3"];
    let printed = imported(&place, &words, &["model.name=lenet5"]);
    assert!(
        printed.contains("data: 3 training and 1 test image, 3 × 16 × 12, 2 classes, in data\n"),
        "{printed}"
    );
}

#[test]
fn encoded_parquet_and_arrays_are_imported_trained_and_verified() {
    let place = Place::new();
    let printed = imported(&place, &["parquet", &fixture("hub/texts")], &MLP);
    assert!(
        printed.contains("data: 8 training and 4 test images, 3 × 4 × 4, 3 classes, in data\n"),
        "{printed}"
    );
    let place = Place::new();
    let (train, test) = (fixture("hub/frame.parquet"), fixture("hub/texts/test-00000-of-00001.parquet"));
    let printed = imported(&place, &["parquet", "--train", &train, "--test", &test, "--size", "8"], &MLP);
    assert!(
        printed.contains("data: 12 training and 4 test images, 3 × 8 × 8, 3 classes, in data\n"),
        "{printed}"
    );
    let place = Place::new();
    let printed = imported(&place, &["npz", &fixture("npz/plain.npz")], &MLP);
    assert!(
        printed.contains("data: 8 training and 4 test images, 1 × 4 × 5, 3 classes, in data\n"),
        "{printed}"
    );
}

#[test]
fn tables_are_imported_trained_and_verified() {
    let place = Place::new();
    let words = ["table", &fixture("table/trees.csv"), "--label", "kind"];
    let printed = imported(&place, &words, &MLP);
    assert!(
        printed.contains("data: 10 training and 2 test rows, 1 × 1 × 5, 2 classes, in data\n"),
        "{printed}"
    );
    assert!(!printed.contains("augment"), "{printed}");
    // The same table, its columns in another order.
    let table = std::fs::read_to_string(fixture("table/trees.csv")).unwrap();
    let turned = table.lines().map(|line| line.split(',').rev().collect::<Vec<_>>().join(",") + "\n");
    std::fs::write(place.path("turned.csv"), turned.collect::<String>()).unwrap();
    place.run(&["import", "table", "turned.csv", "--label", "kind", "--out", "turned"]).done();
    for command in ["predict", "evaluate"] {
        place.run(&[command, "run", "--data", "data"]).done();
        place.run(&[command, "run", "--data", "turned"]).refused(
            2,
            "--data turned: calls column 0 \"count\", the run calls it \"length\"; ",
            "give it the same columns in the same order",
        );
    }
    let again = ["train", "data.path=data", "model.name=mlp", "train.epochs=1", "data.augment=flip"];
    place.run(&again).refused(2, "`data.augment`: ", "whose rows are never varied; leave it out");
    let wrong = place.run(&["import", "table", &fixture("table/trees.csv"), "--out", "y"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("--label <COLUMN>"), "{wrong:?}");
}
