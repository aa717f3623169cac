//! The command line: one file for each command.

pub mod bench;
mod follow;
pub mod import;
mod judge;
pub mod list;
pub mod replay;
pub mod resume;
pub mod together;
pub mod train;
pub mod verify;

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use clap::{Parser, Subcommand};

use crate::error::Error;

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
  spfde train --hosts hosts --process 1            one of the processes that train together (spfde train --help)
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
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    exit(match arguments.command {
        Command::Train(train) => train.run(crate::Experiment::new, crate::pipeline),
        Command::Resume(resume) => resume.run(crate::Experiment::new, crate::pipeline),
        Command::Replay(replay) => replay.run(Ok, crate::pipeline),
        Command::Bench(bench) => bench.run(),
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
    match (result, LOST.get()) {
        (Ok(()), None) => ExitCode::SUCCESS,
        (Ok(()), Some(reason)) => {
            complain(format_args!("spfde: standard output was lost: {reason}; what is on disk is whole"));
            ExitCode::FAILURE
        }
        (Err(error), _) => {
            complain(format_args!("spfde: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// How many threads of each of the `processes` train: as `asked`, or the cores, up to a process's part of the shards. Workers
/// beyond the shards would idle: nobody gets them without asking.
pub(crate) fn workers(asked: Option<u16>, shards: usize, processes: usize) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = asked.map_or_else(|| cores().min(shards.div_ceil(processes)), usize::from);
    let all = workers * processes;
    if all > shards {
        let idle = all - shards;
        remark(format_args!("{all} workers, but train.shards = {shards}: {idle} of them idle"));
    }
    workers
}

/// A flag that Ctrl-C, or the system's request to end, sets. The second time the process ends at once; the manifest
/// of a run is valid at any moment.
pub(crate) fn interruptible(message: &'static str) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    let installed = ctrlc::set_handler(move || {
        // Whoever sees the flag may have its last word at once: it waits until this is said.
        let mut out = std::io::stderr().lock();
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        let _ = writeln!(out, "note: {message}");
    });
    if let Err(error) = installed {
        remark(format_args!("Ctrl-C will not stop the command cleanly: {error}"));
    }
    flag
}

/// Tells early that a run directory is taken: before the data is read. Creating it checks again.
pub(crate) fn refuse_taken(path: &Path) -> Result<(), Error> {
    Ok(spfde_data::files::run_directory::refuse_taken(path)?)
}

/// Why something that was said did not get to where standard output leads, such as a full disk.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints a line to standard output. Whoever closed it does not want to read on, which is no error; if it is lost otherwise, the
/// command goes on, since a run is worth more than its table, and [`exit`] tells.
pub(crate) fn say(line: impl std::fmt::Display) {
    if let Err(error) = writeln!(std::io::stdout(), "{line}")
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first reason counts.
        let _ = LOST.set(error.to_string());
    }
}

/// Prints a line to standard error.
pub(crate) fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a remark to standard error.
pub(crate) fn remark(line: impl std::fmt::Display) {
    complain(format_args!("note: {line}"));
}
