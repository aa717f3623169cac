//! Why a run ends early: a record with a tick, so that all workers stop at the same one.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::Tick;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Cause {
    /// A user or the system asked the run to stop: Ctrl-C, or the system's request to end.
    Interrupted,
    /// A stage met NaN or infinity, before it reached the weights.
    NotFinite(String),
    /// A stage panicked; the text is the panic's message.
    Panicked(String),
    /// Something could not be stored; names the file.
    Storage(String),
    /// Something recorded could not be read; names the file or the stream.
    Recording(String),
    /// A stage found that the run has reached what it was for: a success.
    Enough(String),
    /// A stage of user code refused to go on.
    Refused(String),
    /// Images could not be read by need, or have changed; names the file.
    Data(String),
}

/// One reason to stop, and where it arose. Of several the least one is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When: the step that was refused, or the epoch that could not be stored.
    pub tick: Tick,
    /// On which worker.
    pub worker: u32,
    /// In which stage.
    pub stage: String,
    /// What happened.
    pub cause: Cause,
}

impl Ord for Fault {
    /// The earlier comes first; of one epoch, that it is enough comes last: the epoch has to be whole.
    fn cmp(&self, other: &Self) -> Ordering {
        let when = |fault: &Self| (fault.tick.epoch, matches!(fault.cause, Cause::Enough(_)), fault.tick);
        let here = (when(self), self.worker, &self.stage, &self.cause);
        here.cmp(&(when(other), other.worker, &other.stage, &other.cause))
    }
}

impl PartialOrd for Fault {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = |tick: Tick| format!("stage {} on worker {}, {tick}", self.stage, self.worker);
        match &self.cause {
            Cause::Interrupted => write!(f, "interrupted at {}", self.tick),
            Cause::NotFinite(what) | Cause::Refused(what) => write!(f, "{}: {what}", place(self.tick)),
            Cause::Panicked(message) => {
                write!(f, "{}: a bug in the program or its stages: {message}", place(self.tick))
            }
            Cause::Storage(what) => write!(f, "{}: {what}", place(Tick::close_of(self.tick.epoch))),
            Cause::Recording(what) | Cause::Enough(what) | Cause::Data(what) => write!(f, "{what}"),
        }
    }
}

/// The message of a caught panic.
pub fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_where_and_what() {
        let mut fault = Fault {
            tick: Tick::new(3, 41),
            worker: 1,
            stage: "gradients".into(),
            cause: Cause::NotFinite("the loss of sample 17 is NaN".into()),
        };
        assert_eq!(
            fault.to_string(),
            "stage gradients on worker 1, epoch 4, step 42: the loss of sample 17 is NaN"
        );
        fault.cause = Cause::Interrupted;
        assert_eq!(fault.to_string(), "interrupted at epoch 4, step 42");
    }

    #[test]
    fn a_failed_write_comes_before_that_its_epoch_is_enough() {
        let fault = |epoch, worker, stage: &str, cause| {
            let tick = Tick::close_of(epoch);
            Fault { tick, worker, stage: stage.into(), cause }
        };
        let enough = |epoch| fault(epoch, 0, "ending", Cause::Enough("enough".into()));
        let unwritten = fault(2, 3, "trace", Cause::Storage("the disk is full".into()));
        assert!(unwritten < enough(2) && enough(1) < unwritten && unwritten < enough(3));
    }

    #[test]
    fn panics_keep_their_message() {
        let caught = std::panic::catch_unwind(|| panic!("index {} of {}", 3, 2)).unwrap_err();
        assert_eq!(panic_message(&*caught), "index 3 of 2");
    }
}
