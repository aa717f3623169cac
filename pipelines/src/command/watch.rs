//! `spfde watch`: a run as it goes, on a screen or in lines.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, poll, read};
use ratatui::crossterm::terminal::size;

use super::{end_at_once, interruptible, single_run_of};
use crate::terminal::{say, say_file};
use crate::watch::{Screen, Watched, text};
use crate::{Error, Result};

/// Watch a run as it goes: progress, accuracy, cost, layers that freeze, samples that come and go.
///
/// It reads what is committed, from any terminal and any machine that sees the directory, and ends with the
/// run; q ends it at once. Of a run that has ended it shows the last screen. Where standard output is no
/// terminal it prints a line for each epoch.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde watch runs/resnet20-0-1
  spfde watch runs/resnet20-0-1 | tee watched      a line for each epoch
  NO_COLOR=1 spfde watch runs/resnet20-0-1         without colours")]
pub(super) struct Watch {
    /// The run directory
    run: PathBuf,
}

/// How often the run, and the keys, are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What a request to end is answered.
const STOPPING: &str = "watching no longer";

impl Watch {
    /// Watches the run to its end.
    pub(super) fn run(self) -> Result<()> {
        let mut watched = Watched::open(&single_run_of(&self.run)?)?;
        let plain = std::env::var("TERM").is_ok_and(|kind| kind == "dumb");
        if plain || !std::io::stdout().is_terminal() {
            return lines(&mut watched);
        }
        if !watched.has_ended() {
            let shown = screen(&mut watched);
            let restored = ratatui::try_restore().map_err(no_screen);
            end_at_once();
            shown.and(restored)?;
        }
        let (width, height) = size().map_err(no_screen)?;
        say_file(text(&watched, width, height.saturating_sub(2)));
        Ok(())
    }
}

fn no_screen(error: std::io::Error) -> Error {
    Error::failed(format!("the terminal cannot be drawn on: {error}; `spfde watch RUN | cat` prints lines"))
}

/// Looks again; once more if the run is just going back to a checkpoint.
fn look(watched: &mut Watched) -> Result<bool> {
    watched.look().or_else(|_| {
        std::thread::sleep(LOOK_EVERY);
        watched.look()
    })
}

/// Draws the run until it ends, or the user does.
fn screen(watched: &mut Watched) -> Result<()> {
    let interrupted = interruptible(STOPPING);
    let mut terminal = ratatui::try_init().map_err(no_screen)?;
    let mut is_new = true;
    while !watched.has_ended() && !interrupted.load(Ordering::Relaxed) {
        if is_new {
            terminal.draw(|frame| frame.render_widget(Screen(watched), frame.area())).map_err(no_screen)?;
        }
        is_new = false;
        if poll(LOOK_EVERY).map_err(no_screen)? {
            match read().map_err(no_screen)? {
                Event::Key(key) if ends(key) => return Ok(()),
                Event::Resize(..) => is_new = true,
                _ => {}
            }
        }
        is_new |= look(watched)?;
    }
    Ok(())
}

/// Whether a key ends the command.
fn ends(KeyEvent { code, modifiers, .. }: KeyEvent) -> bool {
    let is_control = modifiers.contains(KeyModifiers::CONTROL);
    matches!(code, KeyCode::Char('q') | KeyCode::Esc) || code == KeyCode::Char('c') && is_control
}

/// Prints a line for each epoch until the run ends.
fn lines(watched: &mut Watched) -> Result<()> {
    let mut printed = 0;
    loop {
        // A run that goes back to a checkpoint comes to the same epochs again.
        watched.epochs.iter().skip(printed).for_each(|epoch| say(epoch.line()));
        printed = printed.max(watched.epochs.len());
        if watched.has_ended() {
            say(format!("{}: {}, {}", watched.path.display(), watched.state(), watched.reached()));
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
        look(watched)?;
    }
}
