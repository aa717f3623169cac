//! The command line: one file for each command.

pub mod bench;
mod follow;
pub mod import;
mod interrupt;
mod judge;
pub mod list;
mod program;
pub mod replay;
pub mod resume;
mod together;
pub mod train;
pub mod verify;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use spfde_data::words::visible;

use crate::error::Error;
use crate::program::name_program;
use crate::program::program;
use crate::terminal::{self, complain, remark};
use interrupt::{end_at_once, interruptible};
pub use program::Program;
pub(crate) use program::{Stage, Wiring};

/// Efficient sparse training on CPUs: sparse weights, frozen layers and a sieved data set as one dataflow.
#[derive(Parser)]
#[command(name = "spfde", version, max_term_width = 110)]
#[command(after_help = "\
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 stopped by a fault, 130 interrupted;
after 3 (unless it says that it would come to the same end) and 130 `spfde resume` goes on with the run.

Examples:
  spfde train                                      the default pipeline on the embedded data set
  spfde train --dry-run mask.sparsity=0.95         what a run would do and cost
  spfde train my.toml train.epochs=15 seed=3       a file, and what differs from it
  spfde resume runs/resnet20-0-1                   go on with a run that was interrupted
  spfde replay runs/resnet20-0-1 sieve.fraction=0.3
                                                   what a recorded run would have decided and cost
  spfde train --hosts hosts --process 1            one of several processes (spfde train --help)
  spfde verify runs/resnet20-0-1                   check a recorded run
  spfde bench mask.sparsity=0.95                   what a step takes here, beside a dense one")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Train),
    Resume(resume::Resume),
    Replay(replay::Replay),
    Bench(bench::Bench),
    Verify(verify::Verify),
    Import(import::Import),
    List(list::List),
}

/// Runs the command that the program's arguments name; its exit code.
pub(crate) fn main(program: &Program) -> ExitCode {
    begin();
    let path = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if !name.is_empty() {
        name_program(name);
    }
    let arguments: Arguments = parse(std::env::args_os());
    exit(match arguments.command {
        Command::Train(train) => train.run(program),
        Command::Resume(resume) => resume.run(program),
        Command::Replay(replay) => replay.run(program),
        Command::Bench(bench) => bench.run(program),
        Command::Verify(verify) => verify.run(),
        Command::Import(import) => import.run(),
        Command::List(list) => {
            list.run(program);
            Ok(())
        }
    })
}

/// Parses the program's arguments; ends it if they are no command, or ask for help.
pub(crate) fn parse<P: Parser>(words: impl Iterator<Item = std::ffi::OsString>) -> P {
    let words: Vec<_> = words.collect();
    P::try_parse_from(&words).unwrap_or_else(|error| {
        // The message repeats words as they are: the same of words that do nothing to a terminal.
        let shown = words.iter().map(|word| visible(&word.to_string_lossy()).into_owned());
        P::try_parse_from(shown).err().unwrap_or(error).exit()
    })
}

/// The exit code of a result; an error is told in one line on standard error, each finding of an unsound run
/// in one before it.
pub(crate) fn exit(result: Result<(), Error>) -> ExitCode {
    let program = program();
    let Err(error) = result else {
        let Some(reason) = terminal::lost() else { return ExitCode::SUCCESS };
        complain(format_args!("{program}: standard output was lost: {reason}; what is on disk is whole"));
        return ExitCode::FAILURE;
    };
    if let Error::Unsound { directory, told, .. } = &error
        && told.len() > 1
    {
        // A single one is told by the error.
        told.iter().for_each(|finding| complain(format_args!("{}: {finding}", directory.display())));
    }
    complain(format_args!("{program}: {error}"));
    ExitCode::from(error.exit_code())
}

/// What every program does first: from now on requests to end are heard, and panics are told as all else is.
pub(crate) fn begin() {
    interrupt::listen();
    terminal::tell_panics();
}

/// What a request to end training is answered: nothing is in flight as long as processes wait for each other.
const STOPPING: &str = "stopping, after the step in flight if there is one; once more to stop at once";

/// How many threads of each of the `processes` train: as `asked`, or the cores, up to a process's part of the
/// shards. Workers beyond the shards idle: they would have a model each, and no work, so they are not even
/// started.
fn workers(asked: Option<u16>, shards: usize, processes: usize) -> usize {
    let most = shards.div_ceil(processes);
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = asked.map_or_else(cores, usize::from).min(most);
    let all = asked.map_or(workers, usize::from) * processes;
    if all > shards {
        let idle = all - shards;
        remark(format_args!("{all} workers, but train.shards = {shards}: {idle} of them idle"));
    }
    workers
}

/// Tells early that a run directory is taken: before the data is read. Creating it checks again.
fn refuse_taken(path: &Path) -> Result<(), Error> {
    Ok(spfde_data::files::run_directory::refuse_taken(path)?)
}
