//! Why processes do not come together. In all these cases nothing has been trained.

/// Why a process could not begin together with the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A line of the hosts file.
    #[error("{path}, line {line}: {reason}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A file that cannot be used: that of the hosts, or that of the secret, which may be a variable, too.
    #[error("{path}: {reason}")]
    File {
        /// The file, or the variable.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// What was asked for does not go together.
    #[error("{reason}")]
    Usage {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The process's own address.
    #[error("cannot listen at {address}: {reason}; {remedy}")]
    Listen {
        /// The address.
        address: String,
        /// The system's words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Processes that did not come.
    #[error("{missing} did not join within {seconds} s; start every process of the hosts file{last}")]
    Missing {
        /// Which.
        missing: String,
        /// The time limit.
        seconds: u64,
        /// The last connection that was dropped, and why.
        last: String,
    },
    /// A process that could not be reached.
    #[error(
        "process {process} at {address} did not let this one join within {seconds} s ({reason}); start every process of the hosts file, or wait longer"
    )]
    Unreachable {
        /// The process.
        process: usize,
        /// Its address.
        address: String,
        /// The time limit.
        seconds: u64,
        /// What the last attempt met.
        reason: String,
    },
    /// A process that does not want this one, or that this one does not want.
    #[error("process {process} at {address} and this one do not fit together: {reason}")]
    Refused {
        /// The process.
        process: usize,
        /// Its address.
        address: String,
        /// Why.
        reason: String,
    },
    /// The others gave up.
    #[error("process {process} at {address} gave up before the start: {reason}")]
    Ended {
        /// Who said so.
        process: usize,
        /// Its address.
        address: String,
        /// Why.
        reason: String,
    },
    /// This process cannot take part.
    #[error("this process cannot take part: {reason}")]
    Unable {
        /// Why.
        reason: String,
    },
    /// Somebody asked for the end.
    #[error("interrupted before all processes had come together")]
    Interrupted,
}

impl ClusterError {
    /// The exit code: 2 for what has to be asked differently, 130 for an interrupt, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Line { .. } | Self::File { .. } | Self::Usage { .. } | Self::Refused { .. } => 2,
            Self::Interrupted => 130,
            Self::Listen { .. }
            | Self::Missing { .. }
            | Self::Unreachable { .. }
            | Self::Ended { .. }
            | Self::Unable { .. } => 1,
        }
    }
}
