//! The `main` of a pipeline of your own.

use std::process::ExitCode;

use clap::Parser;
use spfde_flow::Run;

use crate::command::{exit, train::Train};
use crate::configuration::Configuration;
use crate::error::Error;
use crate::experiment::Experiment;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    train: Train,
}

/// Does for a pipeline of your own what `spfde train` does for the ready one: reads FILE.toml and key=value words,
/// prepares the experiment, wires the graph with `build` once on each worker, shows progress, stops on Ctrl-C,
/// prints the table, verifies the trace. The exit code.
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
    exit(Arguments::parse().train.run(prepare, build))
}
