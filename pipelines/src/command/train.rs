//! `spfde train`, and the same for a pipeline of your own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use spfde_data::files::run_directory::refuse_taken;
use spfde_data::{EpochRow, TimingRow, counted};
use spfde_flow::Observer;

use super::progress::Progress;
use super::together::Together;
use super::{STOPPING, end_at_once, interruptible, single_run_of, workers};
use crate::cluster::Cluster;
use crate::report::schedule;
use crate::report::summary::{end_json, summary};
use crate::terminal::{Style, prints, remark, say, say_all, say_file, say_json, set_style, show, take_away};
use crate::verify::verify;
use crate::{App, Configuration, Experiment, Options, Result, Source, session};

/// Train a network, and record every decision.
///
/// Settings come from FILE.toml, if given, then from key=value words; `spfde list` shows all keys. Without
/// any the default pipeline trains on the embedded Fashion-MNIST.
#[derive(Args, Debug)]
#[command(after_help = "\
Other weights to begin with:
  spfde train model.name=resnet20 model.weights=resnet20.safetensors
  spfde train --from runs/resnet20-0-1 train.epochs=30 train.learning_rate=0.05
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
    /// Go on from a finished run: its weights, masks and momenta, and its settings where nothing else is set.
    /// Policies, the learning rate and what adamw keeps begin anew
    #[arg(long, value_name = "RUN")]
    from: Option<PathBuf>,
    /// With --from: take the best epoch of that run on the validation set, not the last
    #[arg(long, requires = "from")]
    best: bool,
    /// Where to write the run; must not exist or be empty [default: runs/MODEL-SEED-N]. For a process other
    /// than process 0: where it sees the run directory [default: where process 0 does]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Print the schedule, FLOPs, memory and the resolved configuration, and end
    #[arg(long, conflicts_with = "quiet")]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    together: Together,
}

impl Train {
    /// Runs the experiment of the settings.
    pub(super) fn run(self, app: &App) -> Result<()> {
        let Self { words, from, best, run_dir: directory, dry_run, output, together } = self;
        output.begin();
        if let Some(path) = directory.as_ref().filter(|_| !dry_run && !together.is_other()) {
            // Before the data is read. Creating it checks again.
            refuse_taken(path)?;
        }
        let source = Source::from_words(&words)?;
        let configuration = match &from {
            Some(run) => {
                Configuration::from_run(&app.registry, &single_run_of(run)?, best, source.entries())?
            }
            None => Configuration::resolve_over(&app.registry, &[], source.entries())?,
        };
        let experiment = Experiment::new(configuration)?;
        experiment.configuration().notes().iter().for_each(remark);
        if dry_run {
            let workers = workers(together.workers, experiment.settings().shards, 1);
            say_all(schedule::schedule(&experiment, workers));
            say("");
            say_file(experiment.configuration().to_toml());
            say_json(|| json!({"event": "settings", "settings": experiment.configuration().settings()}));
            return Ok(());
        }
        let cluster = together.cluster()?;
        train(&experiment, &output, &together, cluster, &Before::default(), |options| {
            session::run(&experiment, Options { directory, ..options }, app.build())
        })
    }
}

/// What was recorded before, of a run that goes on: the epochs that are complete, and the times they took.
pub(super) type Before = (Vec<EpochRow>, Vec<TimingRow>);

/// Has `work` train, prints each epoch's row when it is committed, and the summary at the end, or where the
/// run was stopped; verifies the trace of a finished run. Process 0 of several does all that for the others.
pub(super) fn train(
    experiment: &Experiment,
    output: &Output,
    together: &Together,
    cluster: Option<Arc<Cluster>>,
    (epochs, timings): &Before,
    work: impl FnOnce(Options) -> Result<PathBuf>,
) -> Result<()> {
    let processes = cluster.as_ref().map_or(1, |cluster| cluster.processes());
    let workers = workers(together.workers, experiment.settings().shards, processes);
    let interrupted = interruptible(STOPPING);
    // Of several processes only the workers of this one are seen, whose time says little.
    let dense = processes == 1 && !output.no_dense && !output.quiet;
    let progress = Arc::new(Progress::new(experiment, dense));
    let bar = &progress.bar;
    if prints(Style::Text) {
        show(bar);
        // Its clock goes on between steps, too.
        bar.enable_steady_tick(Duration::from_millis(500));
    }
    progress.recall(epochs, timings);
    let observer = Arc::clone(&progress) as Arc<dyn Observer>;
    let result = work(Options { directory: None, workers, cluster, observer, interrupted });
    take_away(bar);
    if together.is_other() {
        say(format!("run directory: {} (process 0 verifies it)", result?.display()));
        return Ok(());
    }
    if result.is_ok() {
        // The run is finished.
        end_at_once();
    }
    let state = progress.state();
    if !state.epochs.is_empty() {
        say("");
        if result.is_err() {
            let (reached, epochs) = (state.epochs.len(), counted(experiment.plan().epochs, "epoch"));
            say(format!("stopped after {reached} of {epochs}"));
        }
        say_all(summary(experiment, &state));
        progress.remark_on_end();
    }
    let ended = result.and_then(|directory| Ok((verify(&directory)?, directory)));
    let sound = ended.as_ref().map(|(sound, _)| Some(sound));
    say_json(|| end_json(&progress.state(), progress.directory(), sound));
    let (sound, directory) = ended?;
    say(format!("run directory: {} (verified: {sound})", directory.display()));
    Ok(())
}

/// What is printed.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// Print nothing but errors
    #[arg(long, conflicts_with = "json")]
    pub(super) quiet: bool,
    /// Print an object of JSON a line: the settings, each epoch as in the table `epochs`, the end
    #[arg(long)]
    json: bool,
    /// Do not measure dense steps at the start; the time of dense training is then not estimated. They take
    /// at most 1 % of a run
    #[arg(long)]
    pub(super) no_dense: bool,
}

impl Output {
    /// From now on the program prints as it was told.
    pub(super) fn begin(&self) {
        set_style(match (self.quiet, self.json) {
            (true, _) => Style::Quiet,
            (_, true) => Style::Json,
            _ => Style::Text,
        });
    }
}
