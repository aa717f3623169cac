//! What the program says, to standard output and standard error.
//!
//! Standard error is written by a thread of its own, so that nobody is kept from its work, or from its end, by a reader that does
//! not read: whoever has something to say waits until it is written, but not for long once the program is to end, and who looks
//! after the other processes does not wait at all.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long a program that is to end waits for somebody to read what it says: within ten seconds all of it is to be over.
const UNREAD: Duration = Duration::from_secs(1);

/// How often whoever waits looks whether the program is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Lines that may wait to be written: more than anybody says who does not wait.
const WAITING: usize = 1 << 10;

/// Why something that was said did not get to where standard output leads, such as a full disk.
static LOST: OnceLock<String> = OnceLock::new();

/// What is to go to standard error.
static ERRORS: Errors = Errors {
    state: Mutex::new(State { lines: VecDeque::new(), taken: 0, written: 0, begun: false }),
    written: Condvar::new(),
    hurry: AtomicBool::new(false),
};

/// Prints a line to standard output. Whoever closed it does not want to read on, which is no error; if it is lost otherwise, the
/// command goes on, since a run is worth more than its table, and [`lost`] tells.
pub(crate) fn say(line: impl std::fmt::Display) {
    if let Err(error) = writeln!(std::io::stdout(), "{line}")
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first reason counts.
        let _ = LOST.set(error.to_string());
    }
}

/// Why something that was said on standard output is lost, if it is.
pub(crate) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// Prints a line to standard error.
pub(crate) fn complain(line: impl std::fmt::Display) {
    let number = ERRORS.take(line.to_string());
    ERRORS.wait_for(number);
}

/// Prints a remark to standard error.
pub(crate) fn remark(line: impl std::fmt::Display) {
    complain(format_args!("note: {line}"));
}

/// Prints a remark to standard error as soon as somebody reads; does not wait for it.
pub(crate) fn remark_soon(line: impl std::fmt::Display) {
    ERRORS.take(format!("note: {line}"));
}

/// From now on nobody waits for long until what is said is read.
pub(crate) fn hurry() {
    ERRORS.hurry.store(true, Ordering::Relaxed);
}

/// Waits until all that was said is written.
pub(crate) fn finish() {
    let all = ERRORS.lock().taken;
    ERRORS.wait_for(all);
}

/// Writes a line in one piece, since other processes may write there, too. Where it cannot be written, there is nobody to tell.
fn write(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Lines on their way to standard error.
struct Errors {
    state: Mutex<State>,
    /// Told when a line is taken, and when one is written.
    written: Condvar,
    hurry: AtomicBool,
}

struct State {
    lines: VecDeque<String>,
    /// How many lines were taken, and how many of them are written.
    taken: u64,
    written: u64,
    /// Whether there is a thread that writes.
    begun: bool,
}

impl Errors {
    /// Takes a line; which one it is.
    fn take(&'static self, line: String) -> u64 {
        let mut state = self.lock();
        if !state.begun {
            let writer = std::thread::Builder::new().name("spfde:errors".to_owned());
            state.begun = writer.spawn(|| self.write()).is_ok();
        }
        state.taken += 1;
        match (state.begun, state.lines.len() < WAITING) {
            (true, true) => state.lines.push_back(line),
            // Nobody reads.
            (true, false) => state.written += 1,
            (false, _) => {
                write(&line);
                state.written += 1;
            }
        }
        let number = state.taken;
        drop(state);
        self.written.notify_all();
        number
    }

    /// Writes what is taken, for ever.
    fn write(&self) {
        let mut state = self.lock();
        loop {
            let Some(line) = state.lines.pop_front() else {
                state = self.written.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            write(&line);
            state = self.lock();
            state.written += 1;
            self.written.notify_all();
        }
    }

    /// Waits until so many lines are written; not for long if the program is to end.
    fn wait_for(&self, number: u64) {
        let mut hurried = None;
        let mut state = self.lock();
        while state.written < number {
            if self.hurry.load(Ordering::Relaxed) {
                let since = *hurried.get_or_insert_with(Instant::now);
                if since.elapsed() >= UNREAD {
                    return;
                }
            }
            (state, _) = self.written.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
