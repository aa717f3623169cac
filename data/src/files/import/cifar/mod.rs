//! CIFAR-10 and CIFAR-100 as their authors ship them: archives as downloaded, or what they unpack to, in the
//! binary form or pickled by Python.
//!
//! A row of a binary file is the label (two of them in CIFAR-100: coarse, fine), then 3072 bytes, red, green
//! and blue plane. How many rows there are is counted from the length of the file: an archive with fewer
//! images than the original is fine. See <https://www.cs.toronto.edu/~kriz/cifar.html>.

mod members;
mod pickle;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use members::{Member, members};
use pickle::Pickle;

use super::{AGAIN, Found, Imported, Options};
use crate::files::data_set::no_class;
use crate::files::{DataError, Result};
use crate::{Images, counted};

/// Rows and columns of an image.
const SIDE: usize = 32;
/// Bytes of an image.
const IMAGE: usize = 3 * SIDE * SIDE;

/// Which of the data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CIFAR-10.
    Ten,
    /// CIFAR-100 with its 100 classes.
    Hundred,
    /// CIFAR-100 with the 20 classes that each are five of those.
    Coarse,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Train,
    Test,
    Names,
}

impl Kind {
    fn classes(self) -> usize {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
            Self::Coarse => 20,
        }
    }

    /// Labels of a row of a binary file, and which of them counts.
    fn labels(self) -> (usize, usize) {
        match self {
            Self::Ten => (1, 0),
            Self::Hundred => (2, 1),
            Self::Coarse => (2, 0),
        }
    }

    /// The keys of labels and names in pickled files.
    fn keys(self) -> [&'static str; 2] {
        match self {
            Self::Ten => ["labels", "label_names"],
            Self::Hundred => ["fine_labels", "fine_label_names"],
            Self::Coarse => ["coarse_labels", "coarse_label_names"],
        }
    }

    /// What a file of this name holds; nothing, if it is none of the data set's.
    fn role(self, name: &str) -> Option<Role> {
        let stem = name.strip_suffix(".bin").unwrap_or(name);
        match (self, stem) {
            (Self::Ten, "batches.meta" | "batches.meta.txt") => Some(Role::Names),
            (Self::Ten, "test_batch") => Some(Role::Test),
            (Self::Ten, _) => {
                let number = stem.strip_prefix("data_batch_")?;
                number.parse::<u8>().is_ok().then_some(Role::Train)
            }
            (_, "train") => Some(Role::Train),
            (_, "test") => Some(Role::Test),
            (_, "meta") => Some(Role::Names),
            (_, _) => (name == format!("{}.txt", self.keys()[1])).then_some(Role::Names),
        }
    }

    /// The usual names of its training files.
    fn usual(self) -> &'static str {
        match self {
            Self::Ten => "data_batch_1.bin or data_batch_1",
            Self::Hundred | Self::Coarse => "train.bin or train",
        }
    }
}

/// Imports the data set in `paths`: archives, directories or files.
///
/// # Errors
/// If something is missing, there twice, damaged or of another format.
pub fn import(kind: Kind, paths: &[PathBuf], options: &Options) -> Result<Imported> {
    let mut members = members(paths, |name| kind.role(name).is_some())?;
    let is_binary = |member: &Member| member.name.ends_with(".bin");
    // A directory that holds both archives has every image twice.
    if members.iter().any(is_binary) {
        members.retain(|member| is_binary(member) || member.name.ends_with(".txt"));
    }
    members.sort_by(|left, right| left.name.cmp(&right.name));
    if let Some([first, second]) = members.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let what = format!("is there twice: {} holds one, too", first.path.display());
        return Err(DataError::refused(&second.path, what, "give one data set"));
    }
    let with = |role: Role| members.iter().filter(move |member| kind.role(&member.name) == Some(role));
    let place = paths.first().cloned().unwrap_or_default();
    let names = match with(Role::Names).next() {
        Some(member) => names(kind, member)?,
        None => Vec::new(),
    };
    let part = |role: Role| -> Result<Option<Images>> {
        let (mut labels, mut pixels) = (Vec::new(), Vec::new());
        with(role).try_for_each(|member| append(kind, member, &mut labels, &mut pixels))?;
        let is_there = !labels.is_empty();
        Ok(is_there.then(|| Images { channels: 3, height: SIDE, width: SIDE, pixels: pixels.into(), labels }))
    };
    let Some(train) = part(Role::Train)? else {
        let what = format!("has no training images, such as {}", kind.usual());
        let remedy = "name the archive as downloaded, or the directory that it unpacks to";
        return Err(DataError::refused(&place, what, remedy));
    };
    let test = part(Role::Test)?;
    let told = [("training images", Role::Train), ("test images", Role::Test), ("names", Role::Names)];
    let taken =
        told.into_iter().flat_map(|(what, role)| with(role).map(move |found| (what, found.path.clone())));
    let taken = taken.collect();
    let classes = kind.classes();
    Found { place, train, test, classes, class_names: names, taken, notes: Vec::new() }.finish(options)
}

