//! The command line: one file for each command.

mod analyse;
mod bench;
mod compare;
mod dense_time;
mod evaluate;
mod export;
mod follow;
mod import;
mod interrupt;
mod judge;
mod list;
mod named;
mod of_run;
mod predict;
mod progress;
mod replay;
mod report;
mod resume;
mod shells;
mod sweep;
mod together;
mod train;
mod verify;
mod watch;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use spfde_data::visible;

use crate::configuration::keys::all;
use crate::configuration::near::{advice, near_key};
use crate::error::{name_program, program};
use crate::terminal::{complain, remark};
use crate::{App, Error, Registry, Result, terminal};
use interrupt::{end_at_once, interruptible};
use named::{all_runs_of, single_run_of};

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
  spfde watch runs/resnet20-0-1                    how a run goes, from another terminal
  spfde compare runs/*                             their settings, accuracy and cost, side by side
  spfde sweep sparsity.toml                        a batch of experiments, in a file
  spfde analyse runs/resnet20-0-1 --view churn     how masks change, epoch by epoch
  spfde report runs/resnet20-0-1                   what happened in a run, as a page
  spfde predict runs/resnet20-0-1 photos           the classes of pictures
  spfde evaluate runs/resnet20-0-1                 how right its network is, class by class
  spfde export runs/resnet20-0-1 --out shoes.onnx  its network for onnxruntime, or for PyTorch
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
    Watch(watch::Watch),
    Compare(compare::Compare),
    Sweep(sweep::SweepFile),
    Analyse(analyse::Analyse),
    Verify(verify::Verify),
    Report(report::Report),
    Predict(predict::Predict),
    Evaluate(evaluate::Evaluate),
    Export(export::Export),
    Import(import::Import),
    List(list::List),
    Completions(shells::Completions),
    Man(shells::Manual),
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
        exit(match parse(&words, &self.registry).command {
            Command::Train(train) => train.run(&self),
            Command::Resume(resume) => resume.run(&self),
            Command::Replay(replay) => replay.run(&self),
            Command::Bench(bench) => bench.run(&self),
            Command::Watch(watch) => watch.run(),
            Command::Compare(compare) => compare.run(),
            Command::Sweep(sweep) => sweep.run(&self),
            Command::Analyse(analyse) => analyse.run(&self),
            Command::Verify(verify) => verify.run(),
            Command::Report(report) => report.run(&self),
            Command::Predict(predict) => predict.run(&self),
            Command::Evaluate(evaluate) => evaluate.run(&self),
            Command::Export(export) => export.run(&self),
            Command::Man(manual) => manual.run(),
            Command::Completions(completions) => {
                completions.run();
                Ok(())
            }
            Command::Import(import) => import.run(),
            Command::List(list) => {
                list.run(&self);
                Ok(())
            }
        })
    }
}

/// Parses the program's arguments; ends it if they are no command, or ask for help.
fn parse(words: &[OsString], registry: &Registry) -> Arguments {
    Arguments::try_parse_from(words).unwrap_or_else(|error| {
        // The message repeats words as they are: the same of words that do nothing to a terminal.
        let shown = words.iter().map(|word| visible(&word.to_string_lossy()).into_owned());
        let shown: Vec<String> = shown.collect();
        let mut error = Arguments::try_parse_from(&shown).err().unwrap_or(error);
        if error.kind() == ErrorKind::UnknownArgument {
            let mut command = command(&shown);
            // By itself it names the options that were typed before, and no others.
            error.insert(ContextKind::Usage, ContextValue::StyledStr(command.render_usage()));
            if let Some(tip) = tip(&error, &shown, &command, registry) {
                error.remove(ContextKind::SuggestedArg);
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
            }
        }
        error.exit()
    })
}

/// The command that the words name, such as `import idx`.
fn command(words: &[String]) -> clap::Command {
    let mut command = Arguments::command().bin_name(program());
    command.build();
    for word in &words[1..] {
        let Some(below) = command.find_subcommand(word) else { break };
        command = below.clone();
    }
    command
}

/// What to type in place of an option that the command `asked` for does not have: its own of another name, or
/// the setting `train.epochs=3` for `--epochs 3`.
fn tip(error: &clap::Error, words: &[String], asked: &clap::Command, registry: &Registry) -> Option<String> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return None };
    let takes_settings = ["train", "replay", "bench"].contains(&asked.get_name());
    let name = option.trim_start_matches('-').split('=').next()?.replace('-', "_");
    if let Some((names, advice)) = advice(&name) {
        let is_same = |long: &str| names.contains(&&*long.replace('-', "_"));
        let own = asked.get_arguments().find(|own| own.get_long().is_some_and(is_same));
        let advice = Some(advice.to_owned()).filter(|advice| takes_settings && !advice.contains("--"));
        return own.map(|own| format!("the option is {own} here")).or(advice);
    }
    let known: Vec<&str> = all(registry).map(|parameter| parameter.key).collect();
    let key = near_key(&name, known).filter(|_| takes_settings)?;
    let place = words.iter().position(|word| word.split('=').next() == Some(option))?;
    let value = match words[place].split_once('=') {
        Some((_, value)) => value,
        None => words.get(place + 1).map_or("…", String::as_str),
    };
    let settings: Vec<String> = key.split("` or `").map(|key| format!("{key}={value}")).collect();
    Some(format!("a setting is a word without dashes: {}", settings.join(" or ")))
}

/// The exit code of a result; an error is told.
fn exit(result: Result<()>) -> ExitCode {
    let Err(error) = result else {
        let Some(reason) = terminal::lost() else { return ExitCode::SUCCESS };
        let program = program();
        complain(format_args!("{program}: standard output was lost: {reason}; what is on disk is whole"));
        return ExitCode::FAILURE;
    };
    tell(&error);
    ExitCode::from(error.exit_code())
}

/// Tells an error in one line on standard error, each finding of an unsound run in one before it.
fn tell(error: &Error) {
    if let Error::Unsound { directory, told, .. } = error
        && told.len() > 1
    {
        // A single one is told by the error.
        told.iter().for_each(|finding| complain(format_args!("{}: {finding}", directory.display())));
    }
    complain(format_args!("{}: {error}", program()));
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
