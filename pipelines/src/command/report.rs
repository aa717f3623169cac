//! `spfde report`: what happened in runs, as a page.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use spfde_data::files::{DataError, atomic};

use super::single_run_of;
use crate::page::{MARK, page};
use crate::terminal::say;
use crate::{App, Error, Result};

/// Make a page of HTML that shows what happened in runs: accuracy, cost, masks, freezing, samples, time.
///
/// The page is one file that needs nothing else. It is made of the recorded tables, so of a run that goes on
/// or was interrupted, too; made again it replaces the earlier page. Below each figure are its numbers and
/// the DuckDB query that makes them. Several runs share a page: their accuracy and cost are drawn together.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde report runs/resnet20-0-1                   writes runs/resnet20-0-1/report.html
  spfde report runs/dense runs/sparse --out both.html
                                                   two runs on one page")]
pub(super) struct Report {
    /// The run directories
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Where the page goes; by default report.html in the run's directory
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
}

impl Report {
    /// Makes the page, writes it, and says where it is.
    ///
    /// # Errors
    /// If there is no run, or it is not what it was; if the file is there and is no such page, or cannot be
    /// written.
    pub(super) fn run(self, app: &App) -> Result<()> {
        let runs: Vec<PathBuf> = self.runs.iter().map(|run| single_run_of(run)).collect::<Result<_>>()?;
        let out = match (self.out, &runs[..]) {
            (Some(out), _) => out,
            (None, [run]) => run.join("report.html"),
            (None, _) => return Err(Error::usage("several runs: name the page with --out FILE.html")),
        };
        refuse_other(&out)?;
        let page = page(&app.registry, &runs)?;
        atomic::write(&out, page.as_bytes())?;
        say(out.display());
        Ok(())
    }
}

/// Refuses to replace what is no page of this kind.
fn refuse_other(path: &Path) -> Result<(), DataError> {
    let mut mark = [0; MARK.len()];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut mark));
    if read.is_ok() && mark == *MARK.as_bytes() { Ok(()) } else { atomic::refuse_existing(path) }
}
