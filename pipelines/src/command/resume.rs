//! `spfde resume`: a run goes on where it ended.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::together::Together;
use super::train::{conclude, show_bar};
use super::{STOPPING, interruptible, workers};
use crate::command::Program;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::progress::Progress;
use crate::resume::Resumed;
use crate::session::Options;
use crate::terminal::{remark, say};

/// Go on with a run that ended before its last epoch, to its configured end.
///
/// Training goes on from the last checkpoint (`train.checkpoint_every`); epochs recorded after it are trained
/// again. Trace and weights get the same bits as those of a run that was never interrupted, with any number
/// of workers and processes before and now. Without a checkpoint the run begins again; of a finished run
/// nothing is left to do.
#[derive(Args, Debug)]
pub struct Resume {
    /// The run directory
    run: PathBuf,
    /// Threads of this process that train; need not be as many as before [default: the cores, up to
    /// train.shards]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    #[command(flatten)]
    together: Together,
}

impl Resume {
    /// Goes on with the run.
    ///
    /// # Errors
    /// Whatever [`Resumed::open`] and [`crate::run`] refuse.
    pub(crate) fn run(self, program: &Program) -> Result<(), Error> {
        // Before anything is done to the run.
        let cluster = self.together.cluster()?;
        let name = self.run.display();
        let resumed = match self.together.is_other() {
            true => Resumed::join(&program.registry, &self.run, Experiment::new)?,
            false => Resumed::open(&program.registry, &self.run, Experiment::new)?,
        };
        let unfinished = match resumed {
            Resumed::Finished(epochs) => {
                let all =
                    if epochs == 1 { "its epoch is".to_owned() } else { format!("all {epochs} epochs are") };
                say(format!("{name}: is finished: {all} there; nothing is left to do"));
                return Ok(());
            }
            Resumed::Unfinished(unfinished) => unfinished,
        };
        let experiment = unfinished.experiment().clone();
        experiment.configuration().notes().iter().chain(unfinished.notes()).for_each(remark);
        let epochs = experiment.settings().epochs;
        say(match unfinished.epoch() {
            _ if unfinished.joins() => format!("{name}: goes on together with process 0"),
            0 => format!("{name}: there is no checkpoint; starts from the beginning"),
            epoch => format!("{name}: goes on from its checkpoint at epoch {epoch} of {epochs}"),
        });
        let processes = cluster.as_ref().map_or(1, |cluster| cluster.processes());
        let workers = workers(self.workers, experiment.settings().shards, processes);
        let interrupted = interruptible(STOPPING);
        let progress = Arc::new(Progress::new(&experiment).among(processes));
        show_bar(&progress);
        let (rows, timings) = unfinished.before()?;
        progress.recall(&rows, &timings);
        let observer = Arc::clone(&progress) as Arc<dyn spfde_flow::Observer>;
        let options = Options { directory: None, workers, cluster, observer, interrupted };
        let result = unfinished.run(options, program.build());
        conclude(&experiment, &progress, result, self.together.is_other())
    }
}
