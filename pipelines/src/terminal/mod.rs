//! All that the program prints: results to standard output, remarks and errors to standard error, above the
//! bar that may be drawn there.
//!
//! Control characters in a line come from a name that it repeats, and are escaped here. A program waits for
//! the reader of a pipe; a reader that has closed standard output does not want to read on, which is no
//! error.

mod bar;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

use spfde_data::words::visible;

pub(crate) use bar::{hidden_bar, show, take_away};

/// Why something that was said did not get to where standard output leads, such as a full disk.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints a line to standard output. If it is lost the command goes on, since a run is worth more than its
/// table, and [`lost`] tells.
pub(crate) fn say(line: impl Display) {
    print(&format!("{}\n", visible(&line.to_string())));
}

/// As [`say`], several lines at once.
pub(crate) fn say_all(lines: impl Display) {
    print(&escaped(&lines.to_string()));
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first reason counts.
        let _ = LOST.set(error.to_string());
    }
}

/// Lines without what a terminal would act upon, each with its end.
fn escaped(lines: &str) -> String {
    lines.split('\n').map(|line| format!("{}\n", visible(line))).collect()
}

/// Why something that was said on standard output is lost, if it is.
pub(crate) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// Prints a line to standard error. If that fails, there is no place left to say so.
pub(crate) fn complain(line: impl Display) {
    let line = format!("{}\n", visible(&line.to_string()));
    bar::above(|| drop(std::io::stderr().write_all(line.as_bytes())));
}

/// Prints a remark to standard error.
pub(crate) fn remark(line: impl Display) {
    complain(format_args!("note: {line}"));
}

/// From now on a panic is told as all else is. Its thread may hold the bar: another one tells.
pub(crate) fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let (name, trace) = (thread.name().unwrap_or("unnamed"), Backtrace::capture());
        let trace = match trace.status() {
            BacktraceStatus::Captured => format!("\n{trace}"),
            _ => String::new(),
        };
        let lines = escaped(&format!("thread '{name}' {panic}{trace}"));
        let tell = move || bar::above(|| drop(std::io::stderr().write_all(lines.as_bytes())));
        if let Ok(teller) = std::thread::Builder::new().name("spfde:panic".to_owned()).spawn(tell) {
            bar::wait_briefly(&teller);
        }
    }));
}
