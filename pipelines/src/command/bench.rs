//! `spfde bench`: what a training step takes.

use std::sync::Arc;

use clap::Args;

use super::{STOPPING, end_at_once, interruptible, workers};
use crate::bench::{Options, table};
use crate::terminal::{hidden_bar, remark, say_all, say_file, show, take_away};
use crate::{App, Result, Source, bench};

/// Time one training step on this machine, beside the dense path.
///
/// Runs the ready pipeline on random images and writes nothing. Settings are those of `spfde train`, and
/// `data.shape`; unless given, `mask.policy` is `static`, and nothing is sieved, frozen or augmented. Prints
/// median, fastest and quartiles of the step's time, images and FLOPs a second on existing weights, the same
/// of dense steps and of a floor with next to no weights, the memory traffic of values and gradients beside
/// what the machine copies, peak memory of the configured path, the dataflow's share of the step, and forward
/// and backward passes layer by layer (on one thread, in steps of their own).
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde bench                                                  the default model at 90 % sparsity
  spfde bench model.name=resnet32 model.width=2 data.shape=3x32x32 --frozen 10
  spfde bench model.name=mlp mask.sparsity=0.95 --workers 1 --json")]
pub(super) struct Bench {
    /// A configuration file, then settings such as `mask.sparsity=0.95`
    #[arg(value_name = "FILE.toml | key=value")]
    words: Vec<String>,
    /// Threads that train [default: the cores, up to train.shards]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Freeze the first K blocks from the start: they run forward only
    #[arg(long, value_name = "K", default_value_t = 0)]
    frozen: usize,
    /// Timed steps of each path [default: 4 to 200, the fewer the more FLOPs a step has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    steps: Option<u32>,
    /// Do not time the dense path: for quick looks, and for models whose dense step takes minutes
    #[arg(long)]
    no_dense: bool,
    /// Print one JSON object on one line; times are in seconds, sizes in bytes
    #[arg(long)]
    json: bool,
}

impl Bench {
    /// Measures and prints.
    pub(super) fn run(self, app: &App) -> Result<()> {
        let given = Source::from_words(&self.words)?.entries().to_vec();
        let registry = Arc::clone(&app.registry);
        let options =
            Options { registry, given, frozen: self.frozen, steps: self.steps, dense: !self.no_dense };
        let bench = bench::Bench::new(options)?;
        bench.notes().iter().for_each(remark);
        let workers = workers(self.workers, bench.settings().shards, 1);
        let interrupted = interruptible(STOPPING);
        let bar = hidden_bar(bench.steps(), "{wide_bar:.cyan} {percent:>3} % │ {elapsed}\n{msg}");
        show(&bar);
        let report = bench.run(workers, &interrupted, &bar);
        take_away(&bar);
        let report = report?;
        end_at_once();
        if self.json {
            say_file(serde_json::to_string(&report).expect("a report has only text and numbers"));
        } else {
            say_all(table(&report));
        }
        Ok(())
    }
}
