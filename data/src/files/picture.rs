//! Pictures of any size as images of one shape.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::{FilterType, replace};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, Limits, Luma, Rgb};

use super::layout::{ends_in, files_below};
use super::{DataError, Result, read_limited};
use crate::visible;

/// Bytes of a picture's file.
pub(super) const FILE_LIMIT: u64 = 256 << 20;

/// Bytes of a picture as it is decoded; what a decoder takes beside it is about three times as much.
const PICTURE_LIMIT: u64 = 128 << 20;

/// Rows or columns of a picture as it is decoded.
const DECODED_SIDE: u32 = 1 << 15;

/// Directories that lie in one another, at most.
const LEVELS: u32 = 64;

/// Endings of the names of the pictures that [`read`] knows.
pub const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];

crate::choice! {
    /// What becomes of a picture whose size is another than that of the images.
    #[derive(Default)]
    pub enum Fit {
        /// It is scaled until it covers the image, and cropped around its middle.
        #[default]
        Crop = "crop",
        /// It is scaled until it fits into the image, which is black beside it.
        Pad = "pad",
        /// It is an error.
        Refuse = "refuse",
    }
}

/// A picture as the pixels of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Bytes in the order channel, row, column.
    pub pixels: Vec<u8>,
    /// Whether the picture had another size.
    pub resized: bool,
}

/// The pictures that `place` names: itself, if it is a file; of a directory all files in it and below it
/// whose names end like those of pictures, by name.
///
/// # Errors
/// If there is nothing, a directory cannot be listed, or it holds no pictures.
pub fn find(place: &Path) -> Result<Vec<PathBuf>> {
    if !place.is_dir() {
        place.metadata().map_err(DataError::io(place, "look at the path"))?;
        return Ok(vec![place.to_owned()]);
    }
    let mut pictures = Vec::new();
    for file in files_below(place, LEVELS) {
        let file = file?;
        if ends_in(&file, &ENDINGS) {
            pictures.push(file);
        }
    }
    match pictures.is_empty() {
        true => {
            let what = format!("holds no pictures, whose names end in {}", ENDINGS.join(", "));
            Err(DataError::refused(place, what, ""))
        }
        false => Ok(pictures),
    }
}

/// Reads the PNG, JPEG, WebP or BMP file `path` as an image of `[channels, rows, columns]`. Its first bytes
/// say which of these it is; it is turned as its EXIF data say. One channel is luminance, 2 are luminance and
/// alpha, 3 red, green, blue, and 4 these and alpha. An alpha that is not asked for is dropped. 16 bits a
/// channel become 8.
///
/// # Errors
/// If the file cannot be read or is no such picture, if its size is another and `fit` refuses it, or if an
/// image has not 1 to 4 channels.
pub fn read(path: &Path, [channels, rows, columns]: [usize; 3], fit: Fit) -> Result<Picture> {
    let bytes = read_limited(path, FILE_LIMIT)?;
    let picture = decode(&bytes).map_err(|error| {
        let remedy = "is it a whole PNG, JPEG, WebP or BMP file?";
        DataError::refused(path, format!("cannot read the picture: {error}"), remedy)
    })?;
    let picture = in_channels(picture, channels).ok_or_else(|| {
        let what = format!("a picture has 1 to 4 channels, the images have {channels}");
        DataError::refused(path, what, "")
    })?;
    let found = [picture.height() as usize, picture.width() as usize];
    let picture = fitted(picture, [rows, columns], fit).ok_or_else(|| {
        let (found, expected) =
            (format!("{} × {}", found[0], found[1]), format!("{rows} × {columns} (rows × columns)"));
        DataError::unfit(path, "size", found, expected, "")
    })?;
    Ok(Picture { pixels: planes(&picture), resized: found != [rows, columns] })
}

/// The PNG of an image of `[channels, rows, columns]`, whose bytes are in that order; with more than `side`
/// rows or columns it is scaled down. With 3 channels or more the first three are red, green and blue;
/// otherwise the first one is luminance.
///
/// # Panics
/// If there are not that many bytes.
pub fn png(pixels: &[u8], [channels, rows, columns]: [usize; 3], side: u32) -> Vec<u8> {
    assert_eq!(pixels.len(), channels * rows * columns, "an image has all its bytes");
    let plane = |channel: usize, x: u32, y: u32| pixels[(channel * rows + y as usize) * columns + x as usize];
    let (width, height) = (columns as u32, rows as u32);
    let colour = |x, y| Rgb([0, 1, 2].map(|channel| plane(channel, x, y)));
    let picture: DynamicImage = match channels >= 3 {
        true => ImageBuffer::from_fn(width, height, colour).into(),
        false => ImageBuffer::from_fn(width, height, |x, y| Luma([plane(0, x, y)])).into(),
    };
    let picture = if width.max(height) > side { picture.thumbnail(side, side) } else { picture };
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).expect("memory takes any picture");
    bytes.into_inner()
}

