//! `spfde replay`, and the same for a pipeline of your own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgGroup, Args};

use super::{end_at_once, interruptible};
use crate::command::Program;
use crate::configuration::{ConfigurationError, Source};
use crate::error::Error;
use crate::grid::Column;
use crate::replay::{Record, replay};
use crate::report::replay::{Case, report};
use crate::session::Options;
use crate::terminal::{remark, say, say_all};
use crate::verify;

/// Replay recorded runs under other policies, without training: what would have been decided, at what cost.
///
/// Without settings a run is replayed under its own policies, and gives its own decisions and costs. Settings
/// are the keys of the mask, freeze and sieve policies, and the seed; what is not set is as the run had it.
/// Decisions and costs are exact; accuracy is not predicted, since the recorded scores come from the recorded
/// decisions. What a policy asks for and the record lacks is counted as censored; a run trained with
/// trace.observe=full lacks nothing.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("judged").args(["scores", "grid"]).multiple(true))]
#[command(after_help = "\
Examples:
  spfde replay runs/resnet20-0-1                                   its own policies
  spfde replay runs/resnet20-0-1 sieve.policy=random --out random  another sieve; the decisions become a run
  spfde replay runs/resnet20-*-1 freeze.policy=gradient-norm       several runs, with mean and spread
  spfde replay runs/resnet20-0-1 mask.sparsity=0.95                costs by that mask's schedule of densities
  spfde replay runs/resnet20-0-1 --grid sieve.fraction=0.1,0.2 --grid freeze.policy=none,gradient-norm
                                                                   all four combinations at once
  spfde replay --follow runs/resnet20-0-1 sieve.fraction=0.3       while it trains
  spfde replay --scores scores sieve.policy=forgetting             which samples were never forgotten
  spfde replay --scores scores --grid sieve.policy=circular,forgetting --sort changes --out grid")]
pub struct Replay {
    /// Recorded runs, then settings such as `sieve.fraction=0.3`
    #[arg(value_name = "RUN | key=value", required_unless_present = "scores")]
    pub(super) words: Vec<String>,
    /// Judge sieve policies by bare score files instead of a run: a Parquet file, or a directory of them,
    /// with the columns sample, epoch, step, correct, and optionally loss. The last epoch is decided, too
    #[arg(long, value_name = "PATH")]
    pub(super) scores: Option<PathBuf>,
    /// Judge every value of a key, with every combination of several such lists, all at once; the results are
    /// a table, in DIR/grid.parquet
    #[arg(long, value_name = "key=a,b,c")]
    pub(super) grid: Vec<String>,
    /// Write the decisions of every member of a grid, too (of several runs: below DIR for each); without
    /// --grid they are written anyway
    #[arg(long, requires = "grid", requires = "out")]
    pub(super) decisions: bool,
    /// Column by which the table of a grid is sorted, best first
    #[arg(long, value_name = "COLUMN", default_value = "member", requires = "judged")]
    pub(super) sort: Column,
    /// Print one line of JSON instead of the table of a grid
    #[arg(long, requires = "judged")]
    pub(super) json: bool,
    /// Follow a run that another process is training: take each epoch when it is committed, until the run is
    /// finished or interrupted; what is printed grows with it
    #[arg(long, conflicts_with = "scores")]
    pub(super) follow: bool,
    /// Where to write the decisions and costs, as a run of their own (of several runs: one below it for
    /// each), or the table of a grid; must not exist or be empty [default: print the table only]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Threads of this process that work; the result has the same bits for any number [default: the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) workers: Option<u16>,
}

