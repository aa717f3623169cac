//! What can end a command, and with which exit code.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use spfde_data::files::DataError;
use spfde_data::parameter::ParameterError;
use spfde_data::words::{are, counted};
use spfde_flow::{Cause, Fault};

use crate::cluster::{ClusterError, Lost};
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
    /// The processes did not come together; nothing was trained.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Another process of the run is gone; what is committed is kept. Threads that waited for it are left behind: the
    /// program should end.
    #[error(
        "process {process} at {address} was lost ({reason}); {}; resume with: {}",
        kept(*reached, None, directory), command("resume", directory)
    )]
    Lost {
        /// The process.
        process: usize,
        /// Its address.
        address: String,
        /// How it was noticed.
        reason: String,
        /// The run directory.
        directory: PathBuf,
        /// What is kept; `None` if this process cannot tell.
        reached: Option<Reached>,
    },
    /// Somebody asked this process to end, and another one of the run did not stop with it, as one that somebody has stopped; what
    /// is committed is kept. Threads that waited for it are left behind: the program should end.
    #[error(
        "interrupted, without process {process} at {address} ({reason}); {}; when all processes have ended, resume with: {}",
        kept(*reached, None, directory), command("resume", directory)
    )]
    InterruptedAlone {
        /// The process.
        process: usize,
        /// Its address.
        address: String,
        /// Why it is not waited for.
        reason: String,
        /// The run directory.
        directory: PathBuf,
        /// What is kept; `None` if this process cannot tell.
        reached: Option<Reached>,
    },
    /// The run stopped before its last epoch; what is committed is kept.
    #[error(
        "{fault}{}; {}{}",
        noticed(*process), kept(*reached, Some(*epochs), directory), going_on(fault, directory)
    )]
    Stopped {
        /// Why, and where.
        fault: Fault,
        /// In which of several processes.
        process: Option<u16>,
        /// The run directory.
        directory: PathBuf,
        /// What is kept; `None` if this process cannot tell.
        reached: Option<Reached>,
        /// Epochs that were wanted.
        epochs: u32,
    },
    /// A worker died of a bug.
    #[error(
        "worker {worker} failed: {message}; {}; resume with: {}",
        kept(*reached, None, directory), command("resume", directory)
    )]
    Worker {
        /// The worker.
        worker: usize,
        /// The panic's message.
        message: String,
        /// The run directory.
        directory: PathBuf,
        /// What is kept; `None` if this process cannot tell.
        reached: Option<Reached>,
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
        "the pipeline traced {committed} of {}, so nothing else of it is kept in {}; call `run.trace` with what `train` \
         returns",
        counted(*epochs, "epoch"), directory.display()
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
    /// Another process of a replay is gone.
    #[error("process {process} at {address} was lost ({reason}); {}", left_by(*process))]
    ReplayLost {
        /// The process.
        process: usize,
        /// Its address.
        address: String,
        /// How it was noticed.
        reason: String,
    },
    /// Somebody asked a process of a replay or a grid to end, and another one did not stop with it.
    #[error("interrupted, without process {process} at {address} ({reason}); {}", left_by(*process))]
    ReplayInterruptedAlone {
        /// The process.
        process: usize,
        /// Its address.
        address: String,
        /// Why it is not waited for.
        reason: String,
    },
    /// A member of a grid cannot be.
    #[error("{reason} (the member of the grid with {point})")]
    Member {
        /// What is wrong with it.
        reason: Box<Error>,
        /// Its own settings.
        point: String,
    },
    /// A grid cannot read its scores or write its decisions; nothing is kept.
    #[error("{reason}; nothing is kept of this replay")]
    Grid {
        /// The file, and what is wrong.
        reason: String,
    },
    /// Somebody wanted a grid to end; nothing is kept.
    #[error("interrupted; nothing is kept of this replay")]
    GridInterrupted,
    /// A pipeline ran to its end without counting what was replayed.
    #[error(
        "the pipeline counted {counted} of {}, so nothing is kept of this replay; call `run.trace` with what `replay` \
         returns",
        spfde_data::words::counted(*epochs, "epoch")
    )]
    Uncounted {
        /// Epochs that were counted.
        counted: usize,
        /// Epochs that were recorded.
        epochs: u32,
    },
    /// A run that was followed ended before its first epoch.
    #[error("{}: was interrupted before its first epoch was recorded; nothing is there to replay", run.display())]
    Unrecorded {
        /// The run directory.
        run: PathBuf,
    },
    /// A run does not hold together.
    #[error("{}: {}", directory.display(), found(*findings, first))]
    Unsound {
        /// The run directory.
        directory: PathBuf,
        /// How many.
        findings: usize,
        /// The first.
        first: String,
        /// The first fifty, in words.
        told: Vec<String>,
    },
    /// Something is found in a run each time, and it has gone on by then.
    #[error(
        "{}: is being written, and went on each of the {tries} times that it was looked at; verify it when it rests",
        directory.display()
    )]
    Unsettled {
        /// The run directory.
        directory: PathBuf,
        /// How often it was looked at.
        tries: usize,
    },
    /// A run that came to its end is not what it was.
    #[error(
        "{}: the run is finished, but is not what it was: {}; restore what is damaged from a copy; \
         {} names all",
        directory.display(), found(*findings, first), command("verify", directory)
    )]
    FinishedUnsound {
        /// The run directory.
        directory: PathBuf,
        /// How many.
        findings: usize,
        /// The first.
        first: String,
    },
}

/// So many findings, of which this is the first.
fn found(findings: usize, first: &str) -> String {
    let number = counted(findings, "finding");
    if findings == 1 { format!("{number}: {first}") } else { format!("{number}, the first: {first}") }
}

