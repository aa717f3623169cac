//! `spfde import`: other formats become data sets. One file for each kind; here what is common to them.

mod cifar;
mod folder;
mod idx;
mod npz;
mod parquet;
mod pictures;
mod split;
mod table;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use spfde_data::files::data_set;
use spfde_data::files::import::{Imported, Options};
use spfde_data::{Augmentation, Images, counted};

use crate::Result;
use crate::error::program;
use crate::terminal::{remark, say};

/// Turn files of another format into a data set for `data.path`.
#[derive(Args, Debug)]
#[command(after_help = include_str!("by_hand.txt"))]
pub(super) struct Import {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand, Debug)]
enum Kind {
    Cifar10(cifar::Cifar10),
    Cifar100(cifar::Cifar100),
    Folder(folder::Folder),
    Parquet(parquet::Parquet),
    Npz(npz::Npz),
    Table(table::Table),
    Idx(idx::Idx),
}

/// What every kind takes.
#[derive(Args, Debug)]
struct Common {
    /// Where to write train.parquet and test.parquet; nothing is overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The data set's name [default: the directory's]
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Where there are no test images: the share of the images, the same of every class, that becomes the
    /// test set; 0.2 unless given
    #[arg(long, value_name = "SHARE", value_parser = share)]
    test_fraction: Option<f64>,
    /// The seed of the draw of that share
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// What every kind of images takes.
#[derive(Args, Debug)]
struct Varied {
    #[command(flatten)]
    common: Common,
    /// How training images are varied unless a run sets data.augment: none, or flip, crop, crop-flip, cutout,
    /// rotate, colour (RGB only), joined by +
    #[arg(long, value_name = "HOW", default_value = "none", value_parser = augmentation)]
    augment: Augmentation,
}

/// A share above 0 and below 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "it takes a number above 0 and below 1".to_owned())
}

/// Names of augmentations.
fn augmentation(text: &str) -> Result<Augmentation, String> {
    Augmentation::try_from(text.to_owned())
}

impl Import {
    /// Reads, checks, writes.
    ///
    /// # Errors
    /// If a file is not what it should be, or the target exists.
    pub(super) fn run(self) -> Result<()> {
        match self.kind {
            Kind::Cifar10(asked) => asked.run(),
            Kind::Cifar100(asked) => asked.run(),
            Kind::Folder(asked) => asked.run(),
            Kind::Parquet(asked) => asked.run(),
            Kind::Npz(asked) => asked.run(),
            Kind::Table(asked) => asked.run(),
            Kind::Idx(asked) => asked.run(),
        }
    }
}

impl Common {
    fn options(&self) -> Options {
        let fallback =
            || self.out.file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned());
        let name = self.name.clone().unwrap_or_else(fallback);
        Options { test_fraction: self.test_fraction, seed: self.seed, ..Options::named(name) }
    }

    /// Writes what was imported, and says what it is and how to use it.
    fn write(&self, imported: &Imported) -> Result<()> {
        let Imported { set, taken, notes } = imported;
        data_set::write(set, &self.out)?;
        taken.iter().for_each(|(what, file)| say(format!("{what}: {}", file.display())));
        let Images { channels, height, width, .. } = *set.train;
        let noun = if set.train.is_table() { "test row" } else { "test image" };
        let (images, tests) = (set.train.len(), counted(set.test.len(), noun));
        let (classes, directory) = (counted(set.classes, "class"), self.out.display());
        say(format!(
            "{}: {images} training and {tests}, {channels} × {height} × {width}, {classes}, in {directory}",
            set.name
        ));
        notes.iter().for_each(remark);
        if !set.train.is_table() {
            let by_default = match set.augment {
                Augmentation::None => {
                    "not varied; --augment or, for a run, data.augment changes that".to_owned()
                }
                how => format!("varied by {how}; data.augment changes that for a run"),
            };
            say(format!("training images are {by_default}"));
        }
        let path = self.out.display().to_string();
        let word = shlex::try_quote(&path).expect("no argument of a program holds a zero byte");
        say(format!("use it with: {} train data.path={word}", program()));
        Ok(())
    }
}

impl Varied {
    fn options(&self) -> Options {
        Options { augment: self.augment, ..self.common.options() }
    }

    fn write(&self, imported: &Imported) -> Result<()> {
        self.common.write(imported)
    }
}
