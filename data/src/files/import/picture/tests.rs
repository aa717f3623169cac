//! Pictures that Pillow wrote, in every format and mode.

use super::*;
use crate::files::import::tests::{fixture, images};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(fixture("pictures").join(name)).unwrap()
}

fn planes(name: &str, pictures: &Pictures) -> (Vec<u8>, [usize; 2], bool) {
    pictures
        .planes(&file(name), pictures.channels == Some(1))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn pixels_are_those_that_were_written() {
    let rgb = Pictures { channels: Some(3), ..Pictures::default() };
    let colour = images(1, [3, 6, 8], &[0]).image(0).to_vec();
    for name in ["colour.png", "alpha.png", "colour.bmp", "lossless.webp"] {
        assert_eq!(planes(name, &rgb), (colour.clone(), [6, 8], true), "{name}");
    }
    let grey = images(0, [1, 6, 8], &[0]).image(0).to_vec();
    for name in ["grey.png", "deep.png"] {
        assert_eq!(planes(name, &rgb), (grey.repeat(3), [6, 8], false), "{name}");
        let one = Pictures { channels: Some(1), ..Pictures::default() };
        assert_eq!(planes(name, &one), (grey.clone(), [6, 8], false), "{name}");
    }
    // Of one colour, so that what JPEG loses does not show.
    for (name, shape) in
        [("flat.jpg", [6, 8]), ("progressive.jpeg", [6, 8]), ("palette.png", [6, 8]), ("turned.jpg", [8, 6])]
    {
        let (values, found, _) = planes(name, &rgb);
        assert_eq!(found, shape, "{name}");
        for (place, value) in values.iter().enumerate() {
            let expected = [200_i32, 100, 50][place / 48];
            assert!((i32::from(*value) - expected).abs() <= 3, "{name}: {values:?}");
        }
    }
    assert!(planes("flat-grey.jpg", &rgb).0.iter().all(|value| value.abs_diff(200) <= 2));
}

#[test]
fn other_shapes_are_cropped_or_padded_in_the_middle() {
    // Columns 0 to 7 of a picture of 6 × 8 hold their number.
    let picture = image::GrayImage::from_fn(8, 6, |column, _| image::Luma([10 * column as u8]));
    let fitted = |size: [usize; 2], fit: Fit| {
        Pictures { size: Some(size), fit, ..Pictures::default() }.fitted(picture.clone().into())
    };
    assert_eq!(fitted([6, 6], Fit::Refuse).unwrap_err(), "it has 6 rows and 8 columns");
    let fitted = |size, fit| fitted(size, fit).unwrap();
    let (square, shape) = fitted([6, 6], Fit::Crop);
    assert_eq!((&square[..6], shape), (&[10, 20, 30, 40, 50, 60][..], [6, 6]));
    let (padded, shape) = fitted([8, 8], Fit::Pad);
    assert_eq!(
        (&padded[..8], &padded[8..16], shape),
        (&[0; 8][..], &[0, 10, 20, 30, 40, 50, 60, 70][..], [8, 8])
    );
    let (small, _) = fitted([3, 4], Fit::Crop);
    // Each of its columns is a mean of nearby ones.
    assert!(small[..4].is_sorted() && (small[0] + small[3]).abs_diff(70) <= 1, "{small:?}");
    let (flat, shape) = fitted([1, 8], Fit::Pad);
    assert_eq!((flat.len(), shape), (8, [1, 8]));
}

#[test]
fn damage_is_told() {
    for name in ["colour.png", "flat.jpg", "progressive.jpeg", "lossless.webp", "colour.bmp", "flat-grey.jpg"]
    {
        let good = file(name);
        for length in 0..good.len() {
            // What follows the pixels may be missing: the last chunk of PNG, the padding of WebP.
            if let Ok(picture) = decode(&good[..length]) {
                assert!(length + 16 > good.len(), "{name} cut to {length}");
                assert_eq!(picture.into_rgb8(), decode(&good).unwrap().into_rgb8(), "{name} cut to {length}");
            }
        }
    }
    assert_eq!(decode(b"GIF89a and so on").unwrap_err().split(' ').next(), Some("The"));
    assert_eq!(decode(b"text").unwrap_err(), "it is no PNG, JPEG, WebP or BMP file");
}
