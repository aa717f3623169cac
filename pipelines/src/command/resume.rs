//! `spfde resume`: a run goes on where it ended.

use std::path::PathBuf;

use clap::Args;
use spfde_data::counted;
use spfde_data::files::Manifest;

use super::single_run_of;
use super::together::Together;
use super::train::{Output, train};
use crate::replay::rows;
use crate::report::summary::{State, end_json};
use crate::terminal::{Style, prints, remark, say, say_json};
use crate::{App, Experiment, Result, Resumed};

/// Go on with a run that ended before its last epoch, to its configured end.
///
/// Training goes on from the last checkpoint (`train.checkpoint_every`); epochs recorded after it are trained
/// again. Trace and weights get the same bits as those of a run that was never interrupted, with any number
/// of workers and processes before and now. Without a checkpoint the run begins again; of a finished run
/// nothing is left to do.
#[derive(Args, Debug)]
pub(super) struct Resume {
    /// The run directory
    run: PathBuf,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    together: Together,
}

impl Resume {
    /// Goes on with the run.
    pub(super) fn run(self, app: &App) -> Result<()> {
        self.output.begin();
        // Before anything is done to the run.
        let cluster = self.together.cluster()?;
        let run = single_run_of(&self.run)?;
        let name = run.display();
        let is_first = !self.together.is_other();
        let unfinished = match Resumed::take(&app.registry, &run, Experiment::new, is_first)? {
            Resumed::Finished(epochs) => {
                let mut state = State::default();
                if prints(Style::Json) {
                    state.epochs = rows(&run, &Manifest::read(&run)?, 0..epochs)?;
                }
                say(format!("{name}: is finished ({}); nothing is left to do", counted(epochs, "epoch")));
                say_json(|| end_json(&state, Some(&run), Ok(None)));
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
            epoch => format!("{name}: goes on from its checkpoint after epoch {epoch} of {epochs}"),
        });
        let before = unfinished.before()?;
        train(&experiment, &self.output, &self.together, cluster, &before, |options| {
            unfinished.run(options, app.build())
        })
    }
}
