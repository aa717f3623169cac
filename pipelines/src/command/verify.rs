//! `spfde verify`: is a recorded run what it was?

use std::path::PathBuf;

use clap::Args;
use spfde_data::files::MANIFEST_NAME;

use super::{all_runs_of, tell};
use crate::grid::TABLE_NAME;
use crate::terminal::say;
use crate::verify::{verify, verify_scores};
use crate::{Error, Result};

/// Check runs: hashes, schemas, row counts, and that the deltas add up to what the tables say.
///
/// The directory that a replay of bare scores wrote has no manifest, and so no hashes. Of it the tables are
/// checked against each other: grid.parquet and kept.parquet say what the decisions add up to. A grid over
/// runs has no hashes either, and is refused: verify the runs.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The run directories; that of a sweep stands for its runs
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
}

impl Verify {
    /// Checks and says what was checked.
    ///
    /// # Errors
    /// If anything is not as it should be: all findings are printed. If a sweep has no run yet: nothing is
    /// checked then.
    pub(super) fn run(self) -> Result<()> {
        let mut failed: Option<Error> = None;
        for run in all_runs_of(&self.runs)? {
            let is_of_scores = !run.join(MANIFEST_NAME).exists() && run.join(TABLE_NAME).exists();
            let sound = match is_of_scores {
                true => verify_scores(&run),
                false => verify(&run).map(|sound| sound.to_string()),
            };
            match sound {
                Ok(sound) => say(format!("{}: sound: {sound}", run.display())),
                Err(error) => failed.replace(error).iter().for_each(tell),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
