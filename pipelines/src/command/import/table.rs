//! `spfde import table`.

use clap::Args;
use spfde_data::files::import::table::{Asked, ENDINGS, import};

use super::Common;
use super::split::Files;
use crate::Result;

/// Tables of numbers, as CSV or Parquet, for model.name=mlp
///
/// A row is a sample. The column --label has the classes: whole numbers or texts. All other columns are
/// learned from: numbers as they are, and a column with texts as one column for each different text. No
/// value may be missing. The first line of CSV has the names of the columns; commas, semicolons or tabs part
/// them.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde import table iris.csv --label species --out iris
                                                   a fifth of the rows becomes the test set
  spfde import table train.csv test.csv --label income --drop id --out census
  spfde train data.path=census model.name=mlp")]
pub(super) struct Table {
    #[command(flatten)]
    files: Files,
    /// The column of the labels
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// Columns to leave out
    #[arg(long, value_name = "COLUMN", num_args = 1..)]
    drop: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl Table {
    pub(super) fn run(self) -> Result<()> {
        let files = self.files.find(&ENDINGS)?;
        let asked = Asked { label: self.label, drop: self.drop };
        self.common.write(&import(&files, &asked, &self.common.options())?)
    }
}
