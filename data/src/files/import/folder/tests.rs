//! Folders in every order, and what is refused of them.

use super::*;
use crate::files::import::tests::{fixture, refusal};
use crate::files::picture::Fit;

/// A folder with copies of fixtures, and empty files where there are none.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, picture) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = std::fs::read(fixture("pictures").join(picture)).unwrap_or_default();
        std::fs::write(path, bytes).unwrap();
    }
    directory
}

fn read(directory: &Path, pictures: &Pictures) -> Result<Imported> {
    import(directory, pictures, &Options::named("x"))
}

#[test]
fn classes_are_directories_and_parts_are_found() {
    let directory = folder(&[
        ("train/owl/b.PNG", "colour.png"),
        ("train/owl/deep/a.bmp", "colour.bmp"),
        ("train/cat/1.png", "alpha.png"),
        ("train/cat/notes.txt", ""),
        ("train/empty/readme.md", ""),
        ("test/cat/1.webp", "lossless.webp"),
        ("val/cat/1.webp", "lossless.webp"),
    ]);
    let imported = read(directory.path(), &Pictures::default()).unwrap();
    let set = &imported.set;
    assert_eq!((set.class_names.as_slice(), set.classes), (&["cat".to_owned(), "owl".into()][..], 2));
    assert_eq!((&*set.train.labels, &*set.test.labels), (&[0, 1, 1][..], &[0][..]));
    assert_eq!([set.train.channels, set.train.height, set.train.width], [3, 6, 8]);
    assert_eq!(imported.notes, ["2 other files beside the pictures were left alone"]);
    assert!(imported.taken[1].1.ends_with("test"), "{imported:?}");
    // Without a test part, the validation part.
    std::fs::remove_dir_all(directory.path().join("test")).unwrap();
    assert!(read(directory.path(), &Pictures::default()).unwrap().taken[1].1.ends_with("val"));
    // Without any it is split; greys alone have one channel.
    let files = ["a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png"].map(|path| (path, "grey.png"));
    let grey = read(folder(&files).path(), &Pictures::default()).unwrap();
    assert_eq!((grey.set.train.channels, grey.set.train.len(), &*grey.set.test.labels), (1, 4, &[0][..]));
    let colours = Pictures { channels: Some(3), ..Pictures::default() };
    let colours = read(folder(&files).path(), &colours).unwrap().set;
    assert_eq!(colours.test.image(0), grey.set.test.image(0).repeat(3));
}

#[test]
fn pictures_of_several_sizes_need_one() {
    let files = [
        ("a/1.jpg", "flat.jpg"),
        ("a/2.jpg", "turned.jpg"),
        ("b/1.jpg", "flat.jpg"),
        ("b/2.jpg", "turned.jpg"),
    ];
    let directory = folder(&files);
    let refused = refusal(directory.path(), read(directory.path(), &Pictures::default()));
    let expected = "the picture a/2.jpg is 8 × 6; expected 6 × 8, as a/1.jpg is; give all pictures one \
                    size with --size, such as --size 64";
    assert!(refused.ends_with(expected), "{refused}");
    for fit in [Fit::Crop, Fit::Pad] {
        let pictures = Pictures { size: Some([5, 4]), fit, ..Pictures::default() };
        let set = read(directory.path(), &pictures).unwrap().set;
        assert_eq!([set.train.height, set.train.width, set.train.len()], [5, 4, 3]);
    }
    let large = folder(&[("a/1.png", "grey.png"), ("b/1.png", "grey.png"), ("b/2.png", "grey.png")]);
    let picture = image::GrayImage::new(300, 10);
    picture.save(large.path().join("a/1.png")).unwrap();
    let refused = refusal(large.path(), read(large.path(), &Pictures::default()));
    assert!(
        refused.ends_with(
            "is 10 × 300; expected at most 256 × 256; make pictures smaller with --size, such as --size 64"
        ),
        "{refused}"
    );
}

#[test]
fn bad_pictures_are_listed_and_can_be_left_out() {
    let directory = folder(&[
        ("a/1.png", "grey.png"),
        ("a/2.png", "grey.png"),
        ("a/broken.png", ""),
        ("b/1.png", "grey.png"),
        ("b/text.jpg", ""),
    ]);
    std::fs::write(directory.path().join("b/text.jpg"), "no picture").unwrap();
    let refused = refusal(directory.path(), read(directory.path(), &Pictures::default()));
    let list = "2 pictures cannot be read: a/broken.png (it is no PNG, JPEG, WebP or BMP file), b/text.jpg \
                (it is no PNG, JPEG, WebP or BMP file)";
    let remedy = "repair or remove them, or leave them out with --skip-bad";
    assert!(refused.ends_with(&format!(": {list}; {remedy}")), "{refused}");
    let imported = read(directory.path(), &Pictures { skip_bad: true, ..Pictures::default() }).unwrap();
    assert_eq!((imported.set.train.len(), imported.set.test.len()), (2, 1));
    assert_eq!(imported.notes[0], format!("left out: {list}"));
}

#[test]
fn folders_without_classes_are_refused() {
    let check = |files: &[(&str, &str)], below: &str, expected: &str| {
        let directory = folder(files);
        let place = directory.path().join(below);
        let refused = read(&place, &Pictures::default()).unwrap_err().to_string();
        assert_eq!(refused.replace(&directory.path().display().to_string(), "D"), expected);
    };
    let file = ("pets/cat/1.png", "grey.png");
    let remedy = "name the directory that has a directory for each class";
    check(
        &[file, ("pets/dog/1.png", "grey.png")],
        "",
        &format!("D/: has pictures of one class only, \"pets\"; {remedy}"),
    );
    let remedy = "each class needs a directory of its own";
    check(
        &[file],
        "pets/cat",
        &format!("D/pets/cat: has no directories with pictures (png, jpg, jpeg, webp, bmp); {remedy}"),
    );
    check(
        &[file],
        "dogs",
        "D/dogs: cannot open: No such file or directory (os error 2); is its name right, or was it removed \
         or moved?",
    );
    let files =
        [("train/cat/1.png", "grey.png"), ("train/dog/1.png", "grey.png"), ("test/owl/1.png", "grey.png")];
    check(&files, "", "D/test: has a class \"owl\" that D/train lacks; both need the same names of classes");
}
