//! `spfde train`, and the same for a pipeline of your own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::together::Together;
use super::{STOPPING, end_at_once, interruptible, refuse_taken, workers};
use crate::command::Program;
use crate::configuration::{Configuration, Source};
use crate::error::Error;
use crate::experiment::Experiment;
use crate::progress::Progress;
use crate::report::{schedule, summary};
use crate::session::{self, Options};
use crate::terminal::{remark, say, say_all, show, take_away};
use crate::verify;

/// Train a network, and record every decision.
///
/// Settings come from FILE.toml, if given, then from key=value words; `spfde list` shows all keys. Without
/// any the default pipeline trains on the embedded Fashion-MNIST.
#[derive(Args, Debug)]
#[command(after_help = "\
Several processes, here two on one machine; the result has the same bits:
  printf '127.0.0.1:2101\\n127.0.0.1:2102\\n' > hosts
  spfde train --hosts hosts --process 1 --workers 1 &
  spfde train --hosts hosts --process 0 --workers 1
All processes have to see the run directory. A process that does not fit is told why and ends with exit
code 2; if one is missing after --wait seconds all end with 1; if one is lost later all others end with 3, and
`spfde resume` goes on. The others wait for one that is stopped (SIGSTOP); a second Ctrl-C ends a process at
once.")]
pub struct Train {
    /// A configuration file, then settings such as `mask.sparsity=0.95`
    #[arg(value_name = "FILE.toml | key=value")]
    words: Vec<String>,
    /// Where to write the run; must not exist or be empty [default: runs/MODEL-SEED-N]. For a process other
    /// than process 0: where it sees the run directory [default: where process 0 does]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Threads of this process that train; the result has the same bits for any number [default: the cores,
    /// up to train.shards]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Print the resolved configuration, the schedule, FLOPs and memory, and end
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    together: Together,
}

impl Train {
    /// Runs the experiment of the settings.
    ///
    /// # Errors
    /// Whatever [`Experiment::new`] and [`crate::run`] refuse.
    pub(crate) fn run(self, program: &Program) -> Result<(), Error> {
        if let Some(path) = self.run_dir.as_ref().filter(|_| !self.dry_run && !self.together.is_other()) {
            refuse_taken(path)?;
        }
        let source = Source::from_words(&self.words)?;
        let configuration = Configuration::resolve_over(&program.registry, &[], source.entries())?;
        let experiment = Experiment::new(configuration)?;
        experiment.configuration().notes().iter().for_each(remark);
        if self.dry_run {
            say_all(experiment.configuration().to_toml());
            say_all(schedule::schedule(&experiment));
            return Ok(());
        }
        let cluster = self.together.cluster()?;
        let processes = cluster.as_ref().map_or(1, |cluster| cluster.processes());
        let workers = workers(self.workers, experiment.settings().shards, processes);
        let interrupted = interruptible(STOPPING);
        let progress = Arc::new(Progress::new(&experiment).among(processes));
        show_bar(&progress);
        let options = Options {
            directory: self.run_dir,
            workers,
            cluster,
            observer: Arc::clone(&progress) as Arc<dyn spfde_flow::Observer>,
            interrupted,
        };
        let result = session::run(&experiment, options, program.build());
        conclude(&experiment, &progress, result, self.together.is_other())
    }
}

/// Shows the bar of a run; its clock goes on between steps, too.
pub(super) fn show_bar(progress: &Progress) {
    show(progress.bar());
    progress.bar().enable_steady_tick(Duration::from_millis(500));
}

/// Prints the table of a run that came to its end, and verifies its trace. One of the `other` processes
/// leaves both to process 0.
pub(super) fn conclude(
    experiment: &Experiment,
    progress: &Progress,
    result: Result<PathBuf, Error>,
    other: bool,
) -> Result<(), Error> {
    take_away(progress.bar());
    let directory = result?;
    if other {
        say(format!("run directory: {} (process 0 verifies it)", directory.display()));
        return Ok(());
    }
    // The run is finished.
    end_at_once();
    say_all(summary::summary(experiment, progress));
    let sound = verify::verify(&directory)?;
    say(format!("run directory: {} (verified: {sound})", directory.display()));
    Ok(())
}
