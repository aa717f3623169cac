//! `spfde verify`: is a recorded run what it was?

use std::path::PathBuf;

use clap::Args;

use crate::error::Error;
use crate::terminal::say;
use crate::verify::verify;

/// Check a run: hashes, schemas, row counts, and that the deltas add up to what the tables say.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The run directory
    run: PathBuf,
}

impl Verify {
    /// Checks and says what was checked.
    ///
    /// # Errors
    /// If anything is not as it should be: all findings are printed.
    pub(super) fn run(self) -> Result<(), Error> {
        let sound = verify(&self.run)?;
        say(format!("{}: sound: {sound}", self.run.display()));
        Ok(())
    }
}
