//! `spfde import parquet`.

use clap::Args;
use spfde_data::files::import::hub::{Columns, import};

use super::Varied;
use super::pictures::Shape;
use super::split::Files;
use crate::Result;

/// Parquet files of encoded pictures, as data hubs ship them
///
/// Pictures (PNG, JPEG, WebP, BMP) are in the column image: their bytes, or a struct with a field bytes. The
/// column label has whole numbers or texts. Files are told apart by their names, or those of their
/// directories: train-00000-of-00002.parquet, test/0000.parquet and the like.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde import parquet my-download/data --out pets train-*.parquet and test-*.parquet
  spfde import parquet --train a.parquet b.parquet --label fine_label --size 32 --out mine")]
pub(super) struct Parquet {
    #[command(flatten)]
    files: Files,
    /// The column of the pictures [default: image, or else img]
    #[arg(long, value_name = "COLUMN")]
    image: Option<String>,
    /// The column of the labels
    #[arg(long, value_name = "COLUMN", default_value = "label")]
    label: String,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    common: Varied,
}

impl Parquet {
    pub(super) fn run(self) -> Result<()> {
        let files = self.files.find(&["parquet"])?;
        let columns = Columns { image: self.image, label: self.label };
        self.common.write(&import(&files, &columns, &self.shape.pictures(), &self.common.options())?)
    }
}
