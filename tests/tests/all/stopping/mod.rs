//! Runs that end early: all workers stop at the same step, no worker hangs, what is committed is whole.

mod broken;
mod early;
mod interrupts;

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::support::Bench;

const WORDS: [&str; 5] = [
    "model.name=lenet5",
    "mask.sparsity=0.7",
    "sieve.fraction=0.3",
    "freeze.flops_reduction=0.1",
    "train.epochs=5",
];
const EPOCHS: u32 = 5;
const STEPS: u32 = 6;

fn bench() -> Bench {
    // 0.7 · 250 = 175 active samples in batches of at most 32.
    Bench::new(250)
}

/// Ends a test that hangs, after far longer than it takes.
pub(crate) fn within_reason<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(Duration::from_secs(120)) {
        Ok(result) => {
            let _ = thread.join();
            result
        }
        Err(RecvTimeoutError::Timeout) => panic!("the run hangs"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("a thread that ends well has sent its result"),
        },
    }
}
