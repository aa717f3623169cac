//! What the program says, to standard output and standard error.
//!
//! Each is written by a thread of its own, so that nobody is kept from an end by a reader that does not read: whoever has
//! something to say waits until it is written, but not for long once the program is to end, and who looks after the other
//! processes, or draws a bar, does not wait at all.
//!
//! What a line has of control characters comes from a name that it repeats, and is escaped here, whoever says it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, WeakProgressBar};
use spfde_data::words::visible;

/// How long a program that is to end waits, in all, for somebody to read what it says.
pub(crate) const UNREAD: Duration = Duration::from_millis(1400);

/// How often whoever waits looks whether the program is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Pieces that may wait to be written of those who do not wait for it: far more than there are as long as somebody reads.
const WAITING: usize = 1 << 10;

/// Why something that was said did not get to where standard output leads, such as a full disk.
static LOST: OnceLock<String> = OnceLock::new();

/// Whether the program is to end, and for how many microseconds it has waited since for somebody to read.
static HURRY: AtomicBool = AtomicBool::new(false);
static WAITED: AtomicU64 = AtomicU64::new(0);

/// The bar that is drawn on standard error.
static BAR: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

static OUT: Outlet = Outlet::new("spfde:output", |bytes| {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first reason counts.
        let _ = LOST.set(error.to_string());
    }
});

/// Where it cannot be written, there is nobody to tell.
static ERRORS: Outlet = Outlet::new("spfde:errors", |bytes| drop(std::io::stderr().write_all(bytes)));

/// Prints a line to standard output. Whoever closed it does not want to read on, which is no error; if it is lost otherwise, the
/// command goes on, since a run is worth more than its table, and [`lost`] tells.
pub(crate) fn say(line: impl std::fmt::Display) {
    OUT.wait_for(OUT.take(Piece::line(line)));
}

/// As [`say`], several lines at once.
pub(crate) fn say_all(lines: impl std::fmt::Display) {
    OUT.wait_for(OUT.take(Piece::lines(lines)));
}

/// Why something that was said on standard output is lost, if it is.
pub(crate) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// Prints a line to standard error, above the bar, if there is one.
pub(crate) fn complain(line: impl std::fmt::Display) {
    let number = above_bar(|| ERRORS.take(Piece::line(line)));
    ERRORS.wait_for(number);
}

/// Prints a line to standard error as soon as somebody reads; does not wait for it.
pub(crate) fn complain_soon(line: impl std::fmt::Display) {
    above_bar(|| ERRORS.take_soon(Piece::line(line)));
}

/// As [`complain_soon`], several lines at once.
pub(crate) fn complain_all_soon(lines: impl std::fmt::Display) {
    above_bar(|| ERRORS.take_soon(Piece::lines(lines)));
}

/// From now on lines are printed above `bar`, which is drawn by [`draw`].
pub(crate) fn set_bar(bar: &ProgressBar) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
}

/// Does something while the bar is not there.
fn above_bar<R>(take: impl FnOnce() -> R) -> R {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(WeakProgressBar::upgrade);
    match bar.filter(|bar| !bar.is_finished()) {
        Some(bar) => bar.suspend(take),
        None => take(),
    }
}

/// Draws something on the terminal that is standard error, instead of what was to be drawn and is not yet.
pub(crate) fn draw(frame: Vec<u8>) {
    ERRORS.take_soon(Piece::Frame(frame));
}

/// From now on nobody waits for long until what is said is read.
pub(crate) fn hurry() {
    HURRY.store(true, Ordering::Relaxed);
}

/// Waits until all that was said is written.
pub(crate) fn finish() {
    for outlet in [&OUT, &ERRORS] {
        let all = outlet.lock().taken;
        outlet.wait_for(all);
    }
}

/// What is on its way.
enum Piece {
    /// Lines, without the end of the last.
    Lines(String),
    /// A frame of what changes in its place on a terminal: it says how to get from the frame before it to this one.
    Frame(Vec<u8>),
}

impl Piece {
    /// One line, whatever it repeats.
    fn line(text: impl std::fmt::Display) -> Self {
        Self::Lines(visible(&text.to_string()).into_owned())
    }

    /// As many as it says.
    fn lines(text: impl std::fmt::Display) -> Self {
        Self::Lines(text.to_string().split('\n').map(visible).collect::<Vec<_>>().join("\n"))
    }
}

/// A stream that is written by a thread of its own.
struct Outlet {
    name: &'static str,
    write: fn(&[u8]),
    state: Mutex<State>,
    /// Told when a piece is taken, and when one is written.
    changed: Condvar,
}

struct State {
    pieces: VecDeque<Piece>,
    /// How many pieces were taken, and how many of them are written.
    taken: u64,
    done: u64,
    /// Whether there is a thread that writes.
    begun: bool,
}

impl Outlet {
    const fn new(name: &'static str, write: fn(&[u8])) -> Self {
        let state = State { pieces: VecDeque::new(), taken: 0, done: 0, begun: false };
        Self { name, write, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Takes a piece; which one it is.
    fn take(&'static self, piece: Piece) -> u64 {
        let mut state = self.lock();
        if !state.begun {
            let writer = std::thread::Builder::new().name(self.name.to_owned());
            state.begun = writer.spawn(|| self.write_all()).is_ok();
        }
        state.taken += 1;
        let number = state.taken;
        if state.begun {
            state.pieces.push_back(piece);
            self.changed.notify_all();
        } else {
            state.done += 1;
            drop(state);
            self.write(piece);
        }
        number
    }

    /// Takes a piece for which nobody waits. A frame takes the place of one that is not written yet: both follow the one before
    /// that, and are as high. If nobody has read for very long, it is lost.
    fn take_soon(&'static self, piece: Piece) {
        let mut state = self.lock();
        let frames = state.pieces.iter().rev().take_while(|piece| matches!(piece, Piece::Frame(_))).count();
        if matches!(piece, Piece::Frame(_)) && frames >= 2 {
            state.pieces.pop_back();
            state.pieces.push_back(piece);
        } else if state.pieces.len() < WAITING {
            drop(state);
            self.take(piece);
        }
    }

    /// Writes what is taken, for ever.
    fn write_all(&self) {
        let mut state = self.lock();
        loop {
            let Some(piece) = state.pieces.pop_front() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            self.write(piece);
            state = self.lock();
            state.done += 1;
            self.changed.notify_all();
        }
    }

    /// Writes a piece at once, since other processes may write there, too.
    fn write(&self, piece: Piece) {
        match piece {
            Piece::Lines(lines) => (self.write)(format!("{lines}\n").as_bytes()),
            Piece::Frame(frame) => (self.write)(&frame),
        }
    }

    /// Waits until so many pieces are written; not for long if the program is to end.
    fn wait_for(&self, number: u64) {
        let mut state = self.lock();
        while state.done < number {
            let hurried = HURRY.load(Ordering::Relaxed);
            if hurried && WAITED.load(Ordering::Relaxed) >= UNREAD.as_micros() as u64 {
                return;
            }
            let since = Instant::now();
            (state, _) = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
            if hurried {
                WAITED.fetch_add(since.elapsed().as_micros() as u64, Ordering::Relaxed);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
