//! `spfde replay`, and the same for a pipeline of your own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgGroup, Args};
use spfde_flow::Run;

use super::{interruptible, remark, say};
use crate::configuration::{ConfigurationError, Source};
use crate::error::Error;
use crate::experiment::Experiment;
use crate::grid::{Axes, Column, GridOptions, RunCase, TABLE_NAME, judge_runs, judge_scores};
use crate::replay::{Record, replay};
use crate::report::replay::{Case, report};
use crate::report::{grid, run_grid};
use crate::session::Options;
use crate::verify;

/// Replay recorded runs under other policies, without training: what would have been decided, at what cost.
///
/// Without settings a run is replayed under its own policies, and gives its own decisions and costs. Settings are the
/// keys of the mask, freeze and sieve policies, and the seed; what is not set is as the run had it. Decisions and costs
/// are exact; accuracy is not predicted, since the recorded scores come from the recorded decisions. What a policy asks
/// for and the record lacks is counted as censored; a run trained with trace.observe=full lacks nothing.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("judged").args(["scores", "grid"]).multiple(true))]
#[command(after_help = "\
Examples:
  spfde replay runs/resnet20-0-1                                   its own policies
  spfde replay runs/resnet20-0-1 sieve.policy=random --out random  another sieve; the decisions become a run
  spfde replay runs/resnet20-*-1 freeze.policy=gradient-norm       several runs, with mean and spread
  spfde replay runs/resnet20-0-1 mask.sparsity=0.95                costs by that mask's schedule of densities
  spfde replay runs/resnet20-0-1 --grid sieve.fraction=0.1,0.2,0.3 --grid freeze.policy=none,gradient-norm --sort flops
                                                                   all six combinations at once
  spfde replay --scores scores sieve.policy=forgetting             which samples were never forgotten
  spfde replay --scores scores --grid sieve.policy=circular,forgetting --grid sieve.fraction=0.1,0.2,0.3 --out grid")]
