//! A report as people read it.

use spfde_data::parameter::Value;
use spfde_data::words::counted;

use crate::report::table::{Table, percent, precise, short};

use super::report::{LayerReport, Report};

/// The timed paths, what surrounds the computation, memory, and the profile by layer.
pub fn table(report: &Report) -> String {
    let mut around = Vec::new();
    if let Some(times) = report.times_faster_than_dense {
        around.push(format!("{times:.2} times as fast as dense"));
    }
    around.push(format!(
        "dataflow around the computation: {} of the step; waiting for the slowest worker: {}",
        precise(report.dataflow_share),
        precise(report.imbalance_share)
    ));
    if let Some(bytes) = report.peak_rss_bytes {
        let (bytes, images) = (short(bytes as f64), short(report.image_bytes as f64));
        around.push(format!("peak memory: {bytes} bytes, of which {images} are the random images"));
    }
    format!(
        "{}\n\n{}\n\n{}\n\nA step layer by layer, on one thread, apart from the steps above:\n\n{}",
        measured(report),
        paths(report),
        around.join("\n"),
        layers(report)
    )
}

/// What was measured, in a sentence.
fn measured(report: &Report) -> String {
    let setting = |key: &str| match report.configuration.get(key) {
        Some(Value::Text(text)) => text.clone(),
        value => value.map(ToString::to_string).unwrap_or_default(),
    };
    format!(
        "{} on images of {}: {} of {}, {} of {} frozen, batches of {} in {}, {}, {} kernels",
        report.model,
        setting("data.shape"),
        report.nonzero,
        counted(report.weights, "weight"),
        report.frozen_blocks,
        counted(report.blocks, "block"),
        report.batch_size,
        counted(setting("train.shards").parse().unwrap_or(0_u32), "shard"),
        counted(report.workers, "worker"),
        report.kernel,
    )
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2}", seconds * 1e3)
}

fn paths(report: &Report) -> Table {
    Table::of(
        [Some(&report.path), report.dense.as_ref()].into_iter().flatten(),
        &[
            ("mask", &|path| path.mask.clone()),
            ("steps", &|path| path.steps.to_string()),
            ("ms a step", &|path| milliseconds(path.seconds_per_step)),
            ("fastest", &|path| milliseconds(path.seconds_per_step_min)),
            ("quartiles", &|path| {
                [path.seconds_per_step_lower_quartile, path.seconds_per_step_upper_quartile]
                    .map(milliseconds)
                    .join("–")
            }),
            ("images/s", &|path| format!("{:.1}", path.images_per_second)),
            ("FLOPs a step", &|path| short(path.flops_per_step as f64)),
            ("GFLOP/s", &|path| format!("{:.1}", path.gflops)),
        ],
    )
}

/// A line of the profile: its name, its layer if it is one, and the seconds of both passes.
type Line<'a> = (&'a str, Option<&'a LayerReport>, [f64; 2]);

fn layers(report: &Report) -> Table {
    let layers = report
        .layers
        .iter()
        .map(|layer| (layer.name.as_str(), Some(layer), [layer.forward_seconds, layer.backward_seconds]));
    let operations = report.operations.iter().map(|operation| {
        (operation.name.as_str(), None, [operation.forward_seconds, operation.backward_seconds])
    });
    let mut lines: Vec<Line<'_>> = layers.chain(operations).collect();
    let all = [0, 1].map(|pass| lines.iter().map(|(.., seconds)| seconds[pass]).sum());
    lines.push(("all", None, all));
    let of = |line: &Line<'_>, cell: fn(&LayerReport) -> String| line.1.map(cell).unwrap_or_default();
    Table::of(
        lines,
        &[
            ("layer", &|line| line.0.to_owned()),
            ("weights", &|line| of(line, |layer| layer.weights.to_string())),
            ("density", &|line| of(line, |layer| percent(layer.density))),
            ("kernel", &|line| of(line, |layer| layer.kernel.clone())),
            ("forward ms", &|line| milliseconds(line.2[0])),
            ("backward ms", &|line| match line.1 {
                Some(layer) if layer.frozen => "frozen".to_owned(),
                _ => milliseconds(line.2[1]),
            }),
            ("GFLOP/s", &|line| of(line, |layer| format!("{:.1}", layer.gflops))),
        ],
    )
}