impl Replay {
    /// Replays the runs, and prints the table.
    ///
    /// # Errors
    /// Whatever [`Record::open`] and [`crate::replay()`] refuse, for the first run that they refuse.
    pub(crate) fn run(self, program: &Program) -> Result<(), Error> {
        if let Some(scores) = &self.scores {
            return self.judge(program, scores);
        }
        let (settings, runs): (Vec<String>, Vec<String>) =
            self.words.iter().cloned().partition(|word| word.contains('=') && !Path::new(word).is_dir());
        let Some(first) = runs.first() else {
            let missing = "a recorded run is missing, such as runs/resnet20-0-1";
            return Err(ConfigurationError::Usage(missing.to_owned()).into());
        };
        let settings = Source::from_words(&settings)?;
        if let Some(out) = &self.out {
            refuse_within(out, &runs)?;
            match self.grid.is_empty() {
                true => super::refuse_taken(out)?,
                false => crate::grid::refuse_taken(out)?,
            }
        }
        if self.follow && runs.len() > 1 {
            let runs = runs.len();
            let words = format!("--follow takes one run, not {runs}; follow each in a terminal of its own");
            return Err(ConfigurationError::Usage(words).into());
        }
        if !self.grid.is_empty() {
            return self.judge_runs(program, &runs, settings);
        }
        if self.follow {
            return self.follow(program, first, &settings);
        }
        // Everything that can be refused is refused before any work.
        let mut prepared = Vec::new();
        for (run, directory) in runs.iter().zip(directories(&runs, self.out.as_deref())?) {
            let record = Record::open(Path::new(run))?.knowing(&program.registry);
            let experiment = record.experiment(settings.entries())?;
            crate::replay::check(&experiment)?;
            record.streams(&crate::replay::STREAMS, false)?;
            if run == first {
                experiment.configuration().notes().iter().for_each(remark);
            }
            prepared.push((record, experiment, directory));
        }
        let interrupted =
            interruptible("stopping, after the epochs in flight if there are any; once more to stop at once");
        let mut cases = Vec::new();
        for (record, experiment, directory) in prepared {
            let options = Options {
                directory,
                workers: self.workers(),
                cluster: None,
                observer: Arc::new(()),
                interrupted: Arc::clone(&interrupted),
            };
            let replayed = replay(&record, &experiment, options, program.build())?;
            let recorded = record.recorded_epochs()?;
            cases.push(Case { name: record.run().path().display().to_string(), replayed, recorded });
        }
        end_at_once();
        say_all(report(&cases));
        for directory in cases.iter().filter_map(|case| case.replayed.directory.as_ref()) {
            let sound = verify::verify(directory)?;
            say(format!("run directory: {} (verified: {sound})", directory.display()));
        }
        Ok(())
    }
}

impl Replay {
    /// How many threads work.
    pub(super) fn workers(&self) -> usize {
        self.workers.map_or(Options::default().workers, usize::from)
    }
}

/// An error if `out`, which may not be there yet, lies within one of the runs that are read.
fn refuse_within(out: &Path, runs: &[String]) -> Result<(), ConfigurationError> {
    let there = |path: &Path| match path.as_os_str().is_empty() {
        true => std::fs::canonicalize(".").ok(),
        false => std::fs::canonicalize(path).ok(),
    };
    let Some(place) = out.ancestors().find_map(there) else { return Ok(()) };
    let around = |run: &&String| std::fs::canonicalize(run).is_ok_and(|run| place.starts_with(run));
    match runs.iter().find(around) {
        Some(run) => Err(ConfigurationError::Usage(format!(
            "--out {}: lies within the run {run}, which is read; choose a directory outside of it",
            out.display()
        ))),
        None => Ok(()),
    }
}

/// Where each run's replay goes: `out` itself for one run, directories below it with the names of several.
pub(super) fn directories(runs: &[String], out: Option<&Path>) -> Result<Vec<Option<PathBuf>>, Error> {
    let Some(out) = out else { return Ok(vec![None; runs.len()]) };
    if runs.len() == 1 {
        return Ok(vec![Some(out.to_owned())]);
    }
    let mut taken = BTreeSet::new();
    let below = runs.iter().map(|run| {
        let path = std::fs::canonicalize(run).unwrap_or_else(|_| PathBuf::from(run));
        let name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
        if !taken.insert(name.clone()) {
            let (name, out) = (name.to_string_lossy(), out.display());
            return Err(ConfigurationError::Usage(format!(
                "two runs are called {name}, and would both be written to {out}/{name}; write them one by one"
            ))
            .into());
        }
        Ok(Some(out.join(name)))
    });
    below.collect()
}
