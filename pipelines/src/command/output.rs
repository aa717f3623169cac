//! What the program says, to standard output and standard error.
//!
//! Each is written by a thread of its own, so that nobody is kept from an end by a reader that does not read: whoever has
//! something to say waits until it is written, but not for long once the program is to end, and who looks after the other
//! processes, or draws a bar, does not wait at all.
//!
//! What a line has of control characters comes from a name that it repeats, and is escaped here, whoever says it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, WeakProgressBar};
use spfde_data::words::visible;

/// How long a program that is to end waits in all for somebody to read what it says, half of it for each stream.
pub(crate) const UNREAD: Duration = Duration::from_millis(1200);

/// How long it waits at least for each line, however long it has waited for others: longer than it takes if somebody reads.
const READ: Duration = Duration::from_millis(50);

/// How often whoever waits looks whether the program is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Pieces that may wait to be written of those who do not wait for it: far more than there are as long as somebody reads.
const WAITING: usize = 1 << 10;

/// Why something that was said did not get to where standard output leads, such as a full disk.
static LOST: OnceLock<String> = OnceLock::new();

/// Whether the program is to end.
static HURRY: AtomicBool = AtomicBool::new(false);

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
    let line = Piece::line(line);
    let number = above_bar(|| ERRORS.take(line));
    ERRORS.wait_for(number);
}

/// Prints a line to standard error as soon as somebody reads; does not wait for it.
pub(crate) fn complain_soon(line: impl std::fmt::Display) {
    let line = Piece::line(line);
    above_bar(|| ERRORS.take_soon(line));
}

/// Prints what a panic says to standard error: this thread may hold the bar, and may be the last to say something.
pub(crate) fn tell_panic(lines: impl std::fmt::Display) {
    let lines = Piece::lines(lines);
    let (written, wait) = std::sync::mpsc::channel();
    let tell = move || {
        let number = above_bar(|| ERRORS.take(lines));
        ERRORS.wait_for(number);
        let _ = written.send(());
    };
    if std::thread::Builder::new().name("spfde:panic".to_owned()).spawn(tell).is_ok() {
        let _ = wait.recv_timeout(UNREAD / 4);
    }
}

/// From now on lines are printed above `bar`, which is drawn by [`draw`].
pub(crate) fn set_bar(bar: &ProgressBar) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
}

/// There is no bar any more: waits until it is gone.
pub(crate) fn forget_bar() {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let all = ERRORS.lock().taken;
    ERRORS.wait_for(all);
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
pub(crate) fn draw(frame: String) {
    ERRORS.take_soon(Piece::Frame(frame));
}

/// From now on nobody waits for long until what is said is read.
pub(crate) fn hurry() {
    HURRY.store(true, Ordering::Relaxed);
}

/// Waits until all that was said is written.
pub(crate) fn finish() {
    for outlet in [&ERRORS, &OUT] {
        let all = outlet.lock().taken;
        outlet.wait_for(all);
    }
}

/// What is on its way.
enum Piece {
    /// Lines, without the end of the last.
    Lines(String),
    /// A frame of what changes in its place on a terminal: it says how to get from the frame before it to this one.
    Frame(String),
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

/// How a frame begins: by how many lines it goes up from where the one before it ended.
fn start(frame: &str) -> &str {
    let end = frame.strip_prefix("\x1b[").and_then(|rest| rest.split_once('A'));
    end.map(|(lines, _)| lines)
        .filter(|lines| lines.bytes().all(|digit| digit.is_ascii_digit()))
        .unwrap_or("0")
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
    /// How long somebody has waited for that since the program is to end.
    waited: Duration,
    /// Whether there is a thread that writes.
    begun: bool,
}

impl Outlet {
    const fn new(name: &'static str, write: fn(&[u8])) -> Self {
        let state =
            State { pieces: VecDeque::new(), taken: 0, done: 0, waited: Duration::ZERO, begun: false };
        Self { name, write, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Takes a piece; which one it is.
    fn take(&'static self, piece: Piece) -> u64 {
        let mut state = self.lock();
        state.taken += 1;
        let number = state.taken;
        if self.begin(&mut state) {
            state.pieces.push_back(piece);
            self.changed.notify_all();
        } else {
            state.done += 1;
            drop(state);
            self.write(piece);
        }
        number
    }

    /// Takes a piece for which nobody waits. A frame takes the place of one that is not written yet, if both set out from the
    /// same line. If nobody has read for very long, or nobody can write, it is lost.
    fn take_soon(&'static self, piece: Piece) {
        let mut state = self.lock();
        let replaces = matches!(
            (&piece, state.pieces.back()),
            (Piece::Frame(frame), Some(Piece::Frame(last))) if start(frame) == start(last)
        );
        if replaces {
            state.pieces.pop_back();
            state.pieces.push_back(piece);
        } else if state.pieces.len() < WAITING && self.begin(&mut state) {
            drop(state);
            self.take(piece);
        }
    }

    /// Whether there is a thread that writes, now at the latest.
    fn begin(&'static self, state: &mut State) -> bool {
        if !state.begun {
            let writer = std::thread::Builder::new().name(self.name.to_owned());
            state.begun = writer.spawn(|| self.write_all()).is_ok();
        }
        state.begun
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
            Piece::Frame(frame) => (self.write)(frame.as_bytes()),
        }
    }

    /// Waits until so many pieces are written; not for long if the program is to end.
    fn wait_for(&self, number: u64) {
        let mut hurried = Duration::ZERO;
        let mut state = self.lock();
        while state.done < number {
            let hurry = HURRY.load(Ordering::Relaxed);
            if hurry && hurried >= READ && state.waited >= UNREAD / 2 {
                return;
            }
            let since = Instant::now();
            (state, _) = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
            if hurry {
                hurried += since.elapsed();
                state.waited += since.elapsed();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static GATE: Mutex<()> = Mutex::new(());
    static WRITTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static OUTLET: Outlet = Outlet::new("test", |bytes| {
        let _open = GATE.lock().unwrap();
        WRITTEN.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
    });

    #[test]
    fn lines_come_in_order_and_frames_that_were_overtaken_do_not() {
        let closed = GATE.lock().unwrap();
        let draw = |frame: &str| OUTLET.take_soon(Piece::Frame(frame.to_owned()));
        draw("first");
        while !OUTLET.lock().pieces.is_empty() {
            std::thread::yield_now();
        }
        // That one is being written.
        for frame in ["\x1b[1Athree", "\x1b[1Afour", "\x1b[2Ahigher", "\x1b[2Aclear"] {
            draw(frame);
        }
        OUTLET.take_soon(Piece::line("a line\x1b[31m"));
        for frame in ["anew", "\x1b[1Alast"] {
            draw(frame);
        }
        let all = OUTLET.take(Piece::lines("two\nlines"));
        drop(closed);
        OUTLET.wait_for(all);
        let expected = [
            "first",
            "\x1b[1Afour",
            "\x1b[2Aclear",
            "a line\\u001b[31m\n",
            "anew",
            "\x1b[1Alast",
            "two\nlines\n",
        ];
        assert_eq!(*WRITTEN.lock().unwrap(), expected);
    }
}
