//! What can end a command, and with which exit code.

use std::path::PathBuf;

use spfde_data::files::DataError;
use spfde_data::parameter::ParameterError;
use spfde_flow::{Cause, Fault};

use crate::configuration::ConfigurationError;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration does not hold together.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// A file cannot be read or written, or is not what it should be.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run stopped before its last epoch; what is committed is kept.
    #[error("{fault}; {committed} of {epochs} epochs are committed in {}", directory.display())]
    Stopped {
        /// Why, and where.
        fault: Fault,
        /// The run directory.
        directory: PathBuf,
        /// Epochs that are kept.
        committed: u32,
        /// Epochs that were wanted.
        epochs: u32,
    },
    /// A worker died of a bug.
    #[error("worker {worker} failed: {message}; {committed} epochs are committed in {}", directory.display())]
    Worker {
        /// The worker.
        worker: usize,
        /// The panic's message.
        message: String,
        /// The run directory.
        directory: PathBuf,
        /// Epochs that are kept.
        committed: u32,
    },
    /// A bench did not come to its end.
    #[error("{reason}; nothing was measured")]
    Unmeasured {
        /// What happened.
        reason: String,
        /// Whether somebody wanted it to end.
        interrupted: bool,
    },
    /// A pipeline ran to its end without recording the training.
    #[error(
        "the pipeline traced {committed} of {epochs} epochs, so nothing else of it is kept in {}; call `run.trace` \
         with what `train` returns",
        directory.display()
    )]
    Untraced {
        /// The run directory.
        directory: PathBuf,
        /// Epochs that are kept.
        committed: u32,
        /// Epochs that were wanted.
        epochs: u32,
    },
    /// A replay ended before its last epoch; nothing of it is kept.
    #[error("{fault}; nothing is kept of this replay")]
    Replay {
        /// Why, and where.
        fault: Fault,
    },
    /// A worker of a replay died of a bug.
    #[error("worker {worker} failed: {message}; nothing is kept of this replay")]
    ReplayWorker {
        /// The worker.
        worker: usize,
        /// The panic's message.
        message: String,
    },
    /// A pipeline ran to its end without counting what was replayed.
    #[error(
        "the pipeline counted {counted} of {epochs} epochs, so nothing is kept of this replay; call `run.trace` with \
         what `replay` returns"
    )]
    Uncounted {
        /// Epochs that were counted.
        counted: usize,
        /// Epochs that were recorded.
        epochs: u32,
    },
    /// A run does not hold together.
    #[error("{}: {} finding(s), the first: {first}", directory.display(), findings)]
    Unsound {
        /// The run directory.
        directory: PathBuf,
        /// How many.
        findings: usize,
        /// The first.
        first: String,
    },
}

impl From<ParameterError> for Error {
    fn from(error: ParameterError) -> Self {
        Self::Configuration(error.into())
    }
}

impl Error {
    /// The exit code: 2 wrong usage or configuration, 1 failed, 3 stopped by a fault, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Configuration(_) => 2,
            Error::Stopped { fault: Fault { cause: Cause::Interrupted, .. }, .. }
            | Error::Replay { fault: Fault { cause: Cause::Interrupted, .. } }
            | Error::Unmeasured { interrupted: true, .. } => 130,
            Error::Data(_)
            | Error::Untraced { .. }
            | Error::Unsound { .. }
            | Error::Unmeasured { .. }
            | Error::Replay { .. }
            | Error::ReplayWorker { .. }
            | Error::Uncounted { .. } => 1,
            Error::Stopped { .. } | Error::Worker { .. } => 3,
        }
    }
}
