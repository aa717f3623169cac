//! A report as people read it.

use spfde_data::parameter::Value;
use spfde_data::words::counted;

use crate::report::table::{percent, precise, short, table_of};

use super::report::{LayerReport, OperationReport, Report};

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
    around.push(format!(
        "values and gradients: {} bytes a step, {} a second; copying memory: {} a second",
        short(report.bytes_per_step as f64),
        short(report.bytes_per_second),
        short(report.machine_bytes_per_second)
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
        "{} on images of {}: {} of {}, {} of {} frozen, batches of {} in {}, {}, {} kernels with {} lanes, \
         {} activations",
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
        report.lanes,
        setting("train.storage"),
    )
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2}", seconds * 1e3)
}

fn paths(report: &Report) -> String {
    let path = &report.path;
    let (dense, floor) = (report.dense.as_ref(), Some(&report.floor));
    let named = [(path.mask.as_str(), Some(path)), ("dense", dense), ("floor", floor)];
    table_of(
        named.into_iter().filter_map(|(name, path)| Some((name, path?))),
        &[
            (("path", 0), &|(name, _)| (*name).to_owned()),
            (("steps", 4), &|(_, path)| path.steps.to_string()),
            (("ms a step", 0), &|(_, path)| milliseconds(path.seconds_per_step)),
            (("fastest", 0), &|(_, path)| milliseconds(path.seconds_per_step_min)),
            (("quartiles", 3), &|(_, path)| {
                [path.seconds_per_step_lower_quartile, path.seconds_per_step_upper_quartile]
                    .map(milliseconds)
                    .join("–")
            }),
            (("images/s", 0), &|(_, path)| format!("{:.1}", path.images_per_second)),
            (("FLOPs a step", 1), &|(_, path)| short(path.flops_per_step as f64)),
            (("GFLOP/s", 2), &|(_, path)| format!("{:.1}", path.gflops)),
        ],
    )
}

/// A line of the profile: what its passes take, and its layer if it is one.
type Line<'a> = (&'a OperationReport, Option<&'a LayerReport>);

fn layers(report: &Report) -> String {
    let layers = report.layers.iter().map(|layer| (&layer.passes, Some(layer)));
    let mut lines: Vec<Line<'_>> = layers.chain(report.operations.iter().map(|one| (one, None))).collect();
    let all = |pass: fn(&OperationReport) -> f64| lines.iter().map(|(passes, _)| pass(passes)).sum();
    let all = OperationReport {
        name: "all".to_owned(),
        forward_seconds: all(|passes| passes.forward_seconds),
        backward_seconds: all(|passes| passes.backward_seconds),
    };
    lines.push((&all, None));
    let of = |line: &Line<'_>, cell: fn(&LayerReport) -> String| line.1.map(cell).unwrap_or_default();
    table_of(
        lines,
        &[
            (("layer", 0), &|(passes, _)| passes.name.clone()),
            (("weights", 0), &|line| of(line, |layer| layer.weights.to_string())),
            (("density", 0), &|line| of(line, |layer| percent(layer.density))),
            (("kernel", 0), &|line| of(line, |layer| layer.kernel.clone())),
            (("forward ms", 0), &|(passes, _)| milliseconds(passes.forward_seconds)),
            (("backward ms", 0), &|(passes, layer)| match layer {
                Some(layer) if layer.frozen => "frozen".to_owned(),
                _ => milliseconds(passes.backward_seconds),
            }),
            (("GFLOP/s", 2), &|line| of(line, |layer| format!("{:.1}", layer.gflops))),
        ],
    )
}
