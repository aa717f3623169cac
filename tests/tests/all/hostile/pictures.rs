//! Pictures in a folder.

use std::path::Path;

use spfde_data::files::import::Options;
use spfde_data::files::import::folder::import;
use spfde_data::files::import::picture::Pictures;
use spfde_tests::fuzz::TARGETS;

use super::{Case, Class, every_cut, message};

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let seeds =
        TARGETS.iter().find(|target| target.name == "pictures").map(|target| (target.seeds)()).unwrap();
    let seed = |name: &str| &seeds.iter().find(|(seed, _)| *seed == name).unwrap().1;
    let write = |name: &str, bytes: &[u8]| std::fs::write(directory.join("pets").join(name), bytes).unwrap();
    for class in ["cats", "dogs"] {
        std::fs::create_dir_all(directory.join("pets").join(class)).unwrap();
        write(&format!("{class}/1.jpg"), seed("flat.jpg"));
    }
    let read = |bytes: &[u8]| {
        write("cats/2.jpg", bytes);
        message(directory, import(&directory.join("pets"), &Pictures::default(), &Options::named("test")))
    };
    assert_eq!(read(seed("flat.jpg")), "it was accepted");
    let case = |class, bytes: &[u8], why: &str| Case {
        class,
        found: read(bytes),
        expected: format!(
            "pets: 1 picture cannot be read: cats/2.jpg ({why}); repair or remove them, or leave them out \
             with --skip-bad"
        ),
    };
    let none = "it is no PNG, JPEG, WebP or BMP file";
    let mut large = seed("colour.bmp").clone();
    large[18..26].copy_from_slice(&[0x60, 0xEA, 0, 0, 0x60, 0xEA, 0, 0]);
    let mut cases = vec![
        case(Class::Empty, &[], none),
        case(Class::WrongMagic, b"PK\x03\x04", none),
        case(Class::TooLarge, &large, "Image size exceeds limit"),
        case(Class::WrongType, b"GIF89a and so on", "The image format Gif is not supported"),
    ];
    let cut = every_cut(seed("flat.jpg"), "pets", 630, read);
    let expected = "pets: 1 picture cannot be read: cats/2.jpg (the end is missing); repair or remove \
                    them, or leave them out with --skip-bad";
    cases.push(Case { class: Class::Truncated, found: cut, expected: expected.to_owned() });
    let found = read(seed("turned.jpg"));
    let remedy = "give all pictures one size with --size, such as --size 64";
    let expected =
        format!("pets: the picture cats/2.jpg is 8 × 6; expected 6 × 8, as cats/1.jpg is; {remedy}");
    cases.push(Case { class: Class::OutOfRange, found, expected });
    std::fs::remove_dir_all(directory.join("pets/cats")).unwrap();
    let found =
        message(directory, import(&directory.join("pets"), &Pictures::default(), &Options::named("test")));
    let expected = "pets: has pictures of one class only, \"dogs\"; name the directory that has a \
                    directory for each class";
    cases.push(Case { class: Class::Missing, found, expected: expected.to_owned() });
    cases
}
