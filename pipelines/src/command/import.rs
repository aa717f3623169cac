//! `spfde import`: other formats become data sets.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use spfde_data::files::{data_set, idx};
use spfde_data::words::counted;

use crate::error::Error;
use crate::terminal::say;

/// Turn files of another format into a data set for `data.path`.
#[derive(Args, Debug)]
pub(super) struct Import {
    #[command(subcommand)]
    format: Format,
}

#[derive(Subcommand, Debug)]
enum Format {
    /// IDX files, plain or gzip, as MNIST and its relatives come: train-images…, train-labels…, t10k-…
    Idx {
        /// The four files, or a directory that holds them
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Where to write train.parquet and test.parquet; nothing is overwritten
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The data set's name [default: the directory's]
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
    },
}

impl Import {
    /// Reads, checks, writes.
    ///
    /// # Errors
    /// If a file is not what it should be, or the target exists.
    pub(super) fn run(self) -> Result<(), Error> {
        let Format::Idx { paths, out, name } = self.format;
        let fallback =
            || out.file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned());
        let set = idx::import(&paths, &name.unwrap_or_else(fallback))?;
        data_set::write(&set, &out)?;
        let images = &set.train;
        say(format!(
            "{}: {} training and {}, {} × {} × {}, {}, in {}",
            set.name,
            images.len(),
            counted(set.test.len(), "test image"),
            images.channels,
            images.height,
            images.width,
            counted(set.classes, "class"),
            out.display()
        ));
        say(format!("use it with: spfde train data.path={}", out.display()));
        Ok(())
    }
}
