//! `spfde analyse`: views of recorded runs.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use spfde_data::files::atomic;

use super::{end_at_once, interruptible, single_run_of};
use crate::analysis::{Change, Runs, VIEWS, View};
use crate::grid::text;
use crate::terminal::{Style, remark, say, say_json, set_style};
use crate::{App, Options, Result};

/// Show a view of recorded runs, epoch by epoch: the numbers that change, and by how much.
///
/// Views: `forgotten`, samples that so many of the runs have forgotten so far; `churn`, weights that began or
/// ceased to exist, layer by layer; `agreement`, what of weights, samples and layers the runs have in common;
/// `class-mix`, the classes of the samples that the sieve holds out, for which the data set is read.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde analyse runs/resnet20-*-1 --view forgotten           samples that three seeds forget
  spfde analyse runs/resnet20-0-1 --view class-mix --follow  while it trains
  spfde analyse runs/a runs/b --view agreement --out views   the table, in views/agreement.parquet")]
pub(super) struct Analyse {
    /// Recorded runs, replays among them
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// What to show
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(VIEWS.map(|view| view.name)))]
    view: String,
    /// Follow runs that other processes are training: take each epoch when all of them have committed it
    #[arg(long)]
    follow: bool,
    /// Write what is shown to DIR/NAME.parquet at the end
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print an object of JSON a line
    #[arg(long)]
    json: bool,
    /// Threads that work; the result is the same for any number [default: the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

/// What a request to end is answered.
const STOPPING: &str = "stopping; once more to stop at once";

impl Analyse {
    /// Shows the view.
    pub(super) fn run(self, app: &App) -> Result<()> {
        if self.json {
            set_style(Style::Json);
        }
        let paths: Vec<PathBuf> = self.runs.iter().map(|word| single_run_of(word)).collect::<Result<_>>()?;
        let open = if self.follow { Runs::follow } else { Runs::open };
        let mut runs = open(&paths)?;
        runs.registry = Arc::clone(&app.registry);
        runs.workers = self.workers.map_or(Options::default().workers, usize::from);
        let view = View::find(&self.view).expect("the names were checked");
        if let Some(out) = &self.out {
            atomic::create_directory(out)?;
        }
        runs.interrupted = interruptible(STOPPING);
        let found = view.run(&runs, move |epoch, changes| {
            for Change { keys, number, change, .. } in changes {
                let keys = || view.keys.iter().zip(keys);
                say_json(|| {
                    let mut line = json!({"epoch": epoch, view.number: number, "change": change});
                    keys().for_each(|(name, key)| line[*name] = json!(key));
                    line
                });
                let keys: String = keys().map(|(name, key)| format!("  {name} {}", text(key))).collect();
                say(format!("epoch {}{keys}  {} {number} ({change:+})", epoch + 1, view.number));
            }
        })?;
        end_at_once();
        for (path, end) in paths.iter().zip(runs.ends()) {
            if let Some(end) = end.filter(|end| !end.manifest.finished) {
                let reached = end.manifest.epochs_reached;
                remark(format_args!("{}: ended before its end, after {reached} epochs", path.display()));
            }
        }
        if found.is_empty() {
            remark(format_args!("nothing changes in this view: {}", view.summary));
        }
        if let Some(out) = self.out {
            let path = out.join(format!("{}.parquet", view.name));
            view.write(&found, &path)?;
            say(format!("table: {}", path.display()));
        }
        Ok(())
    }
}
