//! Data of the user: what is imported, how it is varied, and what is said where there is no data set.

use spfde_data::files::data_set;

use crate::place::{Place, idx, write_idx};

/// The configuration that a run would have, with the settings given.
fn planned(place: &Place, settings: &[&str]) -> String {
    let words = ["train", "--dry-run", "data.path=my data", "model.name=mlp", "freeze.policy=none"];
    place.run(&[&words[..], settings].concat()).done().out
}

#[test]
fn imported_images_are_varied_only_if_the_user_says_so() {
    let place = Place::new();
    write_idx(&place.path("raw files"));
    let import = |words: &[&str]| {
        let _ = std::fs::remove_dir_all(place.path("my data"));
        let all = [&["import", "idx", "raw files", "--out", "my data"], words].concat();
        place.run(&all).done().out
    };
    let printed = import(&[]);
    let parts = [
        "training images: raw files/train-images-idx3-ubyte\n",
        "my data: 120 training and 40 test images, 1 × 12 × 12, 10 classes, in my data\n",
        "training images are not varied; --augment or, for a run, data.augment changes that\n",
        "use it with: spfde train data.path='my data'\n",
    ];
    assert!(parts.iter().all(|part| printed.contains(part)), "{printed}");
    assert!(planned(&place, &[]).contains("\naugment = \"none\"\n"));
    assert!(planned(&place, &["data.augment=flip"]).contains("\naugment = \"flip\"\n"));

    let printed = import(&["--augment", "crop-flip"]);
    assert!(printed.contains("are varied by crop-flip; data.augment changes that for a run"), "{printed}");
    assert!(planned(&place, &[]).contains("\naugment = \"crop-flip\"\n"));
    assert!(planned(&place, &["data.augment=none"]).contains("\naugment = \"none\"\n"));
    // A run keeps what it began with.
    let train = ["train", "data.path=my data", "model.name=mlp", "freeze.policy=none", "train.epochs=1"];
    place.run(&[&train[..], &["--run-dir", "run"]].concat()).done();
    let recorded = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(recorded.contains("\naugment = \"crop-flip\"\n"), "{recorded}");

    let wrong = place.run(&["import", "idx", "raw files", "--out", "x", "--augment", "mirror"]);
    let names = "expected none; flip, crop, crop-flip, cutout, rotate, colour joined by +";
    assert!(wrong.code == Some(2) && wrong.err.contains(names), "{wrong:?}");
    let all = "flip+colour+cutout";
    place
        .run(&["train", "--dry-run", "data.path=my data", "model.name=mlp", &format!("data.augment={all}")])
        .refused(2, "`data.augment`: colour is for RGB, the images have 1 channel", "leave it out");
    assert!(planned(&place, &["data.augment=rotate+flip"]).contains("\naugment = \"flip+rotate\"\n"));
    let listed = place.run(&["list", "data"]).done().out;
    assert!(listed.contains("10 classes, flipped;") && listed.contains("--augment"), "{listed}");
    assert!(planned_embedded(&place).contains("\naugment = \"flip\"\n"));
}

fn planned_embedded(place: &Place) -> String {
    place.run(&["train", "--dry-run", "model.name=mlp", "freeze.policy=none"]).done().out
}

#[test]
fn files_can_be_named_by_options_and_a_test_set_split_off() {
    let place = Place::new();
    write_idx(&place.path("idx"));
    let names = [
        ("train-images-idx3-ubyte", "my images.bin"),
        ("train-labels-idx1-ubyte", "my labels.bin"),
        ("t10k-images-idx3-ubyte", "other images.bin"),
        ("t10k-labels-idx1-ubyte", "other labels.bin"),
    ];
    for (usual, name) in names {
        std::fs::rename(place.path("idx").join(usual), place.path(name)).unwrap();
    }
    let train = ["import", "idx", "--train-images", "my images.bin", "--train-labels", "my labels.bin"];
    let test = ["--test-images", "other images.bin", "--test-labels", "other labels.bin"];
    let named = place.run(&[&train[..], &test, &["--out", "named"]].concat()).done();
    assert!(named.out.contains("named: 120 training and 40 test images"), "{named:?}");
    let fraction = |fraction: &str, out: &str| {
        place.run(&[&train[..], &["--out", out, "--test-fraction", fraction, "--seed", "3"]].concat())
    };
    let split = fraction("0.1", "split").done();
    assert!(split.out.contains("split: 108 training and 12 test images"), "{split:?}");
    fraction("0.1", "again").done();
    let fingerprint = |name: &str| data_set::read(&place.path(name)).unwrap().fingerprint;
    assert_eq!(fingerprint("split"), fingerprint("again"));
    let usual = place.run(&[&train[..], &["--out", "usual"]].concat()).done();
    assert!(usual.out.contains("usual: 96 training and 24 test images"), "{usual:?}");
    let note = "note: there is no test part: 24 of 120 became the test set, the same share of every class";
    assert!(usual.err.starts_with(note), "{usual:?}");
    for wrong in ["0", "1", "1.5", "nan", "much"] {
        let outcome = fraction(wrong, "x");
        assert!(outcome.code == Some(2), "{outcome:?}");
        assert!(outcome.err.contains("it takes a number above 0 and below 1"), "{outcome:?}");
    }
    let nothing = place.run(&["import", "idx", "--out", "x"]);
    assert!(
        nothing.code == Some(2) && nothing.err.contains("required arguments were not provided"),
        "{nothing:?}"
    );
    // Channels last, where it was not said.
    std::fs::write(place.path("my images.bin"), idx(&[120, 12, 4, 3], &vec![7; 120 * 144])).unwrap();
    let colour = fraction("0.5", "colour").done();
    assert!(colour.err.contains("note: 12 channels: if the channels come last, import with --channels-last"));
}

