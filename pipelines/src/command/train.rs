//! `spfde train`, and the same for a pipeline of your own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use spfde_data::files::run_directory::refuse_taken;
use spfde_data::rows::{EpochRow, TimingRow};
use spfde_flow::Observer;

use super::together::Together;
use super::{STOPPING, end_at_once, interruptible, say_verified, workers};
use crate::app::App;
use crate::cluster::Cluster;
use crate::configuration::{Configuration, Source};
use crate::error::Error;
use crate::experiment::Experiment;
use crate::progress::Progress;
use crate::report::{schedule, summary};
use crate::session::{self, Options};
use crate::terminal::{remark, say, say_all, show, take_away};

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
pub(super) struct Train {
    /// A configuration file, then settings such as `mask.sparsity=0.95`
    #[arg(value_name = "FILE.toml | key=value")]
    words: Vec<String>,
    /// Where to write the run; must not exist or be empty [default: runs/MODEL-SEED-N]. For a process other
    /// than process 0: where it sees the run directory [default: where process 0 does]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Print the resolved configuration, the schedule, FLOPs and memory, and end
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    together: Together,
}

impl Train {
    /// Runs the experiment of the settings.
    pub(super) fn run(self, app: &App) -> Result<(), Error> {
        let Self { words, run_dir: directory, dry_run, together } = self;
        if let Some(path) = directory.as_ref().filter(|_| !dry_run && !together.is_other()) {
            // Before the data is read. Creating it checks again.
            refuse_taken(path)?;
        }
        let source = Source::from_words(&words)?;
        let configuration = Configuration::resolve_over(&app.registry, &[], source.entries())?;
        let experiment = Experiment::new(configuration)?;
        experiment.configuration().notes().iter().for_each(remark);
        if dry_run {
            say_all(experiment.configuration().to_toml());
            say_all(schedule::schedule(&experiment));
            return Ok(());
        }
        let cluster = together.cluster()?;
        train(&experiment, &together, cluster, &Before::default(), |options| {
            session::run(&experiment, Options { directory, ..options }, app.build())
        })
    }
}

/// What was recorded before, of a run that goes on: the epochs that are complete, and the times they took.
pub(super) type Before = (Vec<EpochRow>, Vec<TimingRow>);

/// Has `work` train, shows how it goes, prints the table of the run when it has come to its end, and verifies
/// its trace. One of several processes other than process 0 leaves both to that.
pub(super) fn train(
    experiment: &Experiment,
    together: &Together,
    cluster: Option<Arc<Cluster>>,
    (epochs, timings): &Before,
    work: impl FnOnce(Options) -> Result<PathBuf, Error>,
) -> Result<(), Error> {
    let processes = cluster.as_ref().map_or(1, |cluster| cluster.processes());
    let workers = workers(together.workers, experiment.settings().shards, processes);
    let interrupted = interruptible(STOPPING);
    let progress = Arc::new(Progress::new(experiment, processes));
    let bar = progress.bar();
    show(bar);
    // Its clock goes on between steps, too.
    bar.enable_steady_tick(Duration::from_millis(500));
    progress.recall(epochs, timings);
    let observer = Arc::clone(&progress) as Arc<dyn Observer>;
    let result = work(Options { directory: None, workers, cluster, observer, interrupted });
    take_away(bar);
    let directory = result?;
    if together.is_other() {
        say(format!("run directory: {} (process 0 verifies it)", directory.display()));
        return Ok(());
    }
    // The run is finished.
    end_at_once();
    say_all(summary::summary(experiment, &progress));
    say_verified(&directory)
}
