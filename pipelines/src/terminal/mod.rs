//! All that the program prints: results to standard output, remarks and errors to standard error, above the
//! bar that may be drawn there.
//!
//! Control characters in a line come from a name that it repeats, and are escaped here. A program waits for
//! the reader of a pipe; a reader that has closed standard output does not want to read on, which is no
//! error.

mod bar;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use terminal_size::{Width, terminal_size_of};

use spfde_data::visible;

pub(crate) use bar::{hidden_bar, show, take_away};

/// Why something that was said did not get to where standard output leads, such as a full disk.
static LOST: OnceLock<String> = OnceLock::new();

/// What the program prints besides errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    /// Text for people.
    #[default]
    Text,
    /// Lines of JSON for programs; remarks go on.
    Json,
    /// Nothing.
    Quiet,
}

static STYLE: AtomicU8 = AtomicU8::new(Style::Text as u8);

/// From now on the program prints in this style.
pub(crate) fn set_style(style: Style) {
    STYLE.store(style as u8, Ordering::Relaxed);
}

/// Whether this is the style in which the program prints.
pub(crate) fn prints(style: Style) -> bool {
    STYLE.load(Ordering::Relaxed) == style as u8
}

/// Columns of the terminal to which standard output leads; `None` if it leads elsewhere.
pub(crate) fn width() -> Option<usize> {
    terminal_size_of(std::io::stdout()).map(|(Width(columns), _)| usize::from(columns))
}

/// Columns for the text of a bar: a few are left for the `^C` that a terminal echoes.
pub(crate) fn bar_width() -> usize {
    error_width().map_or(76, |columns| columns.saturating_sub(4))
}

/// As [`width`], of standard error.
fn error_width() -> Option<usize> {
    terminal_size_of(std::io::stderr()).map(|(Width(columns), _)| usize::from(columns))
}

/// Prints a line of text to standard output, on a terminal broken between words. If it is lost the command
/// goes on, since a run is worth more than its table, and [`lost`] tells.
pub(crate) fn say(line: impl Display) {
    say_entry("", line);
}

/// As [`say`], an entry of a list: where it is broken it goes on below `text`, not below `head`.
pub(crate) fn say_entry(head: &str, text: impl Display) {
    if prints(Style::Text) {
        print(&wrapped(&format!("{head}{text}"), width(), head.chars().count()));
    }
}

/// As [`say`], several lines at once.
pub(crate) fn say_all(lines: impl Display) {
    if prints(Style::Text) {
        let width = width();
        print(&lines.to_string().split('\n').map(|line| wrapped(line, width, 0)).collect::<String>());
    }
}

/// As [`say_all`], the lines of a file: none is broken, so that they can be copied.
pub(crate) fn say_file(lines: impl Display) {
    if prints(Style::Text) {
        print(&escaped(&lines.to_string()));
    }
}

/// Prints an object in one line of standard output, if that is the style.
pub(crate) fn say_json(object: impl FnOnce() -> serde_json::Value) {
    if prints(Style::Json) {
        print(&format!("{}\n", object()));
    }
}

fn print(text: &str) {
    let write = || {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    };
    // Where the reader of a pipe does not read on, the bar must not wait with this thread.
    let written = if std::io::stdout().is_terminal() { bar::above(write) } else { write() };
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first reason counts.
        let _ = LOST.set(error.to_string());
    }
}

/// A line without what a terminal would act upon, broken between words where `columns` are too few for it; it
/// goes on behind `indent` blanks, of a narrow terminal fewer.
fn wrapped(line: &str, columns: Option<usize>, indent: usize) -> String {
    let line = visible(line);
    let Some(columns) = columns.filter(|columns| line.chars().count() > *columns) else {
        return format!("{line}\n");
    };
    let blanks = " ".repeat(indent.min(columns * 2 / 3));
    let whole_words = textwrap::Options::new(columns).break_words(false).subsequent_indent(&blanks);
    textwrap::fill(&line, whole_words.word_splitter(textwrap::WordSplitter::NoHyphenation)) + "\n"
}

/// Lines without what a terminal would act upon, each with its end.
fn escaped(lines: &str) -> String {
    lines.split('\n').map(|line| format!("{}\n", visible(line))).collect()
}

/// Why something that was said on standard output is lost, if it is.
pub(crate) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// Prints a line to standard error, on a terminal broken between words. If that fails, there is no place left
/// to say so.
pub(crate) fn complain(line: impl Display) {
    let line = wrapped(&line.to_string(), error_width(), 0);
    bar::above(|| drop(std::io::stderr().write_all(line.as_bytes())));
}

/// Prints a remark to standard error, unless the program is quiet.
pub(crate) fn remark(line: impl Display) {
    if !prints(Style::Quiet) {
        complain(format_args!("note: {line}"));
    }
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

#[cfg(test)]
mod tests {
    #[test]
    fn an_entry_that_is_broken_goes_on_below_its_text() {
        let wrapped = |columns| super::wrapped("  name     some words of text", columns, 11);
        assert_eq!(wrapped(None), "  name     some words of text\n");
        assert_eq!(wrapped(Some(22)), "  name     some words\n           of text\n");
        assert_eq!(wrapped(Some(12)), "  name\n        some\n        words\n        of\n        text\n");
    }
}
