//! IDX files, plain and compressed.

use std::io::Write;
use std::path::Path;

use spfde_data::files::idx;

/// Reads them as images and as labels; there are as many bytes of pixels as the dimensions say.
pub(super) fn run(bytes: &[u8]) {
    let path = Path::new("idx");
    if let Ok((shape, pixels)) = idx::images(path, bytes) {
        assert!([3, 4].contains(&shape.len()));
        assert_eq!(pixels.len(), shape.iter().product::<usize>());
    }
    if let Ok(labels) = idx::labels(path, bytes) {
        assert!(labels.len() <= bytes.len() * 1032, "as many as gzip can make of the bytes");
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 6, 0, 0, 0, 2, 0, 0, 0, 3][..], &[7; 36]].concat();
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 6][..], &[0, 1, 2, 2, 1, 0]].concat();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let (images_gz, labels_gz) = (gzip(&images), gzip(&labels));
    let colour = [&[0, 0, 8, 4, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1][..], &[7; 12]].concat();
    let wide = [&[0, 0, 0x0C, 1, 0, 0, 0, 2][..], &[0, 0, 0, 1, 0, 0, 1, 0]].concat();
    vec![
        ("colour", colour),
        ("wide", wide),
        ("images", images),
        ("labels", labels),
        ("images.gz", images_gz),
        ("labels.gz", labels_gz),
    ]
}
