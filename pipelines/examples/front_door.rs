//! Data, a network and a stage of one's own: accuracy by class becomes a table.
//!
//! `cargo run --release --example front_door -- train model.name=small data.path=stripes train.epochs=3`
//!
//! Then, with DuckDB: `SELECT label, max(correct / presented) FROM 'runs/small-0-1/trace/classes/*' GROUP BY label`.

use std::collections::BTreeMap;
use std::sync::Arc;

use spfde::prelude::*;

fn main() -> std::process::ExitCode {
    spfde::app()
        .data("stripes", stripes)
        .model("small", |net| {
            let x = net.convolution(8, 3).batch_norm().relu();
            let x = net.block().convolution(16, 3).stride(2).batch_norm().relu().after(x);
            net.classifier(net.average_pool(x))
        })
        .stage(|run, trained| {
            // A replay has the recorded scores, not the images and their labels.
            if !run.replays() {
                run.table(per_class(run, &trained.scores));
            }
        })
        .main()
}

/// Images of 12 × 12 pixels with four classes of stripes, and noise.
fn stripes() -> Result<DataSet, Error> {
    let pixel = |sample: u64, row: usize, column: usize| {
        let phase = match sample % 4 {
            0 => row,
            1 => column,
            2 => row + column,
            _ => row + 11 - column,
        };
        let noise = draw(1, Purpose::User, sample, (row * 12 + column) as u64) % 160;
        if phase.is_multiple_of(4) { 95 + noise as u8 } else { noise as u8 }
    };
    let images = |samples: std::ops::Range<u64>| {
        let of = |sample| (0..144).map(move |place| pixel(sample, place / 12, place % 12));
        let labels = samples.clone().map(|sample| (sample % 4) as u16).collect();
        Images { channels: 1, height: 12, width: 12, pixels: samples.flat_map(of).collect(), labels }
    };
    Ok(assemble("stripes", 4, images(0..2000), images(2000..2400)))
}

row! {
    /// How often the samples of one class were right in one epoch.
    pub struct ClassRow in "classes" by (epoch, label) {
        /// Epoch.
        pub epoch: u32,
        /// The class.
        pub label: u16,
        /// Presentations.
        pub presented: u32,
        /// Presentations that were right.
        pub correct: u32,
    }
}

/// All scores of one class meet on one worker, which counts them when the epoch is over.
fn per_class<'s>(run: &Run<'s>, scores: &StreamVec<'s, Tick, ScoreRow>) -> StreamVec<'s, Tick, ClassRow> {
    let data = Arc::clone(&run.settings().data);
    let label = move |score: &ScoreRow| data.train.labels[score.sample as usize];
    let route = label.clone();
    per_epoch(
        run,
        "classes",
        scores,
        move |score| u64::from(route(score)),
        move |epoch, scores| {
            let mut classes: BTreeMap<u16, (u32, u32)> = BTreeMap::new();
            for score in &scores {
                let (presented, correct) = classes.entry(label(score)).or_default();
                *presented += 1;
                *correct += u32::from(score.correct);
            }
            let row = |(label, (presented, correct))| ClassRow { epoch, label, presented, correct };
            classes.into_iter().map(row).collect()
        },
    )
}
