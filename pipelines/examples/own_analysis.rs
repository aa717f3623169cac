//! Which samples do at least two of three seeds forget, and which classes does the sieve of the first hold
//! out? Follows runs that are training, and prints epoch by epoch what changes.
//!
//! `cargo run --release --example own_analysis -- runs/a-0 runs/a-1 runs/a-2`
#![allow(clippy::print_stdout, reason = "it is what the example does")]

use std::sync::Arc;

use spfde::analysis::Runs;
use spfde::analysis::differential_dataflow::operators::{CountTotal, ThresholdTotal};

fn main() -> Result<(), spfde::Error> {
    let runs = Runs::follow(std::env::args().skip(1))?;
    runs.comparable()?;
    let labels = runs.labels()?;
    spfde::analyse(&runs, move |streams| {
        let forgotten = streams.runs().map(|run| run.forgettings().distinct_total());
        let forgotten = forgotten.reduce(|all, run| all.concat(run)).expect("a run is named");
        // Each sample with the number of seeds that forget it.
        let twice = forgotten.count_total().filter(|(_, seeds)| *seeds >= 2).map(|(sample, _)| sample);
        streams.each_epoch(twice, |epoch, samples| {
            let change: isize = samples.iter().map(|(_, change)| change).sum();
            println!("epoch {}: {change:+} samples that two seeds forget", epoch + 1);
        });
        let of = Arc::clone(&labels);
        let held_out = streams.run(0).held_out().flat_map(move |sample| of.of_sample(sample));
        let labels = Arc::clone(&labels);
        streams.each_epoch(held_out, move |epoch, classes| {
            for (class, change) in classes {
                println!("epoch {}: {change:+} samples of {} held out", epoch + 1, labels.name(class));
            }
        });
    })
}
