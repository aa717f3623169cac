//! Pictures in files become images of one shape.

#[cfg(test)]
mod tests;

use std::path::Path;

use image::DynamicImage;

use super::{CONTENT_LIMIT, SIDE_LIMIT};
use crate::files::data_set::empty;
use crate::files::picture::{Fit, decode, fitted, planes};
use crate::files::{DataError, Result};
use crate::{Images, counted, visible};

/// Pictures that are named where many cannot be read.
const NAMED: usize = 20;

/// What pictures are to become.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// Rows and columns; as the pictures have them unless given: all the same.
    pub size: Option<[usize; 2]>,
    /// How pictures of other proportions get them.
    pub fit: Fit,
    /// 1 for grey, 3 for RGB; unless given 1 if no picture has colours.
    pub channels: Option<usize>,
    /// Whether pictures that cannot be read are left out.
    pub skip_bad: bool,
}

impl Pictures {
    /// The images of a file, channel by channel, and how many rows and columns it has.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn planes(&self, bytes: &[u8], grey: bool) -> Result<(Vec<u8>, [usize; 2], bool), String> {
        let picture = decode(bytes)?;
        let has_colour = picture.color().has_color();
        let picture = if grey { picture.into_luma8().into() } else { picture.into_rgb8().into() };
        let (planes, shape) = self.fitted(picture)?;
        Ok((planes, shape, has_colour))
    }

    /// A picture in the shape that is asked for.
    fn fitted(&self, picture: DynamicImage) -> Result<(Vec<u8>, [usize; 2]), String> {
        let found = [picture.height(), picture.width()].map(|side| side as usize);
        let size = self.size.unwrap_or(found);
        let picture = fitted(picture, size, self.fit)
            .ok_or_else(|| format!("it has {} rows and {} columns", found[0], found[1]))?;
        Ok((planes(&picture), size))
    }
}

/// Pictures as they are read: those to train on, then those to test on.
pub(super) struct Collected<'a> {
    asked: &'a Pictures,
    grey: bool,
    size: [usize; 2],
    pixels: Vec<u8>,
    /// Where the first picture was, for messages.
    first: String,
    has_colour: bool,
    /// Pictures that were taken to train on, once that is known.
    train: Option<usize>,
    count: usize,
    bad: Vec<String>,
}

impl<'a> Collected<'a> {
    pub(super) fn new(asked: &'a Pictures) -> Self {
        let grey = asked.channels == Some(1);
        let (pixels, first, bad) = (Vec::new(), String::new(), Vec::new());
        Self { asked, grey, size: [0; 2], pixels, first, has_colour: false, train: None, count: 0, bad }
    }

    /// From now on pictures are to test on.
    pub(super) fn begin_test(&mut self) {
        self.train = Some(self.count);
    }

    /// Takes a picture; returns whether it could be read. `place` says where it is, `path` names a file.
    ///
    /// # Errors
    /// If it has another shape than those before it, or is too large.
    pub(super) fn add(&mut self, path: &Path, place: String, bytes: Result<&[u8], String>) -> Result<bool> {
        let read = bytes.and_then(|bytes| self.asked.planes(bytes, self.grey));
        let (planes, size, has_colour) = match read {
            Ok(read) => read,
            Err(error) => {
                self.bad.push(format!("{} ({error})", visible(&place)));
                return Ok(false);
            }
        };
        let shown = |[height, width]: [usize; 2]| format!("{height} × {width}");
        let unfit = |expected: String, remedy| {
            let what = format!("the picture {}", visible(&place));
            DataError::unfit(path, what, shown(size), expected, remedy)
        };
        if self.count == 0 {
            (self.size, self.first) = (size, place.clone());
        } else if size != self.size {
            let expected = format!("{}, as {} is", shown(self.size), visible(&self.first));
            return Err(unfit(expected, "give all pictures one size with --size, such as --size 64"));
        }
        if size.into_iter().any(|side| side > SIDE_LIMIT) {
            let expected = format!("at most {}", shown([SIDE_LIMIT; 2]));
            return Err(unfit(expected, "make pictures smaller with --size, such as --size 64"));
        }
        let bytes = (self.pixels.len() + planes.len()) as u64;
        DataError::limit(path, "bytes of all images", bytes, CONTENT_LIMIT)?;
        self.pixels.extend(planes);
        self.has_colour |= has_colour;
        self.count += 1;
        Ok(true)
    }

    /// The images to train on and, if there are any, those to test on, without labels; notes on those that
    /// were left out.
    ///
    /// # Errors
    /// If pictures could not be read and were not to be left out; if there are none to train on.
    pub(super) fn finish(self, place: &Path) -> Result<(Images, Option<Images>, Vec<String>)> {
        let Self { asked, grey, size: [height, width], mut pixels, has_colour, train, count, bad, .. } = self;
        let more = bad.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let listed = bad.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let found = format!("{} cannot be read: {listed}{more}", counted(bad.len(), "picture"));
        if !bad.is_empty() && !asked.skip_bad {
            let remedy = "repair or remove them, or leave them out with --skip-bad";
            return Err(DataError::refused(place, found, remedy));
        }
        let train = train.unwrap_or(count);
        if train == 0 {
            return Err(empty(place));
        }
        let plane = height * width;
        let mut channels = if grey { 1 } else { 3 };
        if !has_colour && asked.channels.is_none() {
            // All three planes of each are the same.
            pixels = pixels.chunks_exact(3 * plane).flat_map(|image| &image[..plane]).copied().collect();
            channels = 1;
        }
        let rest = pixels.split_off(train * channels * plane);
        let images =
            |pixels: Vec<u8>| Images { channels, height, width, pixels: pixels.into(), labels: Vec::new() };
        let (images, test) = (images(pixels), (count > train).then(|| images(rest)));
        let notes = if bad.is_empty() { Vec::new() } else { vec![format!("left out: {found}")] };
        Ok((images, test, notes))
    }
}
