//! `spfde sweep`: a batch of experiments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use spfde_data::counted;
use spfde_data::files::run_directory::{Hold, is_held};
use spfde_data::files::{MANIFEST_NAME, atomic};

use super::{end_at_once, interruptible};
use crate::compare::table;
use crate::report::table::{or_dash, precise};
use crate::sweep::{Job, Outcome, Progress, Row, Sweep, failures, summary, train, write};
use crate::terminal::{remark, say, say_all};
use crate::{App, Error, Result};

/// Train a batch of experiments: every combination of a grid, single ones, each with several seeds.
///
/// A run is in DIR/<member>-<seed>, and the table of all is DIR/sweep.parquet. Started again after any end,
/// a sweep goes on where it was; runs that failed are tried again. A run that fails keeps no other from
/// being trained: the command tells at its end, and ends with 1.
#[derive(Args, Debug)]
#[command(after_help = "\
A file:
  name = \"sparsity\"
  seeds = [0, 1, 2]
  [base]                                           # keys as in a configuration, of all experiments
  train.epochs = 16
  [grid]                                           # all combinations
  mask.policy = [\"set\", \"mest-ems\"]
  mask.sparsity = [0.9, 0.95]
  [[list]]                                         # a single experiment more
  mask.policy = \"dense\"

Examples:
  spfde sweep sparsity.toml                        one run after another, in runs/sparsity
  spfde sweep sparsity.toml --parallel 2           two at a time, which share the cores
  spfde sweep sparsity.toml --follow               from another terminal: the table so far")]
pub(super) struct SweepFile {
    /// The file
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// The directory of its runs [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs that are trained side by side, each on its part of the cores
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Train nothing: print the table so far, and again when a run is finished, as long as another process
    /// works on the sweep
    #[arg(long, conflicts_with = "parallel")]
    follow: bool,
}

/// How often a sweep that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What a request to end a sweep is answered.
const STOPPING: &str = "stopping; once more to stop at once";

impl SweepFile {
    /// Trains the experiments, or tells of them.
    pub(super) fn run(self, app: &App) -> Result<()> {
        let sweep = Sweep::read(&self.file)?;
        let out = self.out.unwrap_or_else(|| Path::new("runs").join(&sweep.name));
        let jobs = sweep.jobs(&out);
        if self.follow {
            return follow(&sweep, &jobs, &out);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let parallel = usize::from(self.parallel);
        if parallel > cores {
            let cores = counted(cores, "core");
            return Err(Error::usage(format!("--parallel {parallel}: this machine has {cores}")));
        }
        sweep.check(&app.registry, &jobs)?.iter().for_each(remark);
        if out.join(MANIFEST_NAME).exists() {
            let out = out.display();
            return Err(Error::usage(format!(
                "{out}: is the directory of a run; name another one with --out"
            )));
        }
        atomic::create_directory(&out)?;
        let _held = Hold::take(&out)?;
        let interrupted = interruptible(STOPPING);
        let (runs, members) = (counted(jobs.len(), "run"), counted(sweep.members.len(), "experiment"));
        say(format!("{}: {members}, {runs} in {}", sweep.name, out.display()));
        // Those that failed before have failed until they are tried again.
        let failed = Mutex::new(failures(&jobs, &out));
        let lines = Lines { sweep: &sweep, jobs: &jobs, out: &out, failed };
        let ended = train(&sweep, &jobs, parallel, cores / parallel, &interrupted, &lines);
        end_at_once();
        let failed = lines.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let rows = look(&jobs, &failed);
        let path = write(&sweep, &rows, &out)?;
        tell(&sweep, &rows);
        say(format!("table: {}", path.display()));
        ended?;
        match failed.into_iter().next() {
            None => Ok(()),
            // The command told the reason of each when it ended.
            Some((at, _)) => {
                let failed = rows.iter().filter(|row| row.outcome == Outcome::Failed).count();
                let (first, table) = (jobs[at].directory.display(), path.display());
                Err(Error::failed(format!("{failed} of {runs} failed, the first: {first}; {table} says why")))
            }
        }
    }
}

/// Looks at all runs.
fn look(jobs: &[Job], failed: &BTreeMap<usize, String>) -> Vec<Row> {
    jobs.iter().enumerate().map(|(at, job)| Row::look(job, failed.get(&at).map(String::as_str))).collect()
}

/// Prints the table, and what is not in it.
fn tell(sweep: &Sweep, rows: &[Row]) {
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    say("");
    if count(Outcome::Finished) + count(Outcome::Failed) > 0 {
        say_all(table(&summary(sweep, rows)));
        say("");
    }
    let all = [Outcome::Finished, Outcome::Running, Outcome::Stopped, Outcome::Failed, Outcome::Waiting];
    let counts = all.into_iter().filter(|outcome| count(*outcome) > 0);
    let counts: Vec<String> =
        counts.map(|outcome| format!("{} {}", count(outcome), outcome.name())).collect();
    say(format!("{}: {}", counted(rows.len(), "run"), counts.join(", ")));
}

/// Prints the table and why runs failed, now and whenever a run ends, until no process works on the sweep.
fn follow(sweep: &Sweep, jobs: &[Job], out: &Path) -> Result<()> {
    if !out.is_dir() {
        let (out, name) = (out.display(), &sweep.name);
        return Err(Error::failed(format!(
            "{out}: there is nothing of that name; the sweep {name} was not begun"
        )));
    }
    let mut ended = None;
    loop {
        let held = is_held(out)?;
        let rows = look(jobs, &failures(jobs, out));
        let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
        let now = [count(Outcome::Finished), count(Outcome::Failed)];
        if ended.replace(now) != Some(now) || !held {
            tell(sweep, &rows);
            for row in rows.iter().filter(|row| row.outcome == Outcome::Failed) {
                let reason = row.reason.as_deref().unwrap_or("–");
                say(format!("{}: failed: {reason}", row.job.directory.display()));
            }
        }
        if !held {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Prints a line for each run, and keeps the table on disk up to date.
struct Lines<'a> {
    sweep: &'a Sweep,
    jobs: &'a [Job],
    out: &'a Path,
    /// Why runs failed, by their places.
    failed: Mutex<BTreeMap<usize, String>>,
}

impl Progress for Lines<'_> {
    fn begun(&self, job: usize) -> Result<()> {
        say(format!("{}: begins", self.jobs[job].directory.display()));
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failed.remove(&job) {
            None => Ok(()),
            Some(_) => write(self.sweep, &look(self.jobs, &failed), self.out).map(drop),
        }
    }

    fn ended(&self, job: usize, reason: Option<&str>) -> Result<()> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => failed.insert(job, reason.to_owned()),
            // It may have been brought to its end by another process.
            None => failed.remove(&job),
        };
        let rows = look(self.jobs, &failed);
        let case = rows[job].case.as_ref();
        let accuracy = or_dash(case.and_then(|case| case.test_accuracy), precise);
        let seconds = or_dash(case.and_then(|case| case.seconds), |seconds| format!("{seconds:.0} s"));
        let directory = self.jobs[job].directory.display();
        say(match reason {
            Some(reason) => format!("{directory}: failed: {reason}"),
            None => format!("{directory}: test accuracy {accuracy}, {seconds}"),
        });
        write(self.sweep, &rows, self.out).map(drop)
    }
}
