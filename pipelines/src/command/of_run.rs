//! The network of a run, as commands name it.

use std::path::PathBuf;

use clap::Args;

use super::single_run_of;
use crate::terminal::remark;
use crate::trained::TrainedNetwork;
use crate::{App, Result};

/// A run, and which of its weights.
#[derive(Args, Debug)]
pub(super) struct OfRun {
    /// The run directory
    pub(super) run: PathBuf,
    /// Take the weights of the best epoch on the validation set (data.validation), not the last ones
    #[arg(long)]
    best: bool,
}

impl OfRun {
    /// Reads the network, and prints what is worth knowing of it.
    ///
    /// # Errors
    /// If there is no run, or it has no such weights.
    pub(super) fn open(&self, app: &App) -> Result<TrainedNetwork> {
        let (registry, run) = (&app.registry, single_run_of(&self.run)?);
        let open = if self.best { TrainedNetwork::open_best } else { TrainedNetwork::open };
        let trained = open(registry, &run)?;
        trained.notes().iter().for_each(remark);
        Ok(trained)
    }
}
