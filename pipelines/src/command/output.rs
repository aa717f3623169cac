//! The words by which a command that trains is told what to print.

use clap::Args;

use crate::terminal::{Style, set_style};

/// What is printed.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// Print nothing but errors
    #[arg(long, conflicts_with = "json")]
    pub(super) quiet: bool,
    /// Print an object of JSON a line: the settings, each epoch as in the table `epochs`, the end
    #[arg(long)]
    json: bool,
    /// Do not measure dense steps at the start; the time of dense training is then not estimated. They take
    /// at most 1 % of a run
    #[arg(long)]
    pub(super) no_dense: bool,
}

impl Output {
    /// From now on the program prints as it was told.
    pub(super) fn begin(&self) {
        set_style(match (self.quiet, self.json) {
            (true, _) => Style::Quiet,
            (_, true) => Style::Json,
            _ => Style::Text,
        });
    }
}
