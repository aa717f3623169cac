//! `spfde compare`: recorded runs side by side.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::all_runs_of;
use crate::compare::{ACCURACY, Case, Comparison, NUMBERS, csv, decisions, json, markdown, parquet, table};
use crate::terminal::{Style, remark, say, say_all, say_file, say_json, set_style};
use crate::{Error, Result};

/// Compare recorded runs: where their settings differ, and what accuracy, FLOPs, seconds and memory came of
/// it.
///
/// A line is a group of runs that differ in their seed alone, best accuracy first: accuracy is its mean ±
/// standard deviation, FLOPs and seconds are means, memory is the greatest. FLOPs are those of training, what
/// policies asked for beyond it included. Runs that go on or were interrupted count as far as they are.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde compare runs/*                               all runs, those of several seeds in one line
  spfde compare runs/* --by mask.sparsity --markdown one line for each sparsity, for a page
  spfde compare runs/* --sort flops --parquet all.parquet
  spfde compare --decisions runs/a runs/b            where two runs first decide differently, and why
  spfde replay runs/a freeze.policy=gradient-norm --out again && spfde compare --decisions runs/a again")]
pub(super) struct Compare {
    /// Recorded runs, replays among them; the directory of a sweep stands for its runs
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Group by the values of this key instead; may be given several times
    #[arg(long, value_name = "KEY")]
    by: Vec<String>,
    /// Column by which lines are sorted, best first: the greatest accuracy, the least of any other
    #[arg(long, value_name = "COLUMN", default_value = ACCURACY,
          value_parser = PossibleValuesParser::new(NUMBERS.map(|(name, ..)| name)))]
    sort: String,
    /// Instead of a table: where two runs, or a run and a replay, first decide differently, by stream, epoch,
    /// layer or sample, with the evidence of both
    #[arg(long, conflicts_with_all = ["by", "sort", "csv", "markdown", "parquet"])]
    decisions: bool,
    /// Print comma-separated values
    #[arg(long, group = "format")]
    csv: bool,
    /// Print an object of JSON on one line; with --decisions one for each stream
    #[arg(long, group = "format")]
    json: bool,
    /// Print a table in Markdown
    #[arg(long, group = "format")]
    markdown: bool,
    /// Write the table to a Parquet file instead
    #[arg(long, value_name = "FILE", group = "format")]
    parquet: Option<PathBuf>,
}

impl Compare {
    /// Compares the runs.
    pub(super) fn run(self) -> Result<()> {
        let runs = all_runs_of(&self.runs)?;
        if self.json {
            set_style(Style::Json);
        }
        if self.decisions {
            return compare_decisions(&runs);
        }
        let cases = runs.iter().map(|run| Case::read(run)).collect::<Result<_>>()?;
        let comparison = Comparison::new(cases, &self.by, &self.sort)?;
        comparison.notes().iter().for_each(remark);
        say_json(|| json(&comparison));
        match &self.parquet {
            Some(path) => {
                parquet(&comparison, path)?;
                say(format!("written: {}", path.display()));
            }
            None if self.csv => say_file(csv(&comparison)),
            None if self.markdown => say_file(markdown(&comparison)),
            None => say_all(table(&comparison)),
        }
        Ok(())
    }
}

fn compare_decisions(runs: &[PathBuf]) -> Result<()> {
    let [a, b] = runs else {
        let runs = runs.len();
        return Err(Error::usage(format!("--decisions compares two runs, not {runs}")));
    };
    let names = [a, b].map(|run| run.display().to_string());
    let names = [&*names[0], &*names[1]];
    for compared in decisions([a, b])? {
        compared.lines(names).iter().for_each(say);
        say_json(|| compared.json(names));
    }
    Ok(())
}
