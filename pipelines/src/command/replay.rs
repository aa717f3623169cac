//! `spfde replay`, and the same for a pipeline of your own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args};
use spfde_data::files::run_directory::refuse_taken;
use spfde_data::{CensoredRow, EpochRow, Repeats, Setting, Value};
use spfde_flow::Observer;

use super::follow::follow;
use super::{end_at_once, interruptible, single_run_of};
use crate::grid::Column;
use crate::replay::{STREAMS, check, replay, streams};
use crate::report::replay::{Case, line, line_json, report, sums, sums_json};
use crate::terminal::{Style, remark, say, say_all, say_json, set_style};
use crate::verify::verify;
use crate::{App, Error, Options, Record, Replayed, Result, Source};

/// Replay recorded runs under other policies, without training: what would have been decided, at what cost.
///
/// Without settings a run is replayed under its own policies, and gives its own decisions and costs. Settings
/// are the keys of the mask, freeze and sieve policies, and the seed; what is not set is as the run had it.
/// Decisions and costs are exact; accuracy is not predicted, since the recorded scores come from the recorded
/// decisions. What a policy asks for and the record lacks is counted as censored; a run trained with
/// trace.observe=full lacks nothing.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("judged").args(["scores", "grid"]).multiple(true))]
#[command(group = ArgGroup::new("bare").args(["scores", "gradients"]).multiple(true))]
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
  spfde replay --scores 'scores/*/rank-?.parquet' --first-epoch 1 --repeats last sieve.fraction=0.3 --out kept
                                                                   which samples stay: kept/kept.parquet
  spfde replay --gradients recorded/gradients --grid freeze.policy=progressive,gradient-norm
                                                                   when each would have frozen each block
  spfde replay --scores scores --grid sieve.policy=circular,forgetting --sort changes --out grid")]
pub(super) struct Replay {
    /// Recorded runs, then settings such as `sieve.fraction=0.3`
    #[arg(value_name = "RUN | key=value", required_unless_present = "bare")]
    pub(super) words: Vec<String>,
    /// Judge sieve policies by bare score files instead of a run: Parquet files, directories with all files
    /// *.parquet below them, or patterns. Columns: sample (a number or a text), epoch, step, correct, and
    /// loss for policies that read it; epoch and step may be directories (epoch=3/a.parquet). The last epoch
    /// is decided, too
    #[arg(long, value_name = "PATH")]
    pub(super) scores: Vec<PathBuf>,
    /// Judge freeze policies by bare norms of gradients, with --scores or without: all files *.parquet in
    /// DIR, such as spfde_recorder.py writes them, with the layers in layers.toml, there or beside DIR
    #[arg(long, value_name = "DIR", conflicts_with = "follow")]
    pub(super) gradients: Option<PathBuf>,
    /// The number of the first epoch in the files: epoch 0 of the results
    #[arg(long, value_name = "N", requires = "bare", default_value_t = 0)]
    pub(super) first_epoch: u32,
    /// Which row counts where a sample has several in one epoch: the last step's, the first step's, or none
    /// (refuse)
    ///
    /// Of the rows of one step, a wrong answer counts before a right one, then the greater loss. The order of
    /// files and rows never counts.
    #[arg(long, value_name = "WHICH", requires = "scores", default_value = "refuse",
          value_parser = repeats())]
    pub(super) repeats: Repeats,
    /// Judge every value of a key, with every combination of several such lists, all at once; the results are
    /// a table, in DIR/grid.parquet
    #[arg(long, value_name = "key=a,b,c")]
    pub(super) grid: Vec<String>,
    /// Write the decisions of every member of a grid, too (of several runs: below DIR for each; of scores:
    /// with kept.parquet); without --grid they are written anyway
    #[arg(long, requires = "grid", requires = "out")]
    pub(super) decisions: bool,
    /// Column by which the table of a grid is sorted, best first
    #[arg(long, value_name = "COLUMN", default_value = "member", requires = "judged")]
    pub(super) sort: Column,
    /// Print JSON: the table of a grid on one line; else an object a line, for each epoch and for each run's
    /// end
    #[arg(long)]
    pub(super) json: bool,
    /// Follow a run that another process is training: take each epoch when it is committed, until the run is
    /// finished or interrupted; what is printed grows with it
    #[arg(long, conflicts_with = "scores")]
    pub(super) follow: bool,
    /// Where to write the decisions, and the costs or the table of a grid; must not exist or be empty
    /// [default: print the table only]
    ///
    /// Of a run: decisions and costs, as a run of their own (of several runs: one below DIR for each).
    ///
    /// Of a grid over runs: the table grid.parquet, and the decisions with --decisions.
    ///
    /// Of scores: kept.parquet: which samples the last decision keeps; trace/sieves: every decision;
    /// grid.parquet: sums by epoch; sample-names.parquet: the numbers of samples that are texts. With --grid,
    /// kept.parquet and trace/sieves need --decisions.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Threads of this process that work; the result has the same bits for any number [default: the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) workers: Option<u16>,
}

