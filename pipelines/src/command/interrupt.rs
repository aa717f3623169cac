//! Requests to end: Ctrl-C, and the system's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::terminal::{complain, remark};

/// How long after a request another one counts as the same: some programs send it to a process, and to the
/// group to which that belongs.
const SAME: Duration = Duration::from_millis(200);

/// What a request to end finds.
enum Phase {
    /// Nothing that would have to end in good order.
    Idle,
    /// Work that ends in good order when its flag is set; the message says so.
    Working { flag: Arc<AtomicBool>, message: &'static str },
    /// Work that was asked to end, and when.
    Asked(Instant),
}

static PHASE: Mutex<Phase> = Mutex::new(Phase::Idle);

/// From now on a request to end ends the program with its exit code for that.
pub(crate) fn listen() {
    if let Err(error) = listen_with(ask) {
        remark(format_args!("Ctrl-C will not stop the command cleanly: {error}"));
    }
}

/// A flag that a request to end sets from now on. The second time the process ends at once; the manifest of a
/// run is valid at any moment.
pub(crate) fn interruptible(message: &'static str) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    enter(Phase::Working { flag: Arc::clone(&flag), message });
    flag
}

/// From now on a request to end ends the program at once: there is nothing left that would have to end in
/// good order.
pub(crate) fn end_at_once() {
    enter(Phase::Idle);
}

fn enter(phase: Phase) {
    *PHASE.lock().unwrap_or_else(PoisonError::into_inner) = phase;
}

/// The program is asked to end.
fn ask() {
    let mut phase = PHASE.lock().unwrap_or_else(PoisonError::into_inner);
    match &*phase {
        Phase::Working { flag, message } => {
            // First of all, since the thread that sees the flag may have the last word at once.
            remark(message);
            flag.store(true, Ordering::Relaxed);
            *phase = Phase::Asked(Instant::now());
        }
        Phase::Asked(since) if since.elapsed() < SAME => (),
        Phase::Asked(_) => std::process::exit(130),
        Phase::Idle => {
            complain(format_args!("{}: interrupted", crate::error::program()));
            std::process::exit(130);
        }
    }
}

/// Has `ask` called, by a thread of its own, whenever the process is asked to end. A hangup that is ignored,
/// as `nohup` has it, stays ignored, where the system tells of that.
#[cfg(unix)]
fn listen_with(ask: fn()) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::iterator::Signals;

    // A file that is larger than it may be is an error of the write, which is told.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let mut wanted = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted)?;
    let wait = move || signals.forever().for_each(|_| ask());
    std::thread::Builder::new().name("spfde:signals".to_owned()).spawn(wait).map(drop)
}

#[cfg(not(unix))]
fn listen_with(ask: fn()) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(ask)
}

/// Whether the process was started with this signal ignored, as far as the system tells.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