/// The names of the classes.
fn names(kind: Kind, member: &Member) -> Result<Vec<String>> {
    let path = &member.path;
    let lines = || member.bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let names: Vec<&[u8]> = match member.name.ends_with(".txt") {
        true => lines().filter(|line| !line.is_empty()).collect(),
        false => Pickle::parse(path, &member.bytes)?.texts(path, kind.keys()[1])?,
    };
    let expected = kind.classes();
    if names.len() != expected {
        let found = counted(names.len(), "name");
        return Err(DataError::refused(path, format!("has {found} of {expected} classes"), AGAIN));
    }
    let text =
        |name: &[u8]| String::from_utf8(name.to_vec()).ok().filter(|name| !name.contains(char::is_control));
    let wrong = || DataError::refused(path, "has a name that is no printable text", AGAIN);
    names.into_iter().map(|name| text(name).ok_or_else(wrong)).collect()
}

/// Appends the images of a file.
fn append(kind: Kind, member: &Member, labels: &mut Vec<u16>, pixels: &mut Vec<u8>) -> Result<()> {
    let path = &member.path;
    let first = labels.len();
    let mut label = |row: usize, label: i64| match u16::try_from(label) {
        Ok(label) if usize::from(label) < kind.classes() => {
            labels.push(label);
            Ok(())
        }
        _ => Err(no_class(path, row, label, kind.classes(), 0)),
    };
    if !member.name.ends_with(".bin") {
        let pickle = Pickle::parse(path, &member.bytes)?;
        let found = pickle.integers(path, kind.keys()[0])?;
        found.iter().enumerate().try_for_each(|(row, found)| label(row, *found))?;
        pickle.rows(path, "data", IMAGE, pixels)?;
        let rows = pixels.len() / IMAGE - first;
        if rows != found.len() {
            let (found, expected) = (counted(rows, "image"), counted(found.len(), "label"));
            return Err(DataError::refused(path, format!("has {found} and {expected}"), AGAIN));
        }
        return Ok(());
    }
    let (before, which) = kind.labels();
    let row = before + IMAGE;
    if member.bytes.is_empty() || !member.bytes.len().is_multiple_of(row) {
        let found = counted(member.bytes.len(), "byte");
        let what = format!("has {found}, which are no whole rows of {row}: {before} + 3 × {SIDE} × {SIDE}");
        return Err(DataError::refused(path, what, "fetch it again; or is it another data set?"));
    }
    for (number, bytes) in member.bytes.chunks_exact(row).enumerate() {
        label(number, i64::from(bytes[which]))?;
        pixels.extend_from_slice(&bytes[before..]);
    }
    Ok(())
}

/// Reads one file of a data set from memory, as [`import`] does; its name says what it holds. For fuzzers.
///
/// # Errors
/// As [`import`].
pub fn parse(kind: Kind, path: &Path, bytes: Vec<u8>) -> Result<Images> {
    let (mut labels, mut pixels) = (Vec::new(), Vec::new());
    members::of_file(path, bytes, |name| kind.role(name).is_some())?.iter().try_for_each(
        |member| match kind.role(&member.name) {
            Some(Role::Names) => names(kind, member).map(drop),
            _ => append(kind, member, &mut labels, &mut pixels),
        },
    )?;
    Ok(Images { channels: 3, height: SIDE, width: SIDE, pixels: pixels.into(), labels })
}
