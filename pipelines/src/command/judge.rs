//! `spfde replay --grid` and `spfde replay --scores`: many policies at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::follow::{announce, tell};
use super::replay::{Replay, STOPPING, directories};
use super::{end_at_once, interruptible};
use crate::grid::{
    Axes, FREEZES_NAME, GridOptions, JudgeObserver, JudgedRun, KEPT_NAME, NAMES_NAME, RunCase, ScoreInput,
    TABLE_NAME, is_of_freezing, judge_gradients, judge_runs, judge_scores, refuse_taken,
};
use crate::report::gradients::{gradients_json, gradients_text};
use crate::report::grid;
use crate::terminal::{remark, say, say_all, say_file};
use crate::{App, Entry, Error, Result, Source};

impl Replay {
    /// Judges sieve policies by bare scores, freeze policies by bare gradients.
    pub(super) fn judge(&self, app: &App) -> Result<()> {
        // A shell makes several words of a pattern, and a path with a partition looks like a setting. No key
        // has one of these letters.
        let (more, settings): (Vec<&String>, Vec<&String>) = self.words.iter().partition(|word| {
            let key = word.split('=').next().unwrap_or_default();
            key.contains(['*', '?', '[', '/']) || Path::new(word).exists()
        });
        if let Some(word) = settings.iter().find(|word| !word.contains('=')) {
            let what = "is neither key=value nor a file or directory of scores";
            return Err(Error::usage(format!("`{word}` {what}")));
        }
        let settings = Source::from_words(&settings.into_iter().cloned().collect::<Vec<_>>())?;
        if let Some(out) = &self.out {
            refuse_taken(out)?;
        }
        // Each record gets the keys that it can tell of; one alone gets all, and refuses the others.
        let both = self.gradients.is_some() && !self.scores.is_empty();
        let of = |freezing: bool, key: &str| !both || key == "seed" || is_of_freezing(key) == freezing;
        let part = |freezing: bool| -> Result<_> {
            let entries = settings.entries().iter().filter(|(key, _)| of(freezing, key)).cloned();
            let key = |word: &str| word.split('=').next().unwrap_or_default().trim().to_owned();
            let axes: Vec<String> =
                self.grid.iter().filter(|word| of(freezing, &key(word))).cloned().collect();
            Ok((entries.collect::<Vec<_>>(), Axes::from_words(&axes)?))
        };
        if !self.scores.is_empty() {
            let (entries, axes) = part(false)?;
            self.judge_scores(app, more, &entries, &axes)?;
        } else if let Some(word) = more.first() {
            return Err(Error::usage(format!("`{word}` is no setting, and --gradients takes one directory")));
        }
        let Some(gradients) = &self.gradients else { return Ok(()) };
        let (entries, axes) = part(true)?;
        let judged = judge_gradients(gradients, self.first_epoch, &entries, &axes, &self.grid_options(app))?;
        end_at_once();
        match self.json {
            true => say_file(gradients_json(&judged)),
            false => say_all(gradients_text(&judged)),
        }
        if let Some(out) = self.out.as_ref().filter(|_| !self.json) {
            say("");
            say(format!("decisions: {}", out.join(FREEZES_NAME).display()));
        }
        Ok(())
    }

    /// Judges sieve policies by bare scores, those of `more` places among them.
    fn judge_scores(&self, app: &App, more: Vec<&String>, settings: &[Entry], axes: &Axes) -> Result<()> {
        let paths = self.scores.iter().cloned().chain(more.into_iter().map(PathBuf::from)).collect();
        let input = ScoreInput { paths, first_epoch: self.first_epoch, repeats: self.repeats };
        if self.sort.is_of_runs() {
            return Err(Error::usage(format!(
                "--sort {}: bare scores have no costs, no layers and no recorded decisions; sort by member, \
                 active_samples, trained_samples, changes or censored_samples",
                self.sort.name()
            )));
        }
        let judged = judge_scores(&input, settings, axes, &self.grid_options(app))?;
        end_at_once();
        match self.json {
            true => say_file(grid::scores_json(&judged, self.sort)),
            false => say_all(grid::scores(&judged, self.sort)),
        }
        self.say_table();
        if let Some(out) = self.out.as_ref().filter(|out| !self.json && out.join(KEPT_NAME).exists()) {
            say(format!("samples kept by the last decision: {}", out.join(KEPT_NAME).display()));
            say(format!("decisions, epoch by epoch: {}", out.join("trace/sieves").display()));
            if out.join(NAMES_NAME).exists() {
                say(format!("numbers of the samples in the decisions: {}", out.join(NAMES_NAME).display()));
            }
        }
        Ok(())
    }

    /// Judges a grid by the records of runs.
    pub(super) fn judge_runs(&self, app: &App, runs: &[PathBuf], settings: &Source) -> Result<()> {
        let axes = Axes::from_words(&self.grid)?;
        let below = directories(runs, self.out.as_deref().filter(|_| self.decisions && runs.len() > 1))?;
        let mut cases = Vec::new();
        for (run, below) in runs.iter().zip(below) {
            let below = below.as_deref().and_then(Path::file_name).unwrap_or_default();
            let below = below.to_string_lossy().into_owned();
            cases.push(RunCase { below, ..self.open(run, app)?.into() });
        }
        let options = self.grid_options(app);
        if self.follow {
            cases.iter().for_each(|case| announce(&case.record));
        }
        let judged = judge_runs(&cases, settings.entries(), &axes, Ok, &options)?;
        end_at_once();
        if self.follow {
            // The last table has been printed.
            let ends = judged.iter().zip(&cases);
            ends.for_each(|(run, case)| run.end.iter().for_each(|end| tell(&case.record, end)));
        } else {
            self.show(&judged);
        }
        self.say_table();
        Ok(())
    }

    fn grid_options(&self, app: &App) -> GridOptions {
        GridOptions {
            registry: Arc::clone(&app.registry),
            directory: self.out.clone(),
            decisions: self.decisions || self.grid.is_empty(),
            workers: self.workers(),
            interrupted: interruptible(STOPPING),
            observer: Arc::new(self.clone()),
        }
    }

    /// Shows a grid over runs: as tables, or as JSON of one line.
    fn show(&self, runs: &[JudgedRun]) {
        match self.json {
            true => say_file(grid::runs_json(runs, self.sort)),
            false => say_all(grid::runs(runs, self.sort)),
        }
    }

    /// Says where the table of results is.
    fn say_table(&self) {
        if let Some(out) = self.out.as_ref().filter(|_| !self.json) {
            say("");
            say(format!("table: {}", out.join(TABLE_NAME).display()));
        }
    }
}

impl JudgeObserver for Replay {
    fn notes(&self, notes: &[String]) {
        notes.iter().for_each(remark);
    }

    /// Prints the table of a run that is followed whenever it has caught up with the run.
    fn epoch(&self, run: &JudgedRun, caught_up: bool) {
        if self.follow && caught_up {
            self.show(std::slice::from_ref(run));
            if !self.json {
                say("");
            }
        }
    }
}
