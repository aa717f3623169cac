//! `spfde import folder`.

use std::path::PathBuf;

use clap::Args;
use spfde_data::files::import::folder::import;

use super::Varied;
use super::pictures::Shape;
use crate::Result;

/// A folder of pictures with a directory for each class
///
/// Takes PNG, JPEG, WebP and BMP. Classes are the directories in FOLDER/train, and FOLDER/test has the test
/// images. Without FOLDER/train classes are the directories in FOLDER, and a share of every class becomes the
/// test set.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde import folder pets --size 64 --augment crop-flip --out my-pets
                                                   pets/train/cat/1.jpg, pets/test/dog/7.jpg, …
  spfde import folder letters --channels 1 --test-fraction 0.1 --skip-bad --out my-letters
                                                   letters/a/1.png, letters/b/1.png, …")]
pub(super) struct Folder {
    /// The folder
    #[arg(value_name = "FOLDER")]
    path: PathBuf,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    common: Varied,
}

impl Folder {
    pub(super) fn run(self) -> Result<()> {
        self.common.write(&import(&self.path, &self.shape.pictures(), &self.common.options())?)
    }
}
