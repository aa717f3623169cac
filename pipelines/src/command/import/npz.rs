//! `spfde import npz`.

use std::path::PathBuf;

use clap::Args;
use spfde_data::files::import::npz::import;

use super::Varied;
use crate::Result;

/// Arrays of NumPy: a file .npz, or files .npy
///
/// The arrays are x_train, y_train, x_test and y_test, or x and y, of which a share becomes the test set.
/// Files .npy have these names. Images have type uint8 and are count × rows × columns, or count × rows ×
/// columns × channels. Labels are whole numbers.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde import npz mnist.npz --out mnist           numpy.savez(\"mnist.npz\", x_train=…, y_train=…, …)
  spfde import npz arrays --out mine               arrays/x.npy and arrays/y.npy")]
pub(super) struct Npz {
    /// The file, the directory or the files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    common: Varied,
}

impl Npz {
    pub(super) fn run(self) -> Result<()> {
        self.common.write(&import(&self.paths, &self.common.options())?)
    }
}