#[test]
fn what_is_no_data_set_yet_is_told_how_it_becomes_one() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("with blanks/MNIST")).unwrap();
    std::fs::create_dir(place.path("odd")).unwrap();
    write_idx(&place.path("with blanks/MNIST/raw"));
    let refused = |path: &str, start: &str, end: &str| {
        let start = format!("data.path: {path}: {start}");
        place.run(&["train", &format!("data.path={path}")]).refused(2, &start, end);
    };
    let run = |what: &str, folder: &str| {
        format!("{what}; run `spfde import idx {folder} --out my-data`, then set data.path=my-data")
    };
    let import = run("holds IDX files", "'with blanks/MNIST/raw'");
    refused("with blanks", &import, "");
    refused("with blanks/MNIST/raw", &import, "");
    let file = "with blanks/MNIST/raw/t10k-labels-idx1-ubyte";
    refused(file, &run("is an IDX file", "'with blanks/MNIST/raw'"), "");
    std::fs::copy(place.path(file), place.path("t10k-labels-idx1-ubyte")).unwrap();
    refused("t10k-labels-idx1-ubyte", &run("is an IDX file", "."), "");
    // Whatever they are called, and whatever lies below.
    write_idx(&place.path("odd/below"));
    let each = "say what each is: run `spfde import idx --train-images FILE --train-labels FILE \
                --test-images FILE --test-labels FILE --out my-data`, then set data.path=my-data";
    for name in ["odd.bin", "foo-ubyte"] {
        std::fs::copy(place.path(file), place.path("odd").join(name)).unwrap();
        refused(&format!("odd/{name}"), "is an IDX file; ", each);
    }
    std::fs::remove_dir_all(place.path("odd/below")).unwrap();
    refused("odd", "holds IDX files, such as odd/foo-ubyte; ", each);

    let write = |name: &str| {
        let path = place.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    };
    let made = |kind: &str, path: &str, more: &str| {
        format!("run `spfde import {kind} {path}{more} --out my-data`, then set data.path=my-data")
    };
    write("pictures/train/cats/1.PNG");
    refused("pictures", "holds pictures; ", &made("folder", "pictures", " --size 64"));
    write("tables/data-00000.parquet");
    refused(
        "tables",
        "holds Parquet, but no train.parquet and test.parquet; ",
        &made("parquet", "tables", ""),
    );
    write("cifar/cifar-10-batches-py/data_batch_1");
    refused("cifar", "holds CIFAR-10; ", &made("cifar10", "cifar", ""));
    write("cifar-100-python.tar.gz");
    refused("cifar-100-python.tar.gz", "is CIFAR-100; ", &made("cifar100", "cifar-100-python.tar.gz", ""));
    write("arrays/x_train.npy");
    refused("arrays", "holds arrays of NumPy; ", &made("npz", "arrays", ""));
    write("my table.csv");
    refused("my table.csv", "is a table; ", &made("table", "'my table.csv'", " --label COLUMN"));
    let by_hand = "holds neither a data set nor files that `spfde import` knows; write train.parquet and \
                   test.parquet yourself, as `spfde import --help` shows";
    write("sets/a/train.parquet");
    refused("sets", "holds data sets, such as sets/a; ", "set data.path to one of them");
    std::fs::create_dir(place.path("empty")).unwrap();
    refused("empty", by_hand, "");
    assert!(place.run(&["import", "--help"]).done().out.contains("pq.write_table"));
    for kind in ["cifar10", "cifar100", "folder", "parquet", "npz", "table"] {
        let help = place.run(&["import", kind, "--help"]).done().out;
        assert!(
            help.contains(&format!("spfde import {kind} ")) && help.contains("--test-fraction"),
            "{help}"
        );
    }
    assert!(place.run(&["import", "idx", "--help"]).done().out.contains("--first-label 1 --out letters"));
}