/// What is typed in a shell to have this program do something with a run directory.
fn command(verb: &str, directory: &Path) -> String {
    let path = directory.display().to_string();
    // It would be taken for an option.
    let path = if path.starts_with('-') { format!("./{path}") } else { path };
    // No shell can be given what cannot be quoted.
    let word = shlex::try_quote(&path).unwrap_or(Cow::Borrowed(&path));
    format!("{} {verb} {word}", program())
}

/// How a run goes on that was stopped by `fault`: not at all if it would come to the same step, and the same fault.
fn going_on(fault: &Fault, directory: &Path) -> String {
    match fault.cause {
        Cause::NotFinite(_) => String::new(),
        _ => format!("; resume with: {}", command("resume", directory)),
    }
}

/// What there is of a run that ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Epochs that are committed.
    pub epochs: u32,
    /// The epoch of the last checkpoint, from which it goes on, if there is one.
    pub checkpoint: Option<u32>,
}

/// What is kept of the run in `directory`, if `wanted` says of how many epochs, in words.
fn kept(reached: Option<Reached>, wanted: Option<u32>, directory: &Path) -> String {
    let directory = directory.display();
    let Some(Reached { epochs, checkpoint }) = reached else {
        return format!("what is committed is kept in {directory}");
    };
    let number = wanted.map_or_else(
        || counted(epochs, "epoch"),
        |wanted| format!("{epochs} of {}", counted(wanted, "epoch")),
    );
    let verb = are(epochs);
    let last = checkpoint.map_or_else(
        || "without a checkpoint".to_owned(),
        |epoch| format!("the last checkpoint is at epoch {epoch}"),
    );
    format!("{number} {verb} committed in {directory}, {last}")
}

/// Where a fault was noticed that stops all processes.
fn noticed(process: Option<u16>) -> String {
    process.map_or_else(String::new, |process| format!(" (in process {process})"))
}

static PROGRAM: OnceLock<String> = OnceLock::new();

/// Says in messages how this program is called, if it is not `spfde`.
pub(crate) fn name_program(name: String) {
    // The first name is the program's.
    let _ = PROGRAM.set(name);
}

/// How this program is called.
pub(crate) fn program() -> &'static str {
    PROGRAM.get().map_or("spfde", String::as_str)
}

impl From<ParameterError> for Error {
    fn from(error: ParameterError) -> Self {
        Self::Configuration(error.into())
    }
}

impl Error {
    /// That a replay or a grid has lost another process; `interrupted` is whether this one had been asked to end.
    pub(crate) fn lost_in_replay(lost: Lost, interrupted: &AtomicBool) -> Self {
        let Lost { process, address, reason } = lost;
        match interrupted.load(Ordering::Relaxed) {
            true => Error::ReplayInterruptedAlone { process, address, reason },
            false => Error::ReplayLost { process, address, reason },
        }
    }

    /// The exit code: 2 wrong usage or configuration, 1 failed, 3 stopped by a fault, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Member { reason, .. } => reason.exit_code(),
            Error::Configuration(_) | Error::Data(DataError::OldRun { .. }) => 2,
            Error::Cluster(error) => error.exit_code(),
            Error::Stopped { fault: Fault { cause: Cause::Interrupted, .. }, .. }
            | Error::Replay { fault: Fault { cause: Cause::Interrupted, .. } }
            | Error::GridInterrupted
            | Error::InterruptedAlone { .. }
            | Error::ReplayInterruptedAlone { .. }
            | Error::Unmeasured { interrupted: true, .. } => 130,
            Error::Data(_)
            | Error::Grid { .. }
            | Error::Untraced { .. }
            | Error::Unsound { .. }
            | Error::Unsettled { .. }
            | Error::FinishedUnsound { .. }
            | Error::Unmeasured { .. }
            | Error::Replay { .. }
            | Error::ReplayWorker { .. }
            | Error::Unrecorded { .. }
            | Error::ReplayLost { .. }
            | Error::Uncounted { .. } => 1,
            Error::Stopped { .. } | Error::Worker { .. } | Error::Lost { .. } => 3,
        }
    }
}

/// What is left of a replay or a grid whose process `process` is lost.
fn left_by(process: usize) -> &'static str {
    match process {
        0 => "what it had written to its --out stays there: remove it before you start again",
        _ => "nothing is kept: start again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_typed_can_be_typed() {
        let typed = |path: &str| command("resume", Path::new(path));
        assert_eq!(typed("runs/resnet20-0-1"), "spfde resume runs/resnet20-0-1");
        assert_eq!(typed("-dash"), "spfde resume ./-dash");
        for path in ["my run", "it's", "$HOME", "a\"b", "*", "umlaut-ä"] {
            let words = shlex::split(&typed(path)).unwrap();
            assert_eq!(words, ["spfde", "resume", path]);
            assert_ne!(typed(path), format!("spfde resume {path}"));
        }
    }

    #[test]
    fn what_is_kept_is_told_in_words_that_fit_the_number() {
        let kept = |epochs, checkpoint, wanted| {
            super::kept(Some(Reached { epochs, checkpoint }), wanted, Path::new("run"))
        };
        assert_eq!(kept(1, Some(1), None), "1 epoch is committed in run, the last checkpoint is at epoch 1");
        assert_eq!(kept(0, None, None), "0 epochs are committed in run, without a checkpoint");
        assert_eq!(kept(1, None, Some(9)), "1 of 9 epochs is committed in run, without a checkpoint");
        assert_eq!(kept(2, None, Some(9)), "2 of 9 epochs are committed in run, without a checkpoint");
        assert_eq!(super::kept(None, Some(9), Path::new("run")), "what is committed is kept in run");
    }
}
