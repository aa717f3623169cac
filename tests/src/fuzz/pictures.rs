//! Pictures in files.

use spfde_data::files::picture::decode;

use super::fixture;

/// Decodes them: a picture has pixels.
pub(super) fn run(bytes: &[u8]) {
    if let Ok(picture) = decode(bytes) {
        assert!(picture.width() > 0 && picture.height() > 0);
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    ["alpha.png", "colour.bmp", "flat.jpg", "lossless.webp", "palette.png", "progressive.jpeg", "turned.jpg"]
        .map(|name| (name, fixture(&format!("pictures/{name}"))))
        .into()
}
