//! Which samples are forgotten: by how many of the runs.

use differential_dataflow::operators::{CountTotal, ThresholdTotal};
use spfde_data::Value;

use super::View;

/// A sample is forgotten when it was right and is wrong the next time it is scored (Toneva et al.,
/// <https://arxiv.org/abs/1812.05159>); here once is enough, and for ever.
pub(super) const VIEW: View = View {
    name: "forgotten",
    summary: "samples that so many of the runs have forgotten so far, each at least once",
    keys: &["runs"],
    number: "samples",
    compares: true,
    labelled: false,
    build: |streams, _| {
        let by_run = streams.runs().map(|run| run.forgettings().distinct_total());
        let by_run = by_run.reduce(|all, run| all.concat(run)).expect("there is a run");
        let by_sample = by_run.count_total().map(|(_, runs)| [runs as u32, 0]);
        by_sample.count_total().map(|(runs, samples)| (runs, samples as u64))
    },
    shown: |_, _, runs| Value::Integer(runs.into()),
};