/// The picture with so many rows and columns; `None` if it has others and `fit` refuses that.
pub(super) fn fitted(picture: DynamicImage, size: [usize; 2], fit: Fit) -> Option<DynamicImage> {
    let [height, width] = size.map(|side| side as u32);
    match fit {
        _ if (picture.height(), picture.width()) == (height, width) => Some(picture),
        Fit::Crop => Some(cropped(&picture, width, height)),
        Fit::Pad => Some(padded(&picture, width, height)),
        Fit::Refuse => None,
    }
}

/// The bytes of a picture of 8 bits a channel, in the order channel, row, column.
pub(super) fn planes(picture: &DynamicImage) -> Vec<u8> {
    let (channels, values) = (usize::from(picture.color().channel_count()), picture.as_bytes());
    (0..channels).flat_map(|channel| values.iter().skip(channel).step_by(channels)).copied().collect()
}

/// The picture in so many channels of 8 bits; `None` if that is not 1 to 4.
fn in_channels(picture: DynamicImage, channels: usize) -> Option<DynamicImage> {
    Some(match channels {
        1 => picture.into_luma8().into(),
        2 => picture.into_luma_alpha8().into(),
        3 => picture.into_rgb8().into(),
        4 => picture.into_rgba8().into(),
        _ => return None,
    })
}

/// Decodes a picture, as it is to be looked at: turned as its metadata say.
///
/// # Errors
/// Why it cannot be.
pub fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    let text = |error: image::ImageError| visible(error.to_string().trim()).into_owned();
    let mut reader = ImageReader::new(Cursor::new(bytes));
    reader = reader.with_guessed_format().map_err(|error| error.to_string())?;
    let Some(format) = reader.format() else {
        return Err("it is no PNG, JPEG, WebP or BMP file".to_owned());
    };
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(DECODED_SIDE), Some(DECODED_SIDE));
    limits.max_alloc = Some(PICTURE_LIMIT);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(text)?;
    let size = decoder.total_bytes();
    if size > PICTURE_LIMIT {
        return Err(format!("it has {size} bytes when decoded, above the limit of {PICTURE_LIMIT}"));
    }
    // The decoder makes something of what is there.
    if format == ImageFormat::Jpeg && is_cut(bytes) {
        return Err("the end is missing".to_owned());
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(text)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Whether a JPEG file has no end: the mark of the end does not follow that of the last scan. In the data of
/// a scan neither can stand.
fn is_cut(bytes: &[u8]) -> bool {
    let last = |mark: u8| bytes.windows(2).rposition(|pair| pair == [0xFF, mark]);
    last(0xD9) < last(0xDA)
}

/// The largest part of the right proportions, from the middle of the picture, scaled to this size.
fn cropped(picture: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    let across = scaled(picture.height(), width, height).min(picture.width());
    let down = scaled(picture.width(), height, width).min(picture.height());
    let [left, top] = [(picture.width() - across) / 2, (picture.height() - down) / 2];
    picture.crop_imm(left, top, across, down).resize_exact(width, height, FilterType::Triangle)
}

/// The picture, scaled until it fits, in the middle of a black one of this size.
fn padded(picture: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    let across = scaled(picture.width(), height, picture.height()).min(width);
    let down = scaled(picture.height(), width, picture.width()).min(height);
    let part = picture.resize_exact(across, down, FilterType::Triangle);
    let mut whole = DynamicImage::new(width, height, part.color());
    let [left, top] = [(width - across) / 2, (height - down) / 2].map(i64::from);
    replace(&mut whole, &part, left, top);
    whole
}

/// `side · to / from`, rounded, at least 1.
fn scaled(side: u32, to: u32, from: u32) -> u32 {
    let [side, to, from] = [side, to, from.max(1)].map(u64::from);
    ((side * to + from / 2) / from).max(1) as u32
}

#[cfg(test)]
mod tests;