pub struct Replay {
    /// Recorded runs, then settings such as `sieve.fraction=0.3`
    #[arg(value_name = "RUN | key=value", required_unless_present = "scores")]
    words: Vec<String>,
    /// Judge sieve policies by bare score files instead of a run: a Parquet file, or a directory of them, with the columns
    /// sample, epoch, step, correct, and optionally loss. The last epoch is decided, too
    #[arg(long, value_name = "PATH")]
    scores: Option<PathBuf>,
    /// Judge every value of a key, with every combination of several such lists, all at once; the results are a table, in
    /// DIR/grid.parquet
    #[arg(long, value_name = "key=a,b,c")]
    grid: Vec<String>,
    /// Write the decisions of every member of a grid, too (of several runs: below DIR for each); without --grid they are
    /// written anyway
    #[arg(long, requires = "grid", requires = "out")]
    decisions: bool,
    /// Column by which the table of a grid is sorted, best first
    #[arg(long, value_name = "COLUMN", default_value = "member", requires = "judged")]
    sort: Column,
    /// Print one line of JSON instead of the table of a grid
    #[arg(long, requires = "judged")]
    json: bool,
    /// Where to write the decisions and costs, as a run of their own (of several runs: one below it for each), or the table
    /// of a grid; must not exist or be empty [default: print the table only]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads that work; the result has the same bits for any number [default: the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

impl Replay {
    /// Replays the runs, each with the experiment that `prepare` makes of it, and prints the table.
    ///
    /// # Errors
    /// Whatever [`Record::open`] and [`crate::replay()`] refuse, for the first run that they refuse.
    pub fn run(
        self,
        prepare: impl Fn(Experiment) -> Result<Experiment, Error>,
        build: impl Fn(&Run<'_>) + Send + Sync + Clone + 'static,
    ) -> Result<(), Error> {
        if let Some(scores) = &self.scores {
            return self.judge(scores);
        }
        let (settings, runs): (Vec<String>, Vec<String>) =
            self.words.iter().cloned().partition(|word| word.contains('=') && !Path::new(word).is_dir());
        let Some(first) = runs.first() else {
            return Err(
                ConfigurationError::Missing { what: "a recorded run", example: "runs/resnet20-0-1" }.into()
            );
        };
        let settings = Source::from_words(&settings)?;
        if let Some(out) = &self.out {
            super::refuse_taken(out)?;
        }
        if !self.grid.is_empty() {
            return self.judge_runs(&runs, settings, prepare);
        }
        // Everything that can be refused is refused before any work.
        let mut prepared = Vec::new();
        for (run, directory) in runs.iter().zip(directories(&runs, self.out.as_deref())?) {
            let record = Record::open(Path::new(run))?;
            let experiment = prepare(record.experiment(settings.entries())?)?;
            crate::replay::check(&experiment)?;
            record.trace()?;
            if run == first {
                experiment.configuration().notes().iter().for_each(remark);
            }
            prepared.push((record, experiment, directory));
        }
        let interrupted = interruptible("stopping after the epochs in flight; once more to stop at once");
        let mut cases = Vec::new();
        for (record, experiment, directory) in prepared {
            let options = Options {
                directory,
                workers: self.workers.map_or(Options::default().workers, usize::from),
                observer: Arc::new(()),
                interrupted: Arc::clone(&interrupted),
            };
            let replayed = replay(&record, &experiment, options, build.clone())?;
            let recorded = record.recorded_epochs()?;
            cases.push(Case { name: record.run().path().display().to_string(), replayed, recorded });
        }
        say(report(&cases));
        for directory in cases.iter().filter_map(|case| case.replayed.directory.as_ref()) {
            let sound = verify::verify(directory)?;
            say(format!("run directory: {} (verified: {sound})", directory.display()));
        }
        Ok(())
    }
}

impl Replay {
    /// Judges sieve policies by bare scores.
    fn judge(&self, scores: &Path) -> Result<(), Error> {
        if let Some(word) = self.words.iter().find(|word| !word.contains('=')) {
            return Err(ConfigurationError::Word { word: word.clone() }.into());
        }
        let settings = Source::from_words(&self.words)?;
        let axes = Axes::from_words(&self.grid)?;
        if let Some(out) = &self.out {
            super::refuse_taken(out)?;
        }
        if self.sort.is_of_runs() {
            let column = self.sort.name();
            return Err(ConfigurationError::Sort { column }.into());
        }
        let judged = judge_scores(scores, settings.entries(), &axes, &self.grid_options())?;
        judged.notes.iter().for_each(remark);
        if self.json {
            say(grid::json(&judged, self.sort));
            return Ok(());
        }
        say(grid::report(&judged, self.sort));
        if let Some(out) = &self.out {
            say(format!("\ntable: {}", out.join(TABLE_NAME).display()));
        }
        Ok(())
    }
}

impl Replay {
    fn grid_options(&self) -> GridOptions {
        GridOptions {
            directory: self.out.clone(),
            decisions: self.decisions || self.grid.is_empty(),
            workers: self.workers.map_or(Options::default().workers, usize::from),
            interrupted: interruptible("stopping; once more to stop at once"),
        }
    }

    /// Judges a grid by the records of runs.
    fn judge_runs(
        &self,
        runs: &[String],
        settings: Source,
        prepare: impl Fn(Experiment) -> Result<Experiment, Error>,
    ) -> Result<(), Error> {
        let axes = Axes::from_words(&self.grid)?;
        let below = directories(runs, self.out.as_deref().filter(|_| self.decisions && runs.len() > 1))?;
        let mut cases = Vec::new();
        for (run, below) in runs.iter().zip(below) {
            let below = below.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
            cases.push(RunCase { below: below.unwrap_or_default(), ..RunCase::open(Path::new(run))? });
        }
        let judged = judge_runs(&cases, settings.entries(), &axes, prepare, &self.grid_options())?;
        judged.notes.iter().for_each(remark);
        if self.json {
            say(run_grid::json(&judged, self.sort));
            return Ok(());
        }
        say(run_grid::report(&judged, self.sort));
        if let Some(out) = &self.out {
            say(format!("\ntable: {}", out.join(TABLE_NAME).display()));
        }
        Ok(())
    }
}

/// Where each run's replay goes: `out` itself for one run, directories below it with the names of several.
fn directories(runs: &[String], out: Option<&Path>) -> Result<Vec<Option<PathBuf>>, Error> {
    let Some(out) = out else { return Ok(vec![None; runs.len()]) };
    if runs.len() == 1 {
        return Ok(vec![Some(out.to_owned())]);
    }
    let mut taken = BTreeSet::new();
    let below = runs.iter().map(|run| {
        let path = std::fs::canonicalize(run).unwrap_or_else(|_| PathBuf::from(run));
        let name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
        if !taken.insert(name.clone()) {
            let name = name.to_string_lossy().into_owned();
            return Err(ConfigurationError::SameName { name, out: out.display().to_string() }.into());
        }
        Ok(Some(out.join(name)))
    });
    below.collect()
}
