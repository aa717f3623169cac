//! `spfde replay --grid` and `spfde replay --scores`: many policies at once.

use std::path::Path;
use std::sync::Arc;

use super::follow::{announce, tell};
use super::replay::{Replay, directories};
use super::{end_at_once, interruptible};
use crate::command::Program;
use crate::configuration::{ConfigurationError, Source};
use crate::error::Error;
use crate::grid::{
    Axes, Column, GridOptions, JudgeObserver, JudgedRun, RunCase, TABLE_NAME, judge_runs, judge_scores,
    refuse_taken,
};
use crate::report::grid;
use crate::terminal::{remark, say, say_all};

impl Replay {
    /// Judges sieve policies by bare scores.
    pub(super) fn judge(&self, program: &Program, scores: &Path) -> Result<(), Error> {
        if let Some(word) = self.words.iter().find(|word| !word.contains('=')) {
            return Err(ConfigurationError::Word { word: word.clone() }.into());
        }
        let settings = Source::from_words(&self.words)?;
        let axes = Axes::from_words(&self.grid)?;
        if let Some(out) = &self.out {
            refuse_taken(out)?;
        }
        if self.sort.is_of_runs() {
            return Err(ConfigurationError::Usage(format!(
                "--sort {}: bare scores have no costs, no layers and no recorded decisions; sort by member, \
                 active_samples, trained_samples, changes or censored_samples",
                self.sort.name()
            ))
            .into());
        }
        let judged = judge_scores(scores, settings.entries(), &axes, &self.grid_options(program))?;
        end_at_once();
        if self.json {
            say(grid::scores_json(&judged, self.sort));
            return Ok(());
        }
        say_all(grid::scores(&judged, self.sort));
        if let Some(out) = &self.out {
            say("");
            say(format!("table: {}", out.join(TABLE_NAME).display()));
        }
        Ok(())
    }
}

impl Replay {
    fn grid_options(&self, program: &Program) -> GridOptions {
        GridOptions {
            registry: Arc::clone(&program.registry),
            directory: self.out.clone(),
            decisions: self.decisions || self.grid.is_empty(),
            workers: self.workers(),
            interrupted: interruptible("stopping; once more to stop at once"),
            follow: self.follow,
            observer: Arc::new(Notes),
        }
    }

    /// Judges a grid by the records of runs.
    pub(super) fn judge_runs(
        &self,
        program: &Program,
        runs: &[String],
        settings: Source,
    ) -> Result<(), Error> {
        let axes = Axes::from_words(&self.grid)?;
        let below = directories(runs, self.out.as_deref().filter(|_| self.decisions && runs.len() > 1))?;
        let mut cases = Vec::new();
        for (run, below) in runs.iter().zip(below) {
            let below = below.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
            let run = Path::new(run);
            let case = if self.follow { RunCase::open_unfinished(run)? } else { RunCase::open(run)? };
            let record = case.record.knowing(&program.registry);
            cases.push(RunCase { below: below.unwrap_or_default(), record, ..case });
        }
        let mut options = self.grid_options(program);
        if self.follow {
            cases.iter().for_each(|case| announce(&case.record));
            options.observer = Arc::new(Tables { by: self.sort, json: self.json });
        }
        let judged = judge_runs(&cases, settings.entries(), &axes, Ok, &options)?;
        end_at_once();
        if self.follow {
            // The last table has been printed.
            let ends = judged.iter().zip(&cases);
            ends.for_each(|(run, case)| run.end.iter().for_each(|end| tell(&case.record, end)));
        } else {
            say_all(show(&judged, self.sort, self.json));
        }
        if self.json {
            return Ok(());
        }
        if let Some(out) = &self.out {
            say("");
            say(format!("table: {}", out.join(TABLE_NAME).display()));
        }
        Ok(())
    }
}

/// The table of a grid over runs, or the same as one line of JSON.
fn show(runs: &[JudgedRun], by: Column, json: bool) -> String {
    if json { grid::runs_json(runs, by) } else { grid::runs(runs, by) }
}

/// Prints what is worth knowing beforehand.
struct Notes;

impl JudgeObserver for Notes {
    fn notes(&self, notes: &[String]) {
        notes.iter().for_each(remark);
    }
}

/// Prints the table of a run that is followed whenever it has caught up with the run.
struct Tables {
    by: Column,
    json: bool,
}

impl JudgeObserver for Tables {
    fn notes(&self, notes: &[String]) {
        Notes.notes(notes);
    }

    fn epoch(&self, run: &JudgedRun, caught_up: bool) {
        if !caught_up {
            return;
        }
        say_all(show(std::slice::from_ref(run), self.by, self.json));
        if !self.json {
            say("");
        }
    }
}
