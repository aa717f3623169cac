//! The `main` of a pipeline of your own.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use spfde_flow::Run;

use crate::command::{begin, exit, parse, replay::Replay, resume::Resume, train::Train};
use crate::configuration::Configuration;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::program::name_program;

#[derive(Parser)]
struct ReplayArguments {
    #[command(flatten)]
    replay: Replay,
}

/// Does for a pipeline of your own what `spfde replay` does for the ready one: `prepare` may put policies of
/// your own into the experiment of each recorded run, `build` wires the graph once on each worker. The exit
/// code.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     spfde::replay_main(Ok, spfde::pipeline)
/// }
/// ```
pub fn replay_main(
    prepare: impl Fn(Experiment) -> Result<Experiment, Error>,
    build: impl Fn(&Run<'_>) + Send + Sync + Clone + 'static,
) -> ExitCode {
    begin();
    let arguments: ReplayArguments = parse(std::env::args_os());
    exit(arguments.replay.run(prepare, build))
}

#[derive(Parser)]
struct ResumeArguments {
    #[command(flatten)]
    resume: Resume,
}

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    train: Train,
}

/// Does for a pipeline of your own what `spfde train` does for the ready one: reads FILE.toml and key=value
/// words, prepares the experiment, wires the graph with `build` once on each worker, shows progress, stops on
/// Ctrl-C, prints the table, verifies the trace. If the first word is `resume`, what `spfde resume` does:
/// goes on with a run that the same program began. The exit code.
///
/// ```no_run
/// use spfde::prelude::*;
/// fn main() -> std::process::ExitCode {
///     spfde::main(Experiment::new, spfde::pipeline)
/// }
/// ```
pub fn main(
    prepare: impl FnOnce(Configuration) -> Result<Experiment, Error>,
    build: impl Fn(&Run<'_>) + Send + Sync + 'static,
) -> ExitCode {
    begin();
    let mut words = std::env::args_os();
    let program = words.next().map(|path| Path::new(&path).file_stem().unwrap_or_default().to_owned());
    name_program(program.unwrap_or_default().to_string_lossy().into_owned());
    exit(match words.next() {
        Some(word) if word == "resume" => {
            let arguments: ResumeArguments = parse(std::env::args_os().skip(1));
            arguments.resume.run(prepare, build)
        }
        _ => {
            let arguments: Arguments = parse(std::env::args_os());
            arguments.train.run(prepare, build)
        }
    })
}
