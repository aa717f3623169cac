//! `spfde import cifar10` and `cifar100`.

use std::path::PathBuf;

use clap::Args;
use spfde_data::files::import::cifar::{Kind, import};

use super::Varied;
use crate::Result;

/// CIFAR-10, as downloaded: binary or for Python
///
/// Takes cifar-10-binary.tar.gz, cifar-10-python.tar.gz, the directories that they unpack to, or the files in
/// them. Fewer images than the original has are fine.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde import cifar10 cifar-10-python.tar.gz --augment crop-flip --out cifar10
  spfde train data.path=cifar10")]
pub(super) struct Cifar10 {
    /// The archive, the directory or the files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    common: Varied,
}

/// CIFAR-100, as downloaded: binary or for Python
///
/// Takes cifar-100-binary.tar.gz, cifar-100-python.tar.gz, the directories that they unpack to, or the files
/// in them. Fewer images than the original has are fine.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde import cifar100 cifar-100-binary.tar.gz --augment crop-flip --out cifar100
  spfde import cifar100 cifar-100-python --coarse --out cifar20
                                                   its 20 classes of classes")]
pub(super) struct Cifar100 {
    /// The archive, the directory or the files
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The 20 coarse classes in place of the 100 fine ones
    #[arg(long)]
    coarse: bool,
    #[command(flatten)]
    common: Varied,
}

impl Cifar10 {
    pub(super) fn run(self) -> Result<()> {
        self.common.write(&import(Kind::Ten, &self.paths, &self.common.options())?)
    }
}

impl Cifar100 {
    pub(super) fn run(self) -> Result<()> {
        let kind = if self.coarse { Kind::Coarse } else { Kind::Hundred };
        self.common.write(&import(kind, &self.paths, &self.common.options())?)
    }
}
