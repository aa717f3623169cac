//! `spfde completions` and `spfde man`: what shells and `man` know of the program.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use spfde_data::files::atomic;

use super::Arguments;
use crate::error::program;
use crate::terminal::{say, say_file};
use crate::{Error, Result};

/// Print a script by which a shell completes commands and options.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde completions bash > ~/.local/share/bash-completion/completions/spfde
  spfde completions zsh > ~/.zfunc/_spfde
  spfde completions fish > ~/.config/fish/completions/spfde.fish")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub(super) fn run(&self) {
        let mut script = Vec::new();
        generate(self.shell, &mut Arguments::command(), program(), &mut script);
        say_file(String::from_utf8_lossy(&script).trim_end_matches('\n'));
    }
}

/// Write the manual: a page for the program and one for each command.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  spfde man --out ~/.local/share/man/man1          then: man spfde-train")]
pub(super) struct Manual {
    /// The directory; pages that are there are replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Manual {
    /// Writes the pages.
    ///
    /// # Errors
    /// If one cannot be written.
    pub(super) fn run(&self) -> Result<()> {
        atomic::create_directory(&self.out)?;
        let written = clap_mangen::generate_to(Arguments::command().name(program()), &self.out);
        written.map_err(|error| {
            Error::failed(format!("{}: cannot write a page: {error}", self.out.display()))
        })?;
        say(format!("read them with: man -l {}", self.out.join(format!("{}.1", program())).display()));
        Ok(())
    }
}
