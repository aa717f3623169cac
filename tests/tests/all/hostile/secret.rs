//! The file of `--secret`.

use std::path::Path;

use spfde::cluster::Secret;

use super::{Case, Class, every_cut, message};

pub(super) fn cases(directory: &Path) -> Vec<Case> {
    let path = directory.join("secret");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        message(directory, Secret::find(Some(&path)))
    };
    let case =
        |class, found: String, expected: &str| Case { class, found, expected: format!("secret: {expected}") };
    let good = b"sixteen bytes...";
    assert_eq!(read(good), "it was accepted");
    assert_eq!(read(&[&[b'x'; 4096][..], b"\r\n"].concat()), "it was accepted");
    let take = "take 16 or more, such as of `openssl rand -hex 32`";
    let longer = "the secret is longer than 4096 bytes; is it the right file?";
    let spaces = [&good[..], &[b'\n'; 8192]].concat();
    let found = message(directory, Secret::find(Some(directory)));
    let expected = format!("{}: cannot read the secret: it is not an ordinary file", directory.display());
    vec![
        case(Class::Empty, read(b" \n"), &format!("the secret has 0 bytes; {take}")),
        case(
            Class::Truncated,
            every_cut(good, "secret", 9, read),
            &format!("the secret has 9 bytes; {take}"),
        ),
        case(Class::TooLarge, read(&[b'x'; 4097]), longer),
        case(Class::TooLarge, read(&spaces), "has more than 8192 bytes; it is no secret"),
        // What follows white space counts as well.
        case(Class::TooLarge, read(&[&[b'x'; 4096][..], b"\n\n\nx"].concat()), longer),
        Case { class: Class::NotAFile, found, expected },
    ]
}
