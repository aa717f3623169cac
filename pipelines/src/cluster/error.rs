//! Why processes do not come together. In all these cases nothing has been trained.

use spfde_data::files::DataError;

/// Why a process could not begin together with the others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// What was asked for does not go together: the hosts file, the secret, the process's number or address.
    #[error("{reason}")]
    Usage {
        /// The file and line, if one is to blame, what is wrong there, and what to do.
        reason: String,
    },
    /// The other process does not want this one.
    #[error("process {process} at {address} and this one do not fit together: {reason}")]
    Refused {
        /// The process.
        process: usize,
        /// Its address.
        address: String,
        /// Why.
        reason: String,
    },
    /// The processes did not come together: one is missing, cannot be reached, cannot listen, or gave up.
    #[error("{reason}")]
    Apart {
        /// Which process, what happened, and what to do.
        reason: String,
    },
    /// The run directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The process was asked to end.
    #[error("interrupted before all processes had come together")]
    Interrupted,
}

impl ClusterError {
    /// What is wrong with a file, or with a variable that stands for one.
    pub(super) fn file(path: impl std::fmt::Display, reason: impl std::fmt::Display) -> Self {
        Self::Usage { reason: format!("{path}: {reason}") }
    }

    /// The exit code: 2 for what has to be asked differently, 130 for an interrupt, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Refused { .. } => 2,
            Self::Apart { .. } | Self::Data(_) => 1,
            Self::Interrupted => 130,
        }
    }
}
