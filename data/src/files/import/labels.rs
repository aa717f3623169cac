//! Labels of any kind become classes, numbered from 0.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::check_classes;
use crate::files::data_set::no_class;
use crate::files::{DataError, Result};
use crate::visible;

/// Labels as files have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Labels {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

/// Classes, and the labels of images to train and to test on.
pub(super) struct Classes {
    pub(super) count: usize,
    /// The name of each class; empty if they are numbers from 0.
    pub(super) names: Vec<String>,
    pub(super) train: Vec<u16>,
    pub(super) test: Vec<u16>,
}

impl Labels {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Numbers(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }
}

/// None, of whatever kind.
impl Default for Labels {
    fn default() -> Self {
        Self::Numbers(Vec::new())
    }
}

/// Labels, and more of them from the file `path`.
///
/// # Errors
/// If they are of different kinds.
pub(super) fn joined(path: &Path, labels: Option<Labels>, more: Labels) -> Result<Labels> {
    match (labels, more) {
        (None, more) => Ok(more),
        (Some(Labels::Numbers(labels)), Labels::Numbers(more)) => {
            Ok(Labels::Numbers([labels, more].concat()))
        }
        (Some(Labels::Texts(labels)), Labels::Texts(more)) => Ok(Labels::Texts([labels, more].concat())),
        _ => Err(different(path)),
    }
}

fn different(path: &Path) -> DataError {
    let what = "has labels of another kind than the files before it";
    DataError::refused(path, what, "they are whole numbers in all of them, or texts in all of them")
}

/// The classes of labels: those that `names` names, numbered from 0, or else the different training labels in
/// their order. The paths are for messages.
///
/// # Errors
/// If a label is none of the classes, or there are too many.
pub(super) fn classes(
    (train_path, labels): (&Path, &Labels),
    (test_path, test): (&Path, &Labels),
    names: Option<Vec<String>>,
) -> Result<Classes> {
    match (labels, test) {
        (Labels::Numbers(train), Labels::Numbers(test)) => {
            let known: BTreeSet<i64> = match &names {
                Some(names) => (0..names.len() as i64).collect(),
                None => train.iter().copied().collect(),
            };
            let counts_up = known.iter().copied().eq(0..known.len() as i64);
            let numbered = || if counts_up { Vec::new() } else { known.iter().map(i64::to_string).collect() };
            let names = names.unwrap_or_else(numbered);
            numbered_by(&known, (train_path, train), (test_path, test), names)
        }
        (Labels::Texts(train), Labels::Texts(test)) => {
            let known: BTreeSet<String> = train.iter().cloned().collect();
            let names = known.iter().map(|name| visible(name).into_owned()).collect();
            numbered_by(&known, (train_path, train), (test_path, test), names)
        }
        (Labels::Texts(_), none) if none.len() == 0 => {
            classes((train_path, labels), (test_path, &Labels::Texts(Vec::new())), names)
        }
        _ => Err(different(test_path)),
    }
}

fn numbered_by<T: Ord + std::fmt::Debug>(
    known: &BTreeSet<T>,
    (train_path, train): (&Path, &[T]),
    (test_path, test): (&Path, &[T]),
    names: Vec<String>,
) -> Result<Classes> {
    let count = known.len();
    check_classes(train_path, count)?;
    let numbers: BTreeMap<&T, u16> = known.iter().zip(0..).collect();
    let number = |path: &Path, labels: &[T]| -> Result<Vec<u16>> {
        let number = |(row, label): (usize, &T)| {
            let unknown = || {
                let expected = format!("one of the {count} of {}", train_path.display());
                match path == train_path {
                    true => no_class(path, row, format!("{label:?}"), count, 0),
                    false => DataError::unfit(
                        path,
                        format!("row {row}: label"),
                        format!("{label:?}"),
                        expected,
                        "",
                    ),
                }
            };
            numbers.get(label).copied().ok_or_else(unknown)
        };
        labels.iter().enumerate().map(number).collect()
    };
    let (train, test) = (number(train_path, train)?, number(test_path, test)?);
    Ok(Classes { count, names, train, test })
}
