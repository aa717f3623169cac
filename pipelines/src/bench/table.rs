//! A report as people read it.

use spfde_data::parameter::Value;
use spfde_data::words::counted;

use crate::report::table::{Table, percent, short};

use super::report::{PathReport, Report};

/// The timed paths, what surrounds the computation, memory, and the profile by layer.
pub fn table(report: &Report) -> String {
    let setting = |key: &str| report.configuration.get(key).map(ToString::to_string).unwrap_or_default();
    let shards = match report.configuration.get("train.shards") {
        Some(Value::Integer(shards)) => *shards,
        _ => unreachable!("every configuration has shards, a whole number"),
    };
    let mut parts = vec![format!(
        "{} on images of {}: {} of {}, {} of {} frozen, batches of {} in {}, {}, {} kernels",
        report.model,
        setting("data.shape").trim_matches('"'),
        report.nonzero,
        counted(report.weights, "weight"),
        report.frozen_blocks,
        counted(report.blocks, "block"),
        report.batch_size,
        counted(shards, "shard"),
        match report.processes {
            1 => counted(report.workers, "worker"),
            processes => format!("{processes} processes of {}", counted(report.workers, "worker")),
        },
        report.kernel,
    )];
    let paths: Vec<Vec<String>> =
        [Some(&report.path), report.dense.as_ref()].into_iter().flatten().map(path).collect();
    let heads = ["mask", "steps", "ms a step", "fastest", "quartiles", "images/s", "FLOPs a step", "GFLOP/s"];
    parts.push(Table::new(heads, paths).to_string());
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
    parts.push(around.join("\n"));
    parts.push(format!(
        "A step layer by layer, on one thread, apart from the steps above:\n\n{}",
        layers(report)
    ));
    parts.join("\n\n")
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2}", seconds * 1e3)
}

/// A share that may be small.
fn precise(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn path(path: &PathReport) -> Vec<String> {
    let [lower, upper] = [path.seconds_per_step_lower_quartile, path.seconds_per_step_upper_quartile];
    vec![
        path.mask.clone(),
        path.steps.to_string(),
        milliseconds(path.seconds_per_step),
        milliseconds(path.seconds_per_step_min),
        format!("{}–{}", milliseconds(lower), milliseconds(upper)),
        format!("{:.1}", path.images_per_second),
        short(path.flops_per_step as f64),
        format!("{:.1}", path.gflops),
    ]
}

fn layers(report: &Report) -> String {
    let heads = ["layer", "weights", "density", "kernel", "forward ms", "backward ms", "GFLOP/s"];
    let layers = report.layers.iter().map(|layer| {
        let backward = if layer.frozen { "frozen".to_owned() } else { milliseconds(layer.backward_seconds) };
        vec![
            layer.name.clone(),
            layer.weights.to_string(),
            percent(layer.density),
            layer.kernel.clone(),
            milliseconds(layer.forward_seconds),
            backward,
            format!("{:.1}", layer.gflops),
        ]
    });
    let blank = String::new;
    let operations = report.operations.iter().map(|operation| {
        let (forward, backward) =
            (milliseconds(operation.forward_seconds), milliseconds(operation.backward_seconds));
        vec![operation.name.clone(), blank(), blank(), blank(), forward, backward, blank()]
    });
    let sum = |of: [fn(&Report) -> f64; 2]| of.map(|of| milliseconds(of(report)));
    let [forward, backward] = sum([
        |report| {
            report.layers.iter().map(|layer| layer.forward_seconds).sum::<f64>()
                + report.operations.iter().map(|operation| operation.forward_seconds).sum::<f64>()
        },
        |report| {
            report.layers.iter().map(|layer| layer.backward_seconds).sum::<f64>()
                + report.operations.iter().map(|operation| operation.backward_seconds).sum::<f64>()
        },
    ]);
    let all = vec!["all".to_owned(), blank(), blank(), blank(), forward, backward, blank()];
    Table::new(heads, layers.chain(operations).chain([all])).to_string()
}
