//! What can end a command, and with which exit code; and how messages call the program.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use spfde_data::files::{DataError, Kind};
use spfde_data::{ParameterError, are, counted};
use spfde_flow::{Cause, Fault};

use crate::cluster::Lost;

/// The result of what a command does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key or value that does not fit.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// No data set has the name, nor is there anything at the path.
    #[error(
        "data.path is {found:?}: no data set of the program has this name (`spfde list data`), and there is \
         nothing at this path{near}; `spfde import` makes a data set of other files"
    )]
    NoData {
        /// The value.
        found: String,
        /// The name of a data set that is like that, as a question.
        near: String,
    },
    /// A file cannot be read or written, or is not what it should be.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Anything else for which nothing was done, such as words that do not go together, or processes that do
    /// not come together.
    #[error("{reason}")]
    Failed {
        /// What is wrong, where, and what to do.
        reason: String,
        /// The exit code.
        code: u8,
    },
    /// The run stopped before its last epoch; what is committed is kept. After a panic or a loss threads are
    /// left behind: the program should end.
    #[error(
        "{why}{}; {}{}{}",
        process.map_or_else(String::new, |process| format!(" (in process {process})")),
        kept(*reached, *epochs, directory),
        unwritten.as_ref().map_or_else(String::new, |error| format!("; {UNWRITTEN}: {error}")),
        going_on(why, directory)
    )]
    Stopped {
        /// Why, and where.
        why: Box<Why>,
        /// In which of several processes a fault was noticed.
        process: Option<u16>,
        /// The run directory.
        directory: PathBuf,
        /// What is kept; `None` if this process cannot tell.
        reached: Option<Reached>,
        /// Epochs that were wanted.
        epochs: u32,
        /// Why the manifest does not say that the run stopped, if it does not.
        unwritten: Option<Box<DataError>>,
    },
    /// A replay, a grid or a bench ended early; nothing of it is kept.
    #[error("{reason}; {}", if *bench { "nothing was measured" } else { "nothing is kept of this replay" })]
    Unkept {
        /// What happened.
        reason: String,
        /// Whether it was a bench.
        bench: bool,
        /// Whether the program was asked to end.
        interrupted: bool,
    },
    /// A pipeline ran to its end without recording what it was to record.
    #[error(
        "the pipeline traced {committed} of {}, and nothing else of it is kept; call `run.trace` with what \
         `{stage}` returns",
        counted(*epochs, "epoch")
    )]
    Untraced {
        /// The stage that trains, or that replays.
        stage: &'static str,
        /// Epochs that were recorded.
        committed: u32,
        /// Epochs that were wanted.
        epochs: u32,
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
    /// Another error, with more to say: to which member of a grid it belongs, or what failed after it.
    #[error("{error}{more}")]
    More {
        /// The error.
        error: Box<Error>,
        /// What follows it, with its punctuation.
        more: String,
    },
}

/// What is wrong if the last word of a run cannot be written.
pub(crate) const UNWRITTEN: &str = "the manifest does not say why the run ended";

/// Why a run stopped before its last epoch.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Why {
    /// A stage failed or gave up, or a process was asked to end.
    #[error("{0}")]
    Fault(Fault),
    /// A worker died of a bug.
    #[error("worker {worker} failed: {message}")]
    Panic {
        /// The worker.
        worker: usize,
        /// The panic's message.
        message: String,
    },
    /// Another process of the run is gone.
    #[error("{0}")]
    Lost(Lost),
}

/// So many findings, of which this is the first.
fn found(findings: usize, first: &str) -> String {
    let number = counted(findings, "finding");
    if findings == 1 { format!("{number}: {first}") } else { format!("{number}, the first: {first}") }
}

/// What is typed in a shell to have this program do something with a directory.
pub(crate) fn command(verb: &str, directory: &Path) -> String {
    let path = directory.display().to_string();
    // It would be taken for an option.
    let path = if path.starts_with('-') { format!("./{path}") } else { path };
    // No shell can be given what cannot be quoted.
    let word = shlex::try_quote(&path).unwrap_or(Cow::Borrowed(&path));
    format!("{} {verb} {word}", program())
}

/// How a run goes on that stopped: not at all if it would come to the same step, and the same fault.
fn going_on(why: &Why, directory: &Path) -> String {
    match why {
        Why::Fault(Fault { cause: Cause::NotFinite(_), .. }) => String::new(),
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

/// What is kept of the run in `directory` of `wanted` epochs, in words.
fn kept(reached: Option<Reached>, wanted: u32, directory: &Path) -> String {
    let directory = directory.display();
    let Some(Reached { epochs, checkpoint }) = reached else {
        return format!("what is committed is kept in {directory}");
    };
    let last = checkpoint.map_or_else(
        || "without a checkpoint".to_owned(),
        |epoch| format!("the last checkpoint is after epoch {epoch}"),
    );
    format!("{epochs} of {} {} committed in {directory}, {last}", counted(wanted, "epoch"), are(epochs))
}

impl Error {
    /// Something that has to be asked for differently: what, and how.
    pub(crate) fn usage(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), code: 2 }
    }

    /// Something that failed: what, and what to do.
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), code: 1 }
    }

    /// The process was asked to end before it began together with others.
    pub(crate) fn interrupted() -> Self {
        let reason = "interrupted before all processes had come together".to_owned();
        Self::Failed { reason, code: 130 }
    }

    /// A run that came to its end is not what it was.
    pub(crate) fn finished_unsound(directory: &Path, findings: usize, first: &str) -> Self {
        let (found, verify) = (found(findings, first), command("verify", directory));
        let what = format!("the run is finished, but is not what it was: {found}");
        let remedy = format!("restore what is damaged from a copy; {verify} names all");
        Self::failed(format!("{}: {what}; {remedy}", directory.display()))
    }

    /// The end of a replay or a grid of which nothing is kept, which may have been asked to end.
    pub(crate) fn no_replay(reason: impl ToString, interrupted: bool) -> Self {
        Self::Unkept { reason: reason.to_string(), bench: false, interrupted }
    }

    /// This, and what `after` says failed after it.
    pub(crate) fn and<E: Display>(self, what: &str, after: Result<(), E>) -> Self {
        match after {
            Ok(()) => self,
            Err(after) => Self::More { error: Box::new(self), more: format!("; {what}: {after}") },
        }
    }

    /// The exit code: 2 wrong usage or configuration, 1 failed, 3 stopped by a fault, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::More { error, .. } => error.exit_code(),
            Error::Failed { code, .. } => *code,
            Error::Parameter(_) | Error::NoData { .. } => 2,
            Error::Data(error) if error.is(Kind::OldRun) => 2,
            Error::Stopped { why, .. } => match **why {
                Why::Fault(Fault { cause: Cause::Interrupted, .. }) => 130,
                _ => 3,
            },
            Error::Unkept { interrupted: true, .. } => 130,
            Error::Data(_) | Error::Unkept { .. } | Error::Untraced { .. } | Error::Unsound { .. } => 1,
        }
    }
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
        assert_eq!(
            kept(1, Some(1), 2),
            "1 of 2 epochs is committed in run, the last checkpoint is after epoch 1"
        );
        assert_eq!(kept(0, None, 1), "0 of 1 epoch are committed in run, without a checkpoint");
        assert_eq!(kept(2, None, 9), "2 of 9 epochs are committed in run, without a checkpoint");
        assert_eq!(super::kept(None, 9, Path::new("run")), "what is committed is kept in run");
    }
}
