//! The words by which a command that trains is told what to print.

use clap::Args;

use crate::terminal::{Style, prints, set_style};

/// What is printed.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// Print nothing but errors
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
    /// Print an object of JSON a line: the settings, each epoch as in the table `epochs`, the end
    #[arg(long)]
    json: bool,
    /// Do not measure dense steps at the start; the time of dense training is then not estimated. They take
    /// at most 1 % of a run
    #[arg(long)]
    no_dense: bool,
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

    /// Whether there is a bar on a terminal.
    pub(super) fn has_bar(&self) -> bool {
        prints(Style::Text)
    }

    /// Whether dense steps are measured.
    pub(super) fn measures_dense(&self) -> bool {
        !self.no_dense && !self.quiet
    }
}
