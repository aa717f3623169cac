//! What kinds take whose files are told apart by their names.

use std::path::PathBuf;

use clap::Args;
use spfde_data::files::import::parts::Parts;

use crate::Result;

/// The files.
#[derive(Args, Debug)]
pub(super) struct Files {
    /// The files, or directories that hold them
    #[arg(required_unless_present = "train", conflicts_with = "train")]
    paths: Vec<PathBuf>,
    /// The files to train on, whatever they are called
    #[arg(long, value_name = "FILE", num_args = 1..)]
    train: Vec<PathBuf>,
    /// The files to test on, whatever they are called
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "train")]
    test: Vec<PathBuf>,
}

impl Files {
    /// The files to train and to test on; from directories those with one of `endings`.
    pub(super) fn find(&self, endings: &[&str]) -> Result<Parts> {
        if self.train.is_empty() {
            return Ok(Parts::find(&self.paths, endings)?);
        }
        Ok(Parts { train: self.train.clone(), test: self.test.clone(), left_out: Vec::new() })
    }
}
