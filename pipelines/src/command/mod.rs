//! The command line: one file for each command.

pub mod import;
pub mod list;
pub mod train;
pub mod verify;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;

/// Efficient sparse training on CPUs: sparse weights, frozen layers and a sieved data set as one dataflow.
#[derive(Parser)]
#[command(name = "spfde", version, max_term_width = 110)]
#[command(after_help = "\
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 stopped by a fault, 130 interrupted.

Examples:
  spfde train                                      the default pipeline on the embedded data set
  spfde train --dry-run mask.sparsity=0.95         what a run would do and cost
  spfde train my.toml train.epochs=15 seed=3       a file, and what differs from it
  spfde verify runs/resnet20-0-1                   check a recorded run")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Train),
    Verify(verify::Verify),
    Import(import::Import),
    List(list::List),
}

/// Runs the command that the program's arguments name; its exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    exit(match arguments.command {
        Command::Train(train) => train.run(crate::Experiment::new, crate::pipeline),
        Command::Verify(verify) => verify.run(),
        Command::Import(import) => import.run(),
        Command::List(list) => {
            list.run();
            Ok(())
        }
    })
}

/// The exit code of a result; an error is told in one line on standard error.
pub(crate) fn exit(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("spfde: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints a line to standard output. Whoever closed it does not want to read on, which is no error.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line to standard error.
pub(crate) fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a remark to standard error.
pub(crate) fn remark(line: impl std::fmt::Display) {
    complain(format_args!("note: {line}"));
}
