//! The terminal that standard error may be, as progress bars draw on it.

use std::io::Result;
use std::sync::{Mutex, PoisonError};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, TermLike};

use super::output;

/// Frames a second.
const RATE: u8 = 20;

/// Draws `bar` on standard error from now on, if that is a terminal; one that does not take what is drawn keeps nobody waiting.
pub(crate) fn show(bar: &ProgressBar) {
    let terminal = Term::stderr();
    if !terminal.features().is_attended() || console::is_dumb() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        return;
    }
    let frames = Frames { terminal, frame: Mutex::default() };
    bar.set_draw_target(ProgressDrawTarget::term_like_with_hz(Box::new(frames), RATE));
    output::set_bar(bar);
}

/// Takes `bar` away; what is said afterwards stands where it was.
pub(crate) fn take_away(bar: &ProgressBar) {
    bar.finish_and_clear();
    output::forget_bar();
}

/// Collects what belongs to one frame, in the escape sequences of ECMA-48 that terminals understand.
#[derive(Debug)]
struct Frames {
    terminal: Term,
    frame: Mutex<String>,
}

impl Frames {
    fn push(&self, text: &str) -> Result<()> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    /// Moves the cursor `n` times in the direction that a letter stands for.
    fn go(&self, n: usize, direction: char) -> Result<()> {
        // 0 would count as 1.
        if n == 0 { Ok(()) } else { self.push(&format!("\x1b[{n}{direction}")) }
    }
}

impl TermLike for Frames {
    fn width(&self) -> u16 {
        self.terminal.size().1
    }

    fn height(&self) -> u16 {
        self.terminal.size().0
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, text: &str) -> Result<()> {
        self.push(text)?;
        self.push("\n")
    }

    fn write_str(&self, text: &str) -> Result<()> {
        self.push(text)
    }

    fn clear_line(&self) -> Result<()> {
        self.push("\r\x1b[2K")
    }

    fn flush(&self) -> Result<()> {
        let frame = std::mem::take(&mut *self.frame.lock().unwrap_or_else(PoisonError::into_inner));
        if !frame.is_empty() {
            // Not at the right edge, where a terminal that shows ^C goes to the next line, of which no frame knows.
            output::draw(frame + "\r");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_what_to_do_in_the_sequences_of_terminals() {
        let frames = Frames { terminal: Term::stderr(), frame: Mutex::default() };
        frames.move_cursor_up(2).unwrap();
        frames.move_cursor_down(0).unwrap();
        frames.clear_line().unwrap();
        frames.write_str("half").unwrap();
        frames.move_cursor_left(4).unwrap();
        frames.write_line("whole").unwrap();
        assert_eq!(*frames.frame.lock().unwrap(), "\x1b[2A\r\x1b[2Khalf\x1b[4Dwhole\n");
    }
}