/// The parser of `--repeats`.
fn repeats() -> impl TypedValueParser<Value = Repeats> {
    let named = |name| Repeats::from_value(&Value::Text(name)).expect("the names were checked");
    PossibleValuesParser::new(Repeats::NAMES.iter().copied()).map(named)
}

impl Replay {
    /// Replays the runs, and prints the table.
    pub(super) fn run(self, app: &App) -> Result<()> {
        if !self.scores.is_empty() || self.gradients.is_some() {
            return self.judge(app);
        }
        let (settings, runs): (Vec<String>, Vec<String>) =
            self.words.iter().cloned().partition(|word| word.contains('=') && !Path::new(word).exists());
        let runs =
            runs.iter().map(|word| single_run_of(Path::new(word))).collect::<Result<Vec<PathBuf>>>()?;
        if runs.is_empty() {
            return Err(Error::usage("a recorded run is missing, such as runs/resnet20-0-1"));
        }
        let settings = Source::from_words(&settings)?;
        if let Some(out) = &self.out {
            refuse_within(out, &runs)?;
            match self.grid.is_empty() {
                true => refuse_taken(out)?,
                false => crate::grid::refuse_taken(out)?,
            }
        }
        if self.follow && runs.len() > 1 {
            let runs = runs.len();
            let words = format!("--follow takes one run, not {runs}; follow each in a terminal of its own");
            return Err(Error::usage(words));
        }
        if !self.grid.is_empty() {
            return self.judge_runs(app, &runs, &settings);
        }
        if self.json {
            set_style(Style::Json);
        }
        // Everything that can be refused is refused before any work.
        let mut prepared = Vec::new();
        for (run, directory) in runs.iter().zip(directories(&runs, self.out.as_deref())?) {
            let record = self.open(run, app)?;
            let experiment = record.experiment(settings.entries())?;
            check(&experiment)?;
            let recorded = match self.follow {
                true => Vec::new(),
                false => {
                    streams(&record, &STREAMS, &[&experiment])?;
                    record.recorded_epochs()?
                }
            };
            if prepared.is_empty() {
                experiment.configuration().notes().iter().for_each(remark);
            }
            prepared.push((record, experiment, directory, recorded));
        }
        let interrupted = interruptible(STOPPING);
        let (mut cases, mut ends) = (Vec::new(), Vec::new());
        for (record, experiment, directory, mut recorded) in prepared {
            let (name, planned) = (record.run().path().display().to_string(), record.run().manifest().epochs);
            let (workers, interrupted) = (self.workers(), Arc::clone(&interrupted));
            let lines = Arc::new(Lines { run: name.clone(), follow: self.follow, seen: Mutex::default() });
            let observer = Arc::clone(&lines) as Arc<dyn Observer>;
            let options = Options { directory, workers, interrupted, observer, cluster: None };
            let found = match self.follow {
                true => follow(&record, &experiment, options, app, &mut recorded),
                false => replay(&record, &experiment, options, app.build()),
            };
            let (replayed, ended) =
                found.map_or_else(|error| (lines.seen(), Err(error)), |found| (found, Ok(())));
            let freeze = Arc::clone(&experiment.settings().policies.freeze);
            cases.push(Case { name, replayed, recorded, planned, freeze });
            ends.push(ended);
            if ends.iter().any(Result::is_err) {
                break;
            }
        }
        end_at_once();
        // A table would lack runs.
        let is_whole = ends.iter().all(Result::is_ok);
        if is_whole && self.follow {
            say("");
            cases.iter().map(sums).for_each(say_all);
        } else if is_whole {
            say_all(report(&cases));
        }
        // Every run has its end; the first error is that of the command.
        cases.iter().zip(ends).map(|(case, ended)| end(case, ended)).fold(Ok(()), Result::and)
    }

