//! Which files hold what to train on, and which what to test on.

use std::path::{Path, PathBuf};

use crate::files::layout::{ends_in, files_below};
use crate::files::{DataError, Result};
use crate::{are, counted};

/// The first word of the name of what is to train on, to test on, or to validate on.
const WORDS: [&[&str]; 3] = [&["train", "training"], &["test", "testing"], &["val", "valid", "validation"]];

/// Files with images or rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// To train on.
    pub train: Vec<PathBuf>,
    /// To test on; none, if a share of the others is to be set aside.
    pub test: Vec<PathBuf>,
    /// Neither, since others are named as parts of the data set.
    pub left_out: Vec<PathBuf>,
}

impl Parts {
    /// Tells files apart by the first word of their names, or those of their directories: `train`, `test` or,
    /// where there is none of these, `val`. If none is `train`, those with other names are to train on. From
    /// directories come files with one of `endings`.
    ///
    /// # Errors
    /// If a path is not there, or there is nothing to train on.
    pub fn find(paths: &[PathBuf], endings: &[&str]) -> Result<Self> {
        let [mut train, mut test, mut validation, mut others] = [const { Vec::new() }; 4];
        for path in paths {
            path.metadata().map_err(DataError::io(path, "open"))?;
            let is_directory = path.is_dir();
            for file in files_below(path, 4) {
                let file = file?;
                if is_directory && !ends_in(&file, endings) {
                    continue;
                }
                let parent = file.parent().filter(|_| is_directory);
                let part = [Some(&*file), parent].into_iter().flatten().find_map(part);
                match part {
                    Some(0) => train.push(file),
                    Some(1) => test.push(file),
                    Some(_) => validation.push(file),
                    None => others.push(file),
                }
            }
        }
        if train.is_empty() {
            std::mem::swap(&mut train, &mut others);
        }
        if test.is_empty() {
            std::mem::swap(&mut test, &mut validation);
        }
        if train.is_empty() {
            let place = paths.first().map_or(Path::new(""), |path| path);
            let what = format!("has no files to train on, such as train.{}", endings[0]);
            return Err(DataError::refused(place, what, "name them with --train and --test"));
        }
        others.append(&mut validation);
        [&mut train, &mut test].into_iter().for_each(|files| files.sort());
        Ok(Self { train, test, left_out: others })
    }

    /// What was taken from where.
    pub(super) fn taken(&self, what: [&'static str; 2]) -> Vec<(&'static str, PathBuf)> {
        let [train, test] = what;
        let train = self.train.iter().map(|file| (train, file.clone()));
        train.chain(self.test.iter().map(|file| (test, file.clone()))).collect()
    }

    /// What a user should know of files that were left out.
    pub(super) fn notes(&self) -> Vec<String> {
        let Some(first) = self.left_out.first() else { return Vec::new() };
        let count = self.left_out.len();
        let (files, verb) = (counted(count, "file"), are(count));
        vec![format!("{files} {verb} left out, such as {}: --train and --test choose files", first.display())]
    }
}

/// The part that a file or directory is called by, as a place in [`WORDS`].
fn part(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let word = name.split(|letter: char| !letter.is_alphabetic()).next()?;
    WORDS.iter().position(|words| words.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_of_a_name_tells_parts_apart() {
        for (name, expected) in [
            ("train.csv", Some(0)),
            ("Train-00000-of-00002.parquet", Some(0)),
            ("train2.csv", Some(0)),
            ("training_set", Some(0)),
            ("test", Some(1)),
            ("testing.csv", Some(1)),
            ("val.csv", Some(2)),
            ("validation-1.parquet", Some(2)),
            ("values.csv", None),
            ("trainers.csv", None),
            ("testimonials.csv", None),
            ("valleys", None),
            ("my-train.csv", None),
            ("traîner.csv", None),
            ("1.csv", None),
        ] {
            assert_eq!(part(&Path::new("data").join(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_file_of_values_is_trained_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("values.csv"), "a,y\n1,2\n").unwrap();
        let found = Parts::find(&[directory.path().to_owned()], &["csv"]).unwrap();
        assert_eq!(found, Parts { train: vec![path("values.csv")], ..Parts::default() });
        std::fs::write(path("validation.csv"), "a,y\n1,2\n").unwrap();
        let found = Parts::find(&[directory.path().to_owned()], &["csv"]).unwrap();
        assert_eq!(found.test, [path("validation.csv")]);
    }
}
