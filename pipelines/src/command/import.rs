//! `spfde import`: other formats become data sets.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use spfde_data::files::{data_set, idx};
use spfde_data::{Augmentation, Images, Setting, Value, counted};

use crate::Result;
use crate::error::program;
use crate::terminal::{remark, say};

/// Turn files of another format into a data set for `data.path`.
#[derive(Args, Debug)]
#[command(after_help = include_str!("import.txt"))]
pub(super) struct Import {
    #[command(subcommand)]
    format: Format,
}

#[derive(Subcommand, Debug)]
enum Format {
    Idx(Idx),
}

/// IDX files, plain or gzip, as MNIST and its relatives come
///
/// Files are taken by their names: train-images-idx3-ubyte, t10k-labels.idx1-ubyte.gz,
/// emnist-letters-test-images-idx3-ubyte and the like. Of a file that is there plain and compressed the plain
/// one is taken. Images have 3 dimensions (count, rows, columns) or 4 (count, channels, rows, columns). Their
/// values are unsigned bytes. Labels are whole numbers of 8, 16 or 32 bits.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde import idx MNIST/raw --out mnist           a directory with the four files
  spfde import idx EMNIST/emnist-letters-t* --first-label 1 --out letters
                                                   four files of many, with classes from 1
  spfde import idx my-files --test-fraction 0.1 --out mine
                                                   a tenth of the images becomes the test set")]
struct Idx {
    /// The files, or directories that hold them
    #[arg(required_unless_present = "train_images")]
    paths: Vec<PathBuf>,
    /// The training images, whatever the file is called
    #[arg(long, value_name = "FILE")]
    train_images: Option<PathBuf>,
    /// The training labels
    #[arg(long, value_name = "FILE")]
    train_labels: Option<PathBuf>,
    /// The test images
    #[arg(long, value_name = "FILE")]
    test_images: Option<PathBuf>,
    /// The test labels
    #[arg(long, value_name = "FILE")]
    test_labels: Option<PathBuf>,
    /// Set this share of the training images aside as the test set, such as 0.1; for data without test files
    #[arg(long, value_name = "SHARE", value_parser = share)]
    test_fraction: Option<f64>,
    /// The seed of the draw of that share
    #[arg(long, value_name = "N", default_value_t = 0, requires = "test_fraction")]
    seed: u64,
    /// Images are stored as count, rows, columns, channels
    #[arg(long)]
    channels_last: bool,
    /// The label of the first class
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    first_label: i32,
    /// How training images are varied unless a run sets data.augment
    #[arg(long, value_name = "HOW", default_value = "none", value_parser = Augmentation::NAMES.to_vec())]
    augment: String,
    /// Where to write train.parquet and test.parquet; nothing is overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The data set's name [default: the directory's]
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
}

/// A share above 0 and below 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "it takes a number above 0 and below 1".to_owned())
}

impl Import {
    /// Reads, checks, writes.
    ///
    /// # Errors
    /// If a file is not what it should be, or the target exists.
    pub(super) fn run(self) -> Result<()> {
        let Format::Idx(asked) = self.format;
        let (out, augment) = (asked.out, asked.augment);
        let fallback =
            || out.file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned());
        let given = [asked.train_images, asked.train_labels, asked.test_images, asked.test_labels];
        let files = idx::find(&asked.paths, given)?;
        let options = idx::Options {
            name: asked.name.unwrap_or_else(fallback),
            channels_last: asked.channels_last,
            first_label: asked.first_label,
            test_fraction: asked.test_fraction,
            seed: asked.seed,
            augment: Augmentation::from_value(&Value::Text(augment.clone())).expect("the names were checked"),
        };
        let set = idx::import(&files, &options)?;
        data_set::write(&set, &out)?;
        files.iter().for_each(|(what, file)| say(format!("{what}: {}", file.display())));
        let Images { channels, height, width, .. } = *set.train;
        let (images, tests) = (set.train.len(), counted(set.test.len(), "test image"));
        let (classes, directory) = (counted(set.classes, "class"), out.display());
        say(format!(
            "{}: {images} training and {tests}, {channels} × {height} × {width}, {classes}, in {directory}",
            set.name
        ));
        if channels > 4 && width <= 4 {
            let advice = "if the channels come last, import with --channels-last";
            remark(format_args!("{channels} channels: {advice}"));
        }
        let by_default = match set.augment {
            Augmentation::None => "not varied; --augment or, for a run, data.augment changes that".to_owned(),
            _ => format!("varied by {augment}; data.augment changes that for a run"),
        };
        say(format!("training images are {by_default}"));
        let path = out.display().to_string();
        let word = shlex::try_quote(&path).expect("no argument of a program holds a zero byte");
        say(format!("use it with: {} train data.path={word}", program()));
        Ok(())
    }
}
