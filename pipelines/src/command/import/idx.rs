//! `spfde import idx`.

use std::path::PathBuf;

use clap::Args;
use spfde_data::files::idx;

use super::Varied;
use crate::Result;

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
                                                   no test files: a tenth of the images, not a fifth")]
pub(super) struct Idx {
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
    /// Images are stored as count, rows, columns, channels
    #[arg(long)]
    channels_last: bool,
    /// The label of the first class
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    first_label: i32,
    #[command(flatten)]
    common: Varied,
}

impl Idx {
    pub(super) fn run(self) -> Result<()> {
        let given = [self.train_images, self.train_labels, self.test_images, self.test_labels];
        let files = idx::find(&self.paths, given)?;
        let common = self.common.options();
        let options =
            idx::Options { channels_last: self.channels_last, first_label: self.first_label, common };
        let mut imported = idx::import(&files, &options)?;
        let (channels, width) = (imported.set.train.channels, imported.set.train.width);
        if channels > 4 && width <= 4 {
            let advice = "if the channels come last, import with --channels-last";
            imported.notes.push(format!("{channels} channels: {advice}"));
        }
        self.common.write(&imported)
    }
}
