//! Pictures of known pixels, and files that are none.

use image::{Luma, LumaA, Rgb, Rgba};

use super::*;

/// Left half red, right half blue, of so many rows and columns.
fn halves(rows: u32, columns: u32) -> DynamicImage {
    let colour = |column: u32| if column < columns / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) };
    image::RgbImage::from_fn(columns, rows, |column, _| colour(column)).into()
}

/// The pixels of a saved picture as an image of a shape.
fn read_saved(picture: &DynamicImage, name: &str, shape: [usize; 3], fit: Fit) -> Result<Picture> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    picture.save(&path).unwrap();
    read(&path, shape, fit)
}

#[test]
fn channels_are_planes_in_every_lossless_format() {
    for name in ["a.png", "a.bmp", "a.webp", "a.JPG.png"] {
        let found = read_saved(&halves(2, 4), name, [3, 2, 4], Fit::Refuse).unwrap();
        let row = |left: u8, right: u8| [left, left, right, right];
        let plane = |left, right| [row(left, right); 2].concat();
        let pixels = [plane(255, 0), plane(0, 0), plane(0, 255)].concat();
        assert_eq!(found, Picture { pixels, resized: false }, "{name}");
    }
}

#[test]
fn channels_are_converted() {
    // ITU-R BT.709, as the crate documents: 0.2126 · red, 0.0722 · blue.
    let grey = read_saved(&halves(1, 2), "a.png", [1, 1, 2], Fit::Refuse).unwrap().pixels;
    assert_eq!(grey, [54, 18]);
    let colour: DynamicImage = image::GrayImage::from_pixel(1, 1, Luma([7])).into();
    assert_eq!(read_saved(&colour, "a.png", [3, 1, 1], Fit::Crop).unwrap().pixels, [7, 7, 7]);
    assert_eq!(read_saved(&colour, "a.png", [2, 1, 1], Fit::Crop).unwrap().pixels, [7, 255]);
    let clear: DynamicImage = image::RgbaImage::from_pixel(1, 1, Rgba([1, 2, 3, 4])).into();
    assert_eq!(read_saved(&clear, "a.png", [4, 1, 1], Fit::Crop).unwrap().pixels, [1, 2, 3, 4]);
    assert_eq!(read_saved(&clear, "a.png", [3, 1, 1], Fit::Crop).unwrap().pixels, [1, 2, 3]);
    let deep: DynamicImage = image::ImageBuffer::from_pixel(1, 1, LumaA([0x12ff_u16, 0xffff])).into();
    assert_eq!(read_saved(&deep, "a.png", [1, 1, 1], Fit::Crop).unwrap().pixels, [0x13]);
    let error = read_saved(&clear, "a.png", [5, 1, 1], Fit::Crop).unwrap_err().to_string();
    assert!(error.ends_with("a.png: a picture has 1 to 4 channels, the images have 5"), "{error}");
}

#[test]
fn another_size_is_cropped_padded_or_refused() {
    let wide = halves(4, 16);
    let red = |picture: &Picture| -> Vec<bool> { picture.pixels[..16].iter().map(|red| *red > 99).collect() };
    let cropped = read_saved(&wide, "a.png", [3, 4, 4], Fit::Crop).unwrap();
    assert!(cropped.resized);
    assert_eq!(red(&cropped), [[true, true, false, false]; 4].concat());
    let padded = read_saved(&wide, "a.png", [3, 4, 4], Fit::Pad).unwrap();
    // One row of colour in four of black.
    let coloured = |row: usize| padded.pixels[4 * row..][..4].iter().any(|red| *red > 0);
    assert_eq!([0, 1, 2, 3].map(coloured), [false, true, false, false]);
    let error = read_saved(&wide, "a.png", [3, 4, 4], Fit::Refuse).unwrap_err().to_string();
    assert!(error.ends_with("a.png: size is 4 × 16; expected 4 × 4 (rows × columns)"), "{error}");
}

#[test]
fn directories_are_searched_by_name_and_hold_pictures() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let error = find(directory.path()).unwrap_err().to_string();
    assert!(error.contains("holds no pictures, whose names end in png, jpg"), "{error}");
    for name in ["b.PNG", "a.jpeg", "notes.txt", ".hidden.png", "below/0.bmp"] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    let found = find(directory.path()).unwrap();
    assert_eq!(found, ["a.jpeg", "b.PNG", "below/0.bmp"].map(|name| directory.path().join(name)));
    let named = directory.path().join("notes.txt");
    assert_eq!(find(&named).unwrap(), [named]);
    assert!(find(&directory.path().join("nothing")).is_err());
}

#[test]
fn what_is_no_picture_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.png");
    halves(8, 8).save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    let message = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        read(&path, [3, 8, 8], Fit::Crop).map(drop).unwrap_err().to_string()
    };
    for bad in [&b""[..], b"GIF89a, or nearly", &good[..20], &good[..good.len() - 30]] {
        let message = message(bad);
        assert!(message.contains("a.png: cannot read the picture: "), "{message}");
        assert!(message.ends_with("; is it a whole PNG, JPEG, WebP or BMP file?"), "{message}");
    }
    // What its header declares is not believed.
    let mut large = good;
    large[16..24].copy_from_slice(&[0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff]);
    let checksum = [&b"IHDR"[..], &large[16..29]].concat();
    let checksum = checksum.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    });
    large[29..33].copy_from_slice(&(!checksum).to_be_bytes());
    let message = message(&large);
    assert!(message.contains("a.png: cannot read the picture: "), "{message}");
}

#[test]
fn a_png_has_the_pixels_of_its_image_and_is_scaled_down_if_that_is_larger() {
    let image = |[channels, rows, columns]: [usize; 3]| -> Vec<u8> {
        (0..channels * rows * columns).map(|place| (place * 37 % 251) as u8).collect()
    };
    for shape in [[1, 5, 8], [3, 8, 5]] {
        let decoded = decode(&png(&image(shape), shape, 8)).unwrap();
        assert_eq!((planes(&decoded), decoded.height() as usize), (image(shape), shape[1]));
    }
    // Neither alpha nor a second channel is shown.
    let shown = |channels| planes(&decode(&png(&image([channels, 4, 4]), [channels, 4, 4], 8)).unwrap());
    assert_eq!((shown(2), shown(4)), (shown(1), shown(3)));
    let small = decode(&png(&[200; 3 * 60 * 40], [3, 60, 40], 30)).unwrap();
    assert_eq!((small.height(), small.width()), (30, 20));
    assert!(planes(&small).iter().all(|value| *value == 200));
}