    /// Opens a run, which may still go on if it is followed.
    pub(super) fn open(&self, run: &Path, app: &App) -> Result<Record> {
        let open = if self.follow { Record::open_unfinished } else { Record::open };
        Ok(open(run)?.knowing(&app.registry))
    }

    /// How many threads work.
    pub(super) fn workers(&self) -> usize {
        self.workers.map_or(Options::default().workers, usize::from)
    }
}

/// Verifies what a replay has written, and prints how it ended.
fn end(case: &Case, ended: Result<()>) -> Result<()> {
    let directory = case.replayed.directory.as_deref();
    let ended = ended.and_then(|()| directory.map(verify).transpose());
    say_json(|| sums_json(case, ended.as_ref().map(Option::as_ref)));
    for (directory, sound) in directory.iter().zip(ended?) {
        say(format!("run directory: {} (verified: {sound})", directory.display()));
    }
    Ok(())
}

/// Prints an object for each epoch, or a line for people if its run is followed.
struct Lines {
    run: String,
    follow: bool,
    seen: Mutex<(Vec<EpochRow>, Vec<CensoredRow>)>,
}

impl Lines {
    /// Adds a row of one of the two tables, whose rows come in their order.
    fn take(&self, add: impl FnOnce(&mut Vec<EpochRow>, &mut Vec<CensoredRow>)) {
        let (costs, lacking) = &mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let printed = costs.len().min(lacking.len());
        add(costs, lacking);
        if let (Some(costs), Some(lacking)) = (costs.get(printed), lacking.get(printed)) {
            if self.follow {
                say(line(costs, lacking));
            }
            say_json(|| line_json(&self.run, costs, lacking));
        }
    }

    /// What a replay found until it failed; nothing of it is kept.
    fn seen(&self) -> Replayed {
        let (epochs, censored) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Replayed { directory: None, epochs, censored, end: None }
    }
}

impl Observer for Lines {
    fn epoch(&self, row: &EpochRow) {
        self.take(|costs, _| costs.push(row.clone()));
    }

    fn censored(&self, row: &CensoredRow) {
        self.take(|_, lacking| lacking.push(row.clone()));
    }
}

/// What a request to end a replay is answered.
pub(super) const STOPPING: &str =
    "stopping, after the epochs in flight if there are any; once more to stop at once";

/// An error if `out`, which may not be there yet, lies within one of the runs that are read.
fn refuse_within(out: &Path, runs: &[PathBuf]) -> Result<()> {
    let there = |path: &Path| {
        std::fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()
    };
    let Some(place) = out.ancestors().find_map(there) else { return Ok(()) };
    let around = runs.iter().find(|run| there(run).is_some_and(|run| place.starts_with(run)));
    around.map_or(Ok(()), |run| {
        let (out, run) = (out.display(), run.display());
        let advice = "which is read; choose a directory outside of it";
        Err(Error::usage(format!("--out {out}: lies within the run {run}, {advice}")))
    })
}

/// Where each run's replay goes: `out` itself for one run, directories below it with the names of several.
pub(super) fn directories(runs: &[PathBuf], out: Option<&Path>) -> Result<Vec<Option<PathBuf>>> {
    let Some(out) = out else { return Ok(vec![None; runs.len()]) };
    if runs.len() == 1 {
        return Ok(vec![Some(out.to_owned())]);
    }
    let mut below = Vec::new();
    for run in runs {
        let path = std::fs::canonicalize(run).unwrap_or_else(|_| run.clone());
        let name = Path::new(path.file_name().unwrap_or(path.as_os_str()));
        let directory = Some(out.join(name));
        if below.contains(&directory) {
            let (name, out) = (name.display(), out.display());
            return Err(Error::usage(format!(
                "two runs are called {name}, and would both be written to {out}/{name}; write them one by one"
            )));
        }
        below.push(directory);
    }
    Ok(below)
}
