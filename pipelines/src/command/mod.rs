//! The command line: one file for each command.

mod bench;
mod dense_time;
mod follow;
mod import;
mod interrupt;
mod judge;
mod list;
mod progress;
mod replay;
mod resume;
mod shown;
mod together;
mod train;
mod verify;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use spfde_data::words::visible;

use crate::app::App;
use crate::error::Error;
use crate::program::{name_program, program};
use crate::terminal::{self, complain, remark, say};
use crate::verify::verify;
use interrupt::{end_at_once, interruptible};

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

impl App {
    /// Runs the command that the program's arguments name; its exit code.
    pub fn main(self) -> ExitCode {
        // From now on requests to end are heard, and panics are told as all else is.
        interrupt::listen();
        terminal::tell_panics();
        let words: Vec<OsString> = std::env::args_os().collect();
        let name = words.first().and_then(|path| Path::new(path).file_stem());
        if let Some(name) = name {
            name_program(name.to_string_lossy().into_owned());
        }
        exit(match parse(&words).command {
            Command::Train(train) => train.run(&self),
            Command::Resume(resume) => resume.run(&self),
            Command::Replay(replay) => replay.run(&self),
            Command::Bench(bench) => bench.run(&self),
            Command::Verify(verify) => verify.run(),
            Command::Import(import) => import.run(),
            Command::List(list) => {
                list.run(&self);
                Ok(())
            }
        })
    }
}

/// Parses the program's arguments; ends it if they are no command, or ask for help.
fn parse(words: &[OsString]) -> Arguments {
    Arguments::try_parse_from(words).unwrap_or_else(|error| {
        // The message repeats words as they are: the same of words that do nothing to a terminal.
        let shown = words.iter().map(|word| visible(&word.to_string_lossy()).into_owned());
        Arguments::try_parse_from(shown).err().unwrap_or(error).exit()
    })
}

/// The exit code of a result; an error is told in one line on standard error, each finding of an unsound run
/// in one before it.
fn exit(result: Result<(), Error>) -> ExitCode {
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

/// Verifies the run that was written to `directory`, and says where it is.
fn say_verified(directory: &Path) -> Result<(), Error> {
    let sound = verify(directory)?;
    say(format!("run directory: {} (verified: {sound})", directory.display()));
    Ok(())
}
